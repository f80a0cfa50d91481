"""A test of whether unlearning ran away: the mean loss of a model, held against that of an uninformed one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unshap_plugin.losses import losses_of
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.problem.problem import ValuationProblem

__all__ = ["Limit"]

#: More than so many times the mean loss of an uninformed model (or of the given one, if larger) is a divergence.
FACTOR = 100


@dataclass(frozen=True)
class Limit:
    """The largest mean loss on the test set that a model may have.

    Parameters
    ----------
    problem
        The problem, whose loss it is.
    loss
        The limit; infinite where there is none.
    """

    problem: ValuationProblem
    loss: float

    @classmethod
    def of(cls, problem: ValuationProblem, *, bounded: bool) -> Limit:
        """Return the limit for a problem: none for objects with ``fit`` and ``predict``, or where not ``bounded``."""
        if not bounded or not isinstance(problem, ModuleProblem):
            return cls(problem, np.inf)
        outputs = problem.outputs(problem.model, problem.x_test)
        average = outputs.mean(dim=0, keepdim=True).expand_as(outputs)
        return cls(problem, FACTOR * max(float(problem.loss(one, problem.y_test).mean()) for one in (outputs, average)))

    def mean_losses(self, outputs: Tensor) -> Tensor:
        """Return the mean losses ``[m]`` of models with outputs ``[m, rows, ...]``; zero where there is no limit."""
        if not np.isfinite(self.loss):
            return torch.zeros(len(outputs), device=outputs.device)
        return losses_of(self.problem.loss, outputs, self.problem.y_test).mean(dim=1)

    def why(self, finite: Tensor, loss: Tensor, utility: NDArray[np.float64]) -> str:
        """Return in words why a utility is not a finite number."""
        if not finite:
            return "gave outputs that are not finite"
        if not loss <= self.loss:
            return (
                f"diverged: the mean loss on the test set is {float(loss):.3g}, beyond {self.loss:.3g}, {FACTOR} times "
                f"that of an uninformed model,"
            )
        return f"led to a utility of {utility.tolist()}"
