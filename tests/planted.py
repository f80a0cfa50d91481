"""A problem whose utilities are plain numbers, and an unlearner that is off from retraining by known ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from unshap_plugin import Recipe, ValuationProblem
from unshap_plugin.losses import mse
from unshap_plugin.plugin import Access, Unlearner
from unshap_plugin.unlearners import Retrain
from unshap_plugin.unlearners.models import StackedModels

#: An error of six players that is 0 for the full coalition, which is the given model.
BY_SIZE, PER_PLAYER = (0.5, 0.3, -0.2, 0.1, 0.4, 0.2, 0.0), (0.3, -0.2, 0.1, 0.0, -0.3, 0.1)


class Constant(nn.Module):
    """Answers its only parameter, whatever the row."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, x):
        return 0 * x[:, 0] + self.bias


def answer(outputs, targets):
    """The utility is the parameter itself."""
    return outputs.mean()


def halves(outputs, targets):
    return outputs.mean() / 2


def constant_problem(players=6, rows=24, *, noisy=False, **kwargs):
    """Learn the mean of some labels: full-batch steps have no noise, single rows in random order do."""
    rng = np.random.default_rng(0)
    x, y = np.zeros((rows, 1)), rng.normal(size=rows) + np.arange(rows) % players
    start = Constant()
    recipe = Recipe("sgd", lr=0.3, epochs=2 if noisy else 8, batch_size=1 if noisy else None, init=start)
    model = recipe.train(start, mse, torch.as_tensor(x), torch.as_tensor(y), seed=9)
    arguments = {"metric": answer, "groups": np.arange(rows) % players, "fit": recipe, **kwargs}
    return ValuationProblem(model, (x, y), (x[:3], y[:3]), loss="mse", **arguments)


@dataclass(frozen=True)
class Planted(Unlearner):
    """Retrains with the seed ``like``, and adds ``factor`` times an error, and ``shift`` per missing player."""

    name: ClassVar[str] = "planted"
    needs: ClassVar[Access] = Access.RETAIN

    by_size: tuple[float, ...] = BY_SIZE
    per_player: tuple[float, ...] = PER_PLAYER
    like: int = 1
    factor: float = 1.0
    shift: float = 0.0

    def _unlearn(self, problem, coalitions, seed):
        models = Retrain().unlearn(problem, coalitions, self.like)
        error = self.factor * planted(coalitions, self.by_size, self.per_player)
        error = error + self.shift * (~coalitions).sum(axis=1)
        state = {"bias": models.state["bias"] + torch.as_tensor(error)[:, None]}
        return StackedModels(problem.engine, state)


@dataclass(frozen=True)
class Idle(Unlearner):
    """Does nothing."""

    name: ClassVar[str] = "idle"

    unused: int = 0

    def _unlearn(self, problem, coalitions, seed):
        return StackedModels(problem.engine, problem.engine.stack(len(coalitions)))


def planted(coalitions, by_size, per_player):
    """The error of each coalition, ``by_size[|S|]`` and the sum of ``per_player``."""
    return np.asarray(by_size)[coalitions.sum(axis=1)] + coalitions @ np.asarray(per_player)
