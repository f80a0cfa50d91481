"""Ranks of values, and what sampling leaves open of them.

A joint confidence region of all ranks (Klein, Wright & Wieczorek, "A joint confidence region for an overall ranking of
populations", Journal of the Royal Statistical Society C 69(3), 2020): where the intervals of all values cover at once,
a player ranks below everybody whose interval lies above its own, and above everybody whose interval lies below.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from unshap_plugin.results.intervals import student_interval

__all__ = ["rank_intervals", "ranks"]


def ranks(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the ranks of values ``[n_players]``, or of each column of ``[n_players, t]``: 1 is the most valuable.

    Players of equal value share the best of their ranks.

    Examples
    --------
    >>> ranks(np.array([0.5, 2.0, 0.5])).tolist()
    [2, 1, 2]
    """
    counted: NDArray[np.int64] = stats.rankdata(-values, method="min", axis=0).astype(np.int64)
    return counted


def rank_intervals(
    values: NDArray[np.float64],
    std_errors: NDArray[np.float64],
    degrees_of_freedom: NDArray[np.float64],
    level: float,
    same: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the best and the worst rank of each player, which hold for all players at once with that ``level``.

    Bonferroni's inequality holds however the errors of the values hang together, which a result does not say.

    Parameters
    ----------
    values, std_errors, degrees_of_freedom
        ``[n_players]`` or ``[n_players, t]``; the columns are ranked each for itself. Without a standard error (NaN) a
        value may lie anywhere.
    level
        Between 0 and 1.
    same
        Values that are no further apart are equal, a scalar or ``[t]``.

    Examples
    --------
    >>> values, errors = np.array([9.0, 5.0, 4.9, 5.1]), np.array([0.1, 0.1, 0.1, 0.1])
    >>> low, high = rank_intervals(values, errors, np.full(4, np.inf), 0.95, np.array(0.0))
    >>> low.tolist(), high.tolist()
    ([1, 2, 2, 2], [1, 4, 4, 4])
    """
    n = len(values)
    lower, upper = student_interval(values, std_errors, degrees_of_freedom, 1 - (1 - level) / max(n, 1))
    best, worst = np.empty(values.shape, dtype=np.int64), np.empty(values.shape, dtype=np.int64)
    for column in np.ndindex(values.shape[1:]):
        at: Any = (slice(None), *column)
        low = np.where(np.isnan(lower[at]), -np.inf, lower[at])
        high = np.where(np.isnan(upper[at]), np.inf, upper[at])
        apart = same[column]
        best[at] = 1 + n - np.searchsorted(np.sort(low), high + apart, side="right")
        worst[at] = n - np.searchsorted(np.sort(high), low - apart, side="left")
    return best, worst
