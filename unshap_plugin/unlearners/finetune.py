"""``finetune``: go on training, on the retained rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from unshap_plugin.engine import along, row_weights
from unshap_plugin.errors import check_integer, check_number
from unshap_plugin.problem import Access, ValuationProblem
from unshap_plugin.unlearners.base import Models, StackedModels, Unlearner
from unshap_plugin.unlearners.displacement import descend_displaced

__all__ = ["FineTune"]


@dataclass(frozen=True)
class FineTune(Unlearner):
    """Descend the mean loss of the retained rows, centred, from the given parameters (Golatkar et al. 2020).

    ``min_theta  mean_R loss_i(theta) - <mean_N grad loss_i(theta_0), theta>`` by Adam on a displacement that is scaled
    by the forgotten share ``|F| / n``. The second term takes away what merely training on would do: a model that was
    not at an optimum does not move when nothing is removed. Without a retained row the result is the initial model of
    the recipe, or where that is not known the given one: there is nothing to descend.

    Access: retained rows. Cost per coalition: ``steps`` gradients of the retained rows. Error: nearer to that of
    doing nothing than to the noise of the training seed (``benchmarks/networks.py``).

    Parameters
    ----------
    steps
        Full-batch steps of Adam.
    lr
        Learning rate, at which the displacement of a coalition that forgets everything moves.
    """

    name: ClassVar[str] = "finetune"
    needs: ClassVar[Access] = Access.RETAIN
    tunable: ClassVar[Mapping[str, tuple[Any, ...]]] = {"steps": (5, 10, 20, 40), "lr": (0.005, 0.01, 0.02, 0.05)}

    steps: int = 10
    lr: float = 0.02

    def __post_init__(self) -> None:
        """Check the settings."""
        check_integer("steps", self.steps, 1)
        check_number("lr", self.lr, zero=False)

    def _unlearn(self, problem: ValuationProblem, coalitions: NDArray[np.bool_], seed: int) -> Models:
        engine = problem.engine
        assert engine is not None
        retained = problem.retained(coalitions)
        weights = row_weights(retained, engine.dtype)
        everything = torch.full_like(weights[:1], 1 / weights.shape[1])
        residual = engine.gradients(engine.stack(1), everything, problem.x, problem.y)

        # Without a retained row there is nothing to descend, and nothing to centre.
        some = retained.any(dim=1)
        centre = {name: along(some, p) * p for name, p in residual.items()}

        def gradient(theta: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            parts = engine.gradients(theta, weights, problem.x, problem.y)
            return {name: part - centre[name] for name, part in parts.items()}

        share = 1 - retained.to(engine.dtype).mean(dim=1)
        theta = descend_displaced(engine, share, gradient, steps=self.steps, lr=self.lr)
        if problem.recipe is not None and problem.recipe.init is not None:
            initial = problem.recipe.initial_state(engine.module, seed)
            for name, p in theta.items():
                p[~some] = initial[name]
        return StackedModels(engine, theta)
