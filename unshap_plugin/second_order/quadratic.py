"""The expansion of the objective that second-order methods minimise."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Quadratic"]


@dataclass(frozen=True)
class Quadratic:
    """The centred objective of all rows, expanded at the given parameters, where its gradient is zero.

    Parameters
    ----------
    n
        Number of rows.
    matrix
        Sum of the curvature matrices of their losses, ``[p, p]``.
    diagonal
        Curvature of penalty and proximal term, ``[p]``.
    correction
        Gradient of losses, penalty and proximal term, which the objective subtracts, ``[p]``.
    init
        Initial parameters, ``[p]``.
    """

    n: int
    matrix: Tensor
    diagonal: Tensor
    correction: Tensor
    init: Tensor
