"""Which surrogate: that with the least error for pairs that it was not fitted to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.estimators.sizes import Along
from unshap_plugin.estimators.surrogates.base import Surrogate
from unshap_plugin.estimators.surrogates.gaussian_process import MOST_PAIRS, MOST_PLAYERS, GaussianProcess
from unshap_plugin.estimators.surrogates.linear import Linear

__all__ = ["CHOSEN", "SURROGATES", "Fitted", "fit"]

#: Whichever has the least error.
CHOSEN = "chosen"

SURROGATES: dict[str, type[Surrogate]] = {one.name: one for one in (Linear, GaussianProcess)}


class Fitted:
    """One surrogate for each of ``t`` columns; with none it is zero.

    Parameters
    ----------
    surrogates
        All that were fitted.
    shape
        Numbers of players and of columns.

    Examples
    --------
    >>> Fitted([], (3, 2)).predict(np.eye(3, dtype=bool)).shape
    (3, 2)
    """

    def __init__(self, surrogates: list[Surrogate], shape: tuple[int, int]) -> None:
        best = np.argmin([one.error for one in surrogates], axis=0) if surrogates else np.zeros(shape[1])
        self._parts = [(one, best == k) for k, one in enumerate(surrogates)]
        self._shape = shape

    def predict(self, pairs: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return predictions for coalitions ``[m, n_players]``, as ``[m, t]``."""
        found = np.zeros((len(pairs), self._shape[1]))
        for surrogate, columns in self._parts:
            if columns.any():
                found[:, columns] = surrogate.predict(pairs)[:, columns]
        return found

    def shares(self, along: Along, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the weighted shares of the surrogates, ``[n_players, t]``; see ``Surrogate.shares``."""
        found = np.zeros(self._shape)
        for surrogate, columns in self._parts:
            if columns.any():
                found[:, columns] = surrogate.shares(along, weight)[:, columns]
        return found


def fit(pairs: NDArray[np.bool_], half: NDArray[np.float64], surrogate: str, even: bool = False) -> Fitted:
    """Return the surrogate of that name, or, for ``"chosen"``, the better one of each column.

    Parameters
    ----------
    pairs, half, even
        See ``Surrogate``.

    Examples
    --------
    >>> pairs = np.eye(4, dtype=bool)
    >>> fit(pairs, pairs @ np.ones((4, 1)), "linear").predict(pairs).round(2).ravel()
    array([1., 1., 1., 1.])
    """
    names = [surrogate]
    if surrogate == CHOSEN:
        small = pairs.shape[1] <= MOST_PLAYERS and len(pairs) <= MOST_PAIRS
        names = [*SURROGATES] if small else [Linear.name]
    return Fitted(
        [SURROGATES[name](pairs, half, even) for name in names] if len(pairs) else [],
        (pairs.shape[1], half.shape[1]),
    )
