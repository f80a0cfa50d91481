"""Many linear systems at once, one per coalition, none of which depends on the others."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["conjugate_gradients", "damped_factor", "dot", "solve_damped"]


def solve_damped(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Solve ``(C + r I) s = g`` by Cholesky, in float64, with the least damping ``r`` that makes ``C`` definite.

    Parameters
    ----------
    matrices, vectors
        ``[m, p, p]`` and ``[m, p]``.

    Returns
    -------
    ``[m, p]``; not finite where no damping helps (the matrix is not finite).
    """
    factor = damped_factor(matrices)
    # Two triangular solves: torch.cholesky_solve copies the factor, which takes longer than solving.
    half = torch.linalg.solve_triangular(factor, vectors.double()[:, :, None], upper=False)
    solution = torch.linalg.solve_triangular(factor.mT, half, upper=True)[:, :, 0]
    solution[torch.isnan(factor[:, 0, 0])] = torch.nan
    return solution.to(vectors.dtype)


def damped_factor(matrices: Tensor) -> Tensor:
    """Return the Cholesky factors of ``C + r I``, in float64, with the least damping ``r`` that makes ``C`` definite.

    Parameters
    ----------
    matrices
        ``[m, p, p]``.

    Returns
    -------
    ``[m, p, p]``; NaN where no damping helps (the matrix is not finite).
    """
    c = matrices.double()
    # The largest entry, not the mean: sums over one row and over many are not added up in the same order.
    scale = c.diagonal(dim1=1, dim2=2).abs().amax(dim=1).clamp(min=torch.finfo(torch.float64).tiny)
    damping = torch.finfo(matrices.dtype).eps * scale
    c = c.clone() if c is matrices else c
    c.diagonal(dim1=1, dim2=2).add_(damping[:, None])
    factor, info = torch.linalg.cholesky_ex(c)
    for exponent in range(-4, 5):
        bad = info > 0
        if not bad.any():
            break
        raised = 10.0**exponent * scale[bad]
        c.diagonal(dim1=1, dim2=2)[bad] += (raised - damping[bad])[:, None]
        damping[bad] = raised
        factor[bad], info[bad] = torch.linalg.cholesky_ex(c[bad])
    factor[info > 0] = torch.nan
    return factor


def conjugate_gradients(
    multiply: Callable[[Tensor], Tensor],
    precondition: Callable[[Tensor], Tensor],
    vectors: Tensor,
    *,
    tolerance: float = 1e-2,
    iterations: int = 100,
) -> Tensor:
    """Solve ``C s = g`` by preconditioned conjugate gradients (Hestenes & Stiefel 1952).

    A system is left alone once its residual has fallen to ``tolerance`` times what it was (in the norm of the
    preconditioner), or where ``C`` curves downwards along the way: what has been reached by then is a direction of
    descent (Steihaug 1983).

    Parameters
    ----------
    multiply, precondition
        Functions from ``[m, p]`` to ``[m, p]`` that multiply with the matrices, and approximately with their inverses.
    vectors
        ``[m, p]``.

    Returns
    -------
    ``[m, p]``.
    """
    residual = vectors.clone()
    scaled = precondition(residual)
    fallback, search = scaled, scaled.clone()
    solution = torch.zeros_like(vectors)
    size = dot(residual, scaled)
    enough = tolerance**2 * size
    active = size > 0
    moved = torch.zeros_like(active)
    for _ in range(iterations):
        if not active.any():
            break
        image = multiply(search)
        curvature = dot(search, image)
        active = active & (curvature > 0)
        moved = moved | active
        # Those that are left alone take steps of no length: nothing that is not finite may be multiplied by zero.
        step = torch.where(active, size / curvature, 0.0)[:, None]
        solution.addcmul_(step, search)
        residual.addcmul_(step, torch.where(active[:, None], image, 0.0), value=-1)
        scaled = precondition(residual)
        new = dot(residual, scaled)
        active = active & (new > enough)
        search.mul_(torch.where(active, new / size, 0.0)[:, None]).add_(scaled)
        size = new
    return torch.where(moved[:, None], solution, fallback)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Return the dot products ``[m]`` of ``[m, k]``, added up row by row: products of matrices of one row are not."""
    return torch.linalg.vecdot(a, b)
