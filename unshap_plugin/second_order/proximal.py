"""How weak a proximal term may be: what no row decides has to be decided by something."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["floored", "floored_alone", "lowest", "quadratic_form", "raised"]

#: The share of a row that decides what no retained row of a linear head does. A hundredth moved the utilities of
#: unpenalised intercepts by up to .05, and a ten-thousandth values by up to 3% where the penalty was weak.
_LITTLE = 1e-6


def floored(proximal: Tensor, curvature: Tensor, n: int) -> Tensor:
    """Return the proximal strengths ``[p]``, raised to a hundredth of the mean curvature of one row of ``n`` at least.

    Without a proximal term, coalitions without rows (or directions that no row determines) would stay where they are,
    as if nothing had been forgotten. A hundredth of a row decides those, and hardly anything else.
    """
    return proximal.clamp(min=0.01 * float(curvature) / n)


def floored_alone(proximal: Tensor, matrix: Tensor, l2: Tensor, n: int, *, rows: bool = True) -> Tensor:
    """Return the proximal strengths ``[p]`` of a linear head, raised to a little of what one row of ``n`` tells.

    What the rows tell about a parameter alone, the others being free, is one over its place in the inverse of the
    ``matrix [p, p]``, whatever the scales and the means of the features: a column of years (2,000 and a few) tells much
    about the sum of its weight and the intercept, and little about either. Directions of which the rows tell nothing
    get what round-off cannot fill, and without ``rows`` so do all others.
    """
    scale, values, vectors = _eigen(matrix + torch.diag(l2 + proximal))
    alone = 1 / (scale.square() * (vectors.square() / values).sum(dim=1))
    least = (rows * _LITTLE * alone).maximum(torch.finfo(matrix.dtype).eps ** 0.75 / scale.square())
    return proximal.maximum((least / n).to(proximal))


def quadratic_form(matrix: Tensor, vector: Tensor) -> float:
    """Return ``g^T C^-1 g`` for a symmetric ``C [p, p]`` and ``g [p]``, round-off in directions where ``C`` is zero."""
    scale, values, vectors = _eigen(matrix)
    return float(((vectors.T @ (scale * vector.double())).square() / values).sum())


def _eigen(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return what makes the diagonal of a matrix one, and the sizes of eigenvalues and the eigenvectors it then has."""
    scale = matrix.double().diagonal().clamp(min=torch.finfo(torch.float32).tiny).rsqrt()
    values, vectors = torch.linalg.eigh(scale[:, None] * matrix.double() * scale[None])
    return scale, values.abs().clamp(min=_round_off(matrix)), vectors


def lowest(matrix: Tensor) -> Tensor:
    """Return the lowest eigenvalue of a symmetric matrix, zero where it is negative by round-off alone."""
    values = torch.linalg.eigvalsh(matrix)
    return values[0] if values[0] < -_round_off(matrix) * values[-1] else values[0].clamp(min=0)


def _round_off(matrix: Tensor) -> float:
    """Return which share of its largest eigenvalue the others are wrong by."""
    return 10 * len(matrix) * torch.finfo(matrix.dtype).eps


def raised(proximal: Tensor, lowest: Tensor) -> Tensor:
    """Return the proximal strengths ``[p]``, raised until the ``lowest`` eigenvalue of the Hessian is positive."""
    return proximal + (-2 * lowest).clamp(min=0)
