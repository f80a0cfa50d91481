"""Blocks of rows: how many of them a swapped module is run on at a time.

What a layer of a language model computes is some hundred times as large as the tokens that it is given. Sums over rows,
and gradients of these, are therefore taken a block of rows at a time. How many rows these are depends on the module and
on the shape of a row, never on how many copies there are or on what memory is free, which could change last bits.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from unshap_plugin.model.rows import Rows, leaves, map_rows
from unshap_plugin.model.stacks import Theta
from unshap_plugin.model.swapped import SwappedModule
from unshap_plugin.numerics.filling import filled
from unshap_plugin.support.peak import peak_bytes

__all__ = ["RowBlocks", "rows_in"]

#: What a block takes for one copy, unless the least number of rows takes more. With less, what a pass costs whatever
#: its size counts; with more, it leaves the cache (measured with GPT-2 and Llama of four layers of 64).
BLOCK_BYTES = 8 * 2**20


class RowBlocks:
    """Blocks of rows of a module.

    Parameters
    ----------
    multiple
        A block has a multiple of so many rows.

    Examples
    --------
    >>> module = torch.nn.Sequential(torch.nn.Linear(1000, 20000), torch.nn.ReLU()).eval()
    >>> theta0 = {name: p.detach() for name, p in module.named_parameters()}
    >>> form = SwappedModule.of(module, torch.rand(2, 1000))
    >>> blocks = RowBlocks(multiple=32)
    >>> blocks.bytes_of_a_row(form, theta0, torch.rand(100, 1000)) > 2 * 4 * 20000
    True
    >>> blocks.of(form, theta0, torch.rand(100, 1000))
    [slice(0, 32, None), slice(32, 64, None), slice(64, 96, None), slice(96, 100, None)]
    """

    def __init__(self, multiple: int) -> None:
        self._multiple = multiple
        self._bytes: dict[tuple[bool, tuple[torch.Size, ...]], int] = {}  # as measured

    def of(self, form: SwappedModule, theta0: Theta, x: Rows, *, gradients: bool = True) -> list[slice]:
        """Return the blocks of rows ``x``, ``[rows, ...]``."""
        rows, size = len(leaves(x)[0]), self.size(form, theta0, x, gradients=gradients)
        return [slice(begin, min(begin + size, rows)) for begin in range(0, rows, size)]

    def size(self, form: SwappedModule, theta0: Theta, x: Rows, *, gradients: bool = True) -> int:
        """Return how many rows a block has at most."""
        each = self.bytes_of_a_row(form, theta0, x, gradients=gradients)
        return max(BLOCK_BYTES // each // self._multiple, 1) * self._multiple

    def bytes_of_a_row(self, form: SwappedModule, theta0: Theta, x: Rows, *, gradients: bool = True) -> int:
        """Return what the module computes for a row and a copy at most at a time, in bytes; measured once.

        Parameters
        ----------
        form
            The module.
        theta0
            The given parameters, ``[*shape]`` each.
        x
            Rows ``[rows, ...]``, of which the first is looked at.
        gradients
            Whether gradients are taken.
        """
        shapes = tuple(leaf.shape[1:] for leaf in leaves(x))
        if (gradients, shapes) not in self._bytes:
            rows = map_rows(lambda t: filled(t[:1], 0, self._multiple), x)
            theta = {name: p.expand(2, *p.shape).clone().requires_grad_(gradients) for name, p in theta0.items()}
            peak = peak_bytes(_pass(form, theta, rows, gradients))
            self._bytes[gradients, shapes] = max(peak // (2 * self._multiple), 1)
        return self._bytes[gradients, shapes]


def rows_in(x: Rows, rows: slice, *, rows_per_copy: bool = False) -> Rows:
    """Return some of the rows ``[rows, ...]``, or ``[m, rows, ...]`` with ``rows_per_copy``.

    Examples
    --------
    >>> rows_in(torch.zeros(3, 5), slice(1, 3), rows_per_copy=True).shape
    torch.Size([3, 2])
    """
    return map_rows(lambda t: t[:, rows] if rows_per_copy else t[rows], x)


def _pass(form: SwappedModule, theta: Theta, rows: Rows, gradients: bool) -> Callable[[], Tensor]:
    def run() -> Tensor:
        with torch.set_grad_enabled(gradients):
            outputs = form(theta, rows)
            if gradients:
                torch.autograd.grad(outputs.sum(), list(theta.values()), allow_unused=True)
        return outputs

    return run
