"""Confidence intervals of values, from their standard errors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from unshap_plugin.errors import InvalidValueError, check_number

__all__ = ["check_level", "student_interval"]


def check_level(level: float) -> None:
    """Raise unless a confidence level is a number between 0 and 1.

    Raises
    ------
    InvalidValueError, InvalidTypeError
        If it is not.
    """
    check_number("level", level, zero=False)
    if not level < 1:
        raise InvalidValueError(f"level is {level}, but a number between 0 and 1 is needed.")


def student_interval(
    values: NDArray[np.float64],
    std_errors: NDArray[np.float64],
    degrees_of_freedom: NDArray[np.float64],
    level: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return lower and upper ends of Student's confidence intervals; NaN where there is no standard error.

    All arrays have the same shape.

    Examples
    --------
    >>> low, high = student_interval(np.zeros(2), np.array([1.0, 0.0]), np.array([np.inf, np.inf]), 0.95)
    >>> low.round(2).tolist(), high.round(2).tolist()
    ([-1.96, 0.0], [1.96, 0.0])
    """
    half = stats.t.isf((1 - level) / 2, degrees_of_freedom) * std_errors
    return values - half, values + half
