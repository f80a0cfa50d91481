"""First-order unlearning (Warnecke, Pirch, Wressnegger & Rieck 2023, arXiv 2108.11577)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unshap_plugin import Access, UnlearnerSpec, hookimpl
from unshap_plugin.model.rows import arguments, take
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.second_order.solvers import batch_invariant_matmul

__all__ = ["first_order", "first_order_batched", "unshap_unlearners"]


def first_order(
    model: nn.Module,
    forget: Any,
    retain: None,  # noqa: ARG001
    reference: None,  # noqa: ARG001
    generator: torch.Generator,  # noqa: ARG001
    *,
    loss: Callable[[Tensor, Tensor], Tensor],
    rate: float = 0.01,
) -> nn.Module:
    """One step up the gradient of the forget rows.

    ``theta_0 + rate * sum_F grad loss_i(theta_0)``, the update of section IV-B for rows that are deleted.
    """
    x, y = forget
    positional, named = arguments(x)
    unlearned = copy.deepcopy(model)
    parameters = [p for p in unlearned.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(loss(unlearned(*positional, **named), y).sum(), parameters)
    with torch.no_grad():
        for p, gradient in zip(parameters, gradients, strict=True):
            p.add_(gradient, alpha=rate)
    return unlearned


def first_order_batched(
    problem: ModuleProblem,
    coalitions: NDArray[np.bool_],
    seed: int,  # noqa: ARG001
    *,
    rate: float,
) -> dict[str, Tensor]:
    """Return the same for many coalitions: the gradients of the rows are added up in one matrix product."""
    engine = problem.engine
    by_row = problem.once(_gradients_by_row)
    forget = (~problem.retained(coalitions)).to(engine.dtype)
    return {
        name: p + rate * batch_invariant_matmul(forget, by_row[name].flatten(1)).reshape(-1, *p.shape)
        for name, p in engine.theta0.items()
    }


def _gradients_by_row(problem: ModuleProblem) -> dict[str, Tensor]:
    """Return the gradient of the loss of every row, ``[rows, *shape]``: mind the memory of large models."""
    engine, n = problem.engine, len(problem.y)
    own = torch.arange(n)[:, None]
    one = torch.ones(n, 1, dtype=engine.dtype, device=problem.y.device)
    return engine.gradients(engine.stack(n), one, take(problem.x, own), problem.y[own], rows_per_copy=True)


@hookimpl
def unshap_unlearners() -> Iterable[UnlearnerSpec]:
    """Offer the method."""
    yield UnlearnerSpec.from_function(
        first_order, batched=first_order_batched, needs=Access.FORGET, source="Warnecke et al. 2023, arXiv 2108.11577"
    )
