"""Rows are filled up, so that no number depends on how many others there are.

A processor computes several numbers at once, and those that are left at the end one by one, with other functions: the
last bits of a sigmoid differ between the two. Which numbers of a coalition are left at the end would depend on how many
coalitions stand before it. Filled up to whole vectors, none are.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["FULL", "filled"]

#: Every vector of a processor divides this, for every dtype, and so do the pairs of vectors that torch takes at once.
FULL = 32


def filled(rows: Tensor, dim: int = 0) -> Tensor:
    """Return rows with the first one repeated at the end, up to a multiple of ``FULL`` of them.

    Examples
    --------
    >>> filled(torch.tensor([[5.0], [6.0]])).shape
    torch.Size([32, 1])
    """
    missing = -rows.shape[dim] % FULL
    if not missing or not rows.shape[dim]:
        return rows
    first = rows.narrow(dim, 0, 1)
    shape = list(rows.shape)
    shape[dim] = missing
    return torch.cat([rows, first.expand(shape)], dim=dim)
