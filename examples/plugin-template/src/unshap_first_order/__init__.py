"""First-order unlearning (Warnecke, Pirch, Wressnegger & Rieck 2023, arXiv 2108.11577)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unshap_plugin.plugin import ModuleProblem, UnlearnerSpec, hookimpl

__all__ = ["first_order", "first_order_batched", "unshap_unlearners"]


def first_order(
    model: nn.Module, forget: tuple[Tensor, Tensor], loss: Callable[[Tensor, Tensor], Tensor], *, rate: float = 0.01
) -> nn.Module:
    """One step up the gradient of the forget rows.

    ``theta_0 + rate * sum_F grad loss_i(theta_0)``, the update of section IV-B for rows that are deleted.
    """
    x, y = forget
    unlearned = copy.deepcopy(model)
    parameters = [p for p in unlearned.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(loss(unlearned(x), y).sum(), parameters)
    with torch.no_grad():
        for p, gradient in zip(parameters, gradients, strict=True):
            p.add_(gradient, alpha=rate)
    return unlearned


def first_order_batched(problem: ModuleProblem, coalitions: NDArray[np.bool_], *, rate: float) -> dict[str, Tensor]:
    """Return the same for many coalitions: one gradient each, of the losses of its forget rows."""
    theta = problem.engine.stack(len(coalitions))
    forget = (~problem.retained(coalitions)).to(problem.engine.dtype)
    gradients = problem.engine.gradients(theta, forget, problem.x, problem.y)
    return {name: p + rate * gradients[name] for name, p in theta.items()}


@hookimpl
def unshap_unlearners() -> Iterable[UnlearnerSpec]:
    """Offer the method."""
    yield UnlearnerSpec.from_function(
        first_order, batched=first_order_batched, source="Warnecke et al. 2023, arXiv 2108.11577"
    )
