"""Adam on a displacement whose size is that of the forget set: what the gradient methods share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unshap_plugin.errors import check_integer, check_number
from unshap_plugin.model.engine import Engine
from unshap_plugin.model.optimizers import StackedOptimizer
from unshap_plugin.model.stacks import Theta, per_copy
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.unlearners._terms import Term, batch_bytes
from unshap_plugin.unlearners.base import Unlearner

__all__ = [
    "Displaced",
    "centre",
    "descend_displaced",
    "forget_weights",
    "from_scratch",
    "initial_parameters",
    "shrunk",
]


@dataclass(frozen=True)
class Displaced(Unlearner):
    """Base of the methods that move by some steps of Adam on a displacement (see ``descend_displaced``).

    Parameters
    ----------
    steps
        Steps of Adam.
    lr
        Learning rate, at which the displacement of a coalition that forgets everything moves.
    batch_size
        Rows of a step for each coalition, of the training rows that it gives a weight and of the reference set (see
        ``Term.batches``); ``None`` takes all of them. What is no multiple of 32 is filled up to one and costs as much.
    """

    advice: ClassVar[str] = "a smaller lr or fewer steps"

    steps: int
    lr: float
    batch_size: int | None = None

    def __post_init__(self) -> None:
        """Check the settings."""
        check_integer("steps", self.steps, 1)
        check_number("lr", self.lr, zero=False)
        if self.batch_size is not None:
            check_integer("batch_size", self.batch_size, 1)

    def bytes_per_coalition(self, problem: ModuleProblem) -> int:
        """Count the rows of a batch."""
        whole = self.batch_size is None or self.batch_size >= len(problem.y)
        return super().bytes_per_coalition(problem) if whole else batch_bytes(problem, self.batch_size)

    def _descended(
        self, engine: Engine, start: Theta, scale: Tensor, terms: Sequence[Term], seed: int, centre: Theta | None = None
    ) -> Theta:
        """Return where the steps end that descend the sum of some terms (see ``descend_displaced``)."""
        batches = zip(*(term.batches(self.batch_size, self.steps, seed) for term in terms), strict=True)
        return descend_displaced(engine, start, scale, batches, self.lr, centre)


def forget_weights(problem: ModuleProblem, coalitions: NDArray[np.bool_]) -> tuple[Tensor, Tensor]:
    """Return ``1 / n`` for the rows that each coalition forgets, else 0, ``[m, rows]``, and ``|F| / n``, ``[m]``.

    ``n`` is the number of rows that the model was trained on, also where fewer are at hand.
    """
    engine = problem.engine
    forget = ~problem.retained(coalitions)
    # Whole numbers are counted: a sum of shares would depend on the order in which they are added up.
    share = forget.sum(dim=1).to(engine.dtype) / problem.trained_rows
    return forget.to(engine.dtype) / problem.trained_rows, share


def shrunk(problem: ModuleProblem, shrinkage: Tensor) -> Theta:
    """Return the given parameters, moved towards untrained ones by a share ``[m]`` of the way, one copy each.

    Untrained are the initial parameters of the recipe where these are known. Else zero for matrices, to which a random
    start is near by the scale of what is learned, and the given values for vectors: biases, and the scales of
    normalisation layers, which must not vanish.
    """
    engine, initial = problem.engine, problem.once(initial_parameters)
    start = engine.stack(len(shrinkage))
    for name, p in start.items():
        if initial is not None:
            p += per_copy(shrinkage.to(p.dtype), p) * (initial[name] - p)
        elif p.ndim > 2:  # [m, *shape]
            p -= per_copy(shrinkage.to(p.dtype), p) * p
    return start


def centre(problem: ModuleProblem, retained: Tensor, weight: float = 1.0) -> Theta:
    """Return the gradient of the mean loss of all rows at the given parameters, one copy for each coalition.

    Parameters
    ----------
    problem
        The given model and all rows.
    retained
        Which rows each coalition retains, ``[m, rows]``. Without one there is nothing to descend, nothing to centre.
    weight
        Weight of the mean loss of the retained rows.
    """
    engine = problem.engine
    residual = problem.once(_mean_gradient)
    some = weight * retained.any(dim=1).to(engine.dtype)
    return {name: per_copy(some, p) * p for name, p in residual.items()}


def from_scratch(problem: ModuleProblem, theta: Theta, retained: Tensor) -> Theta:
    """Put the initial parameters, where they are known, in the places of coalitions that retain no row."""
    initial = problem.once(initial_parameters)
    if initial is not None:
        for name, p in theta.items():
            p[~retained.any(dim=1)] = initial[name]
    return theta


def _mean_gradient(problem: ModuleProblem) -> Theta:
    """Return the gradient of the mean loss of all rows at the given parameters, ``[1, *shape]``."""
    engine, rows = problem.engine, len(problem.y)
    everything = torch.full((1, rows), 1 / rows, dtype=engine.dtype, device=problem.y.device)
    return engine.gradients(engine.stack(1), everything, problem.x, problem.y)


def initial_parameters(problem: ModuleProblem) -> Theta | None:
    """Return the parameters that training started from, ``[*shape]`` each, where the recipe knows them."""
    engine, recipe = problem.engine, problem.recipe
    if recipe is None or recipe.init is None:
        return None
    state = recipe.initial_state(engine.module, seed=0)  # which is known
    return {name: state[name] for name in engine.theta0}


def descend_displaced(
    engine: Engine,
    start: Theta,
    scale: Tensor,
    batches: Iterable[Sequence[Term]],
    lr: float,
    centre: Theta | None = None,
) -> Theta:
    """Run Adam on ``u`` in ``theta = start + scale * u``, for every coalition at once.

    Adam's steps have the size of the learning rate whatever the size of the gradient, so that plain Adam moves as far
    for one forgotten row as for a half of all rows. With the displacement scaled by the share of the rows that is
    forgotten (or its root), removing little changes little, and removing nothing changes nothing.

    Parameters
    ----------
    engine
        The module.
    start
        Stacked parameters to start from.
    scale
        Factor of the displacement of each coalition, ``[m]``.
    batches
        For each step the terms whose sum is to be minimised.
    lr
        Learning rate of Adam.
    centre
        Stacked gradients that are subtracted from those of every step.

    Returns
    -------
    Stacked parameters.
    """
    first = engine.flatten(start)
    optimizer = StackedOptimizer("adam", torch.zeros_like(first), lr, {})
    total, theta = engine.unflatten(optimizer.gradient), start
    for terms in batches:
        gradients, *others = (term.gradients(engine, theta) for term in terms)
        for name, slot in total.items():
            slot.copy_(gradients[name])
            for other in others:
                slot.add_(other[name])
            if centre is not None:
                slot.sub_(centre[name])
        optimizer.step()
        theta = engine.unflatten(first + scale.to(first)[:, None] * optimizer.current)
    return theta
