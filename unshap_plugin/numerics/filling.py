"""Rows are filled up, so that no number depends on how many others there are.

A processor computes several numbers at once, and those that are left at the end one by one, with other functions: the
last bits of a sigmoid differ between the two. Which numbers of a coalition are left at the end would depend on how many
coalitions stand before it. Filled up to whole vectors, none are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["FULL", "TILE", "batch_invariant_matmul", "filled", "softplus"]

#: Every vector of a processor divides this, for every dtype, and so do the pairs of vectors that torch takes at once.
FULL = 32
#: Products are taken of rows and columns in multiples of this.
TILE = 8


def filled(rows: Tensor, dim: int = 0, multiple: int = FULL) -> Tensor:
    """Return rows with the first one repeated at the end, up to a multiple of ``FULL`` of them, or of another number.

    Examples
    --------
    >>> filled(torch.tensor([[5.0], [6.0]])).shape
    torch.Size([32, 1])
    """
    missing = -rows.shape[dim] % multiple
    if not missing or not rows.shape[dim]:
        return rows
    first = rows.narrow(dim, 0, 1)
    shape = list(rows.shape)
    shape[dim] = missing
    return torch.cat([rows, first.expand(shape)], dim=dim)


def batch_invariant_matmul(a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
    """Return ``a @ b`` for ``[..., k]`` and ``[k, n]``, each row of which is the same whatever the other rows are.

    Libraries add the last rows and columns, those that do not fill one of their tiles, up in another order than the
    rest: without zeros that fill the tiles, the result for a coalition would depend on the size of its batch.

    Parameters
    ----------
    a, b
        ``[..., k]`` and ``[k, n]``.
    out
        ``[..., n]``, contiguous: where the products are written to if nothing has to be filled.

    Examples
    --------
    >>> a, b = torch.rand(9, 5), torch.rand(5, 3)
    >>> torch.equal(batch_invariant_matmul(a, b)[8:], batch_invariant_matmul(a[8:], b))
    True
    """
    rows = a.flatten(0, -2)
    m, n = len(rows), b.shape[1]
    if out is not None and not (m % TILE or n % TILE):
        torch.mm(rows, b, out=out.view(m, n))
        return out
    # Copies are made only where there is something to fill.
    rows = F.pad(rows, (0, 0, 0, -m % TILE)) if m % TILE else rows
    columns = F.pad(b, (0, -n % TILE)) if n % TILE else b
    return (rows @ columns)[:m, :n].unflatten(0, a.shape[:-1])


def softplus(values: Tensor) -> Tensor:
    """Return ``log(1 + exp(values))``, ``[..., k]``, each of which is the same wherever it stands.

    Examples
    --------
    >>> values = torch.rand(5, 3)
    >>> torch.equal(softplus(values)[4:], softplus(values[4:]))
    True
    """
    k = values.shape[-1]
    return F.softplus(F.pad(values, (0, -k % FULL)))[..., :k]
