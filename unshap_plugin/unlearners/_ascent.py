"""Ascent of the loss up to what an uninformed model would have: what the methods that raise losses share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from unshap_plugin.problem.module_problem import ModuleProblem

__all__ = ["Bound", "given_losses", "loss_bound"]


@dataclass(frozen=True)
class Bound:
    """Up to where the losses of the training rows are raised.

    Parameters
    ----------
    cap
        The loss at which each row is left alone, ``[rows]``.
    span
        The distance over which the weight of a row falls from one to zero, a scalar.
    """

    cap: Tensor
    span: Tensor

    def __call__(self, losses: Tensor, weights: Tensor, cap: Tensor) -> Tensor:
        """Return the terms of an objective for some rows: those with negative weights ascend, up to their bounds.

        ``c_i = clip((cap_i - loss_i) / span, -1, 1)`` is held constant in the gradient: a row at its bound is left
        alone and one beyond it is led back, so that an ascent, which has no optimum of its own, cannot run away.
        """
        c = ((cap - losses.detach()) / self.span).clamp(-1, 1)
        return weights * torch.where(weights < 0, c, 1.0) * losses


def given_losses(problem: ModuleProblem) -> Tensor:
    """Return the losses of the training rows in the given model, ``[rows]``."""
    return problem.loss(problem.outputs(problem.model, problem.x), problem.y)


def loss_bound(problem: ModuleProblem) -> Bound:
    """Return the bound ``B_i = max(B, loss_i(theta_0))``, where ``B`` is the loss of an uninformed model.

    That answers the average output of the given model for every row. A row whose loss is beyond it already was never
    learned: it keeps the loss that it has.
    """
    outputs, losses = problem.outputs(problem.model, problem.x), problem.once(given_losses)
    average = outputs.mean(dim=0, keepdim=True).expand_as(outputs)
    uninformed = problem.loss(average, problem.y).mean()
    return Bound(torch.maximum(losses, uninformed), (uninformed - losses.min()).clamp(min=1e-6))
