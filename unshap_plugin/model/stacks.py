"""Stacked parameters: one copy of a module's parameters for each coalition."""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor

from unshap_plugin.model.rows import Rows, map_rows

__all__ = ["Theta", "copies", "gradients_in", "in_pairs", "one_of", "per_copy", "row_weights"]

#: Parameters by name, ``[m, *shape]`` each.
Theta: TypeAlias = dict[str, Tensor]


def row_weights(retained: Tensor, dtype: torch.dtype) -> Tensor:
    """Return weights ``[m, rows]`` that make the weighted sum the mean over the retained rows (0 where none is).

    Examples
    --------
    >>> row_weights(torch.tensor([[True, True], [False, False]]), torch.float32)
    tensor([[0.5000, 0.5000],
            [0.0000, 0.0000]])
    """
    chosen = retained.to(dtype)
    return chosen / chosen.sum(dim=1, keepdim=True).clamp(min=1)


def per_copy(values: Tensor, p: Tensor) -> Tensor:
    """Return values ``[m]`` in the shape that multiplies ``p [m, *shape]`` copy by copy.

    Examples
    --------
    >>> per_copy(torch.zeros(4), torch.zeros(4, 3, 2)).shape
    torch.Size([4, 1, 1])
    """
    return values.reshape(-1, *[1] * (p.ndim - 1))


def copies(theta: Theta) -> int:
    """Return the number of copies, m."""
    return len(next(iter(theta.values())))


def one_of(theta: Theta, k: int) -> Theta:
    """Return the parameters of copy ``k``, ``[*shape]`` each."""
    return {name: p[k] for name, p in theta.items()}


def in_pairs(theta: Theta, x: Rows, rows_per_copy: bool) -> tuple[Theta, Rows]:
    """Return a copy that is alone twice, with its rows where each has its own; several as they are.

    Products with one matrix are added up in another way than those with several.

    Examples
    --------
    >>> theta, x = in_pairs({"weight": torch.zeros(1, 3)}, torch.zeros(1, 5), rows_per_copy=True)
    >>> theta["weight"].shape, x.shape
    (torch.Size([2, 3]), torch.Size([2, 5]))
    """
    if copies(theta) != 1:
        return theta, x
    twice = {name: p.expand(2, *p.shape[1:]) for name, p in theta.items()}
    return twice, map_rows(lambda t: t.expand(2, *t.shape[1:]), x) if rows_per_copy else x


def gradients_in(value: Tensor, leaf: Theta) -> Theta:
    """Return the gradients of a number in parameters, zero for those that it does not depend on."""
    parts = torch.autograd.grad(value, list(leaf.values()), allow_unused=True)
    pairs = zip(leaf.items(), parts, strict=True)
    return {name: torch.zeros_like(p) if g is None else g for (name, p), g in pairs}
