"""Correlations of two vectors."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = ["pearson", "spearman"]


def spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the rank correlation of two vectors; NaN where it is not defined."""
    return pearson(stats.rankdata(a), stats.rankdata(b))


def pearson(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the correlation of two vectors; NaN where it is not defined (fewer than two numbers, or all equal)."""
    if len(a) < 2 or (a == a[0]).all() or (b == b[0]).all():
        return math.nan
    a, b = ((one - one.mean()) / np.ptp(one) for one in (a, b))
    return float(np.clip(a @ b / math.sqrt((a @ a) * (b @ b)), -1, 1))
