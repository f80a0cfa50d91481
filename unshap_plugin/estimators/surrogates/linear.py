"""``linear``: one number for each player, by ridge regression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.estimators.sizes import Along
from unshap_plugin.estimators.strata import blocks
from unshap_plugin.estimators.surrogates.base import SIZE_FUNCTIONS, Surrogate, of_sizes, spread

__all__ = ["Linear", "features_of"]

#: Penalties, as multiples of the mean eigenvalue.
PENALTIES = np.logspace(-9, 3, 25)
#: The penalty is chosen by the errors of at most so many pairs that are left out.
LEFT_OUT = 1_000
#: So many players, or pairs, make the largest matrix that is decomposed.
LARGEST = 1_500


class Linear(Surrogate):
    """``f(S) = sum_i b_i (2 z_i - 1)`` plus a function of the size of ``S``.

    An even one has ``1 - 2 |S| / n`` times that sum, and even functions of the size.

    It is fitted by ridge regression (Hoerl & Kennard 1970), whose penalty is chosen by the exact errors of pairs that
    are left out (PRESS, Allen 1974). Of more than 1,500 players it sees 1,500 pairs at most.

    Examples
    --------
    >>> pairs = np.eye(4, dtype=bool)
    >>> fitted = Linear(pairs, pairs @ np.array([[1.0], [2.0], [3.0], [4.0]]) - 5)
    >>> from unshap_plugin.estimators.sizes import sizes_of
    >>> shapley = sizes_of(np.full(4, 0.25))  # of a game in which each player adds its number
    >>> fitted.shares(shapley.odd, shapley.mass).round(1).ravel() + 2.5
    array([1., 2., 3., 4.])
    """

    name: ClassVar[str] = "linear"

    def __init__(self, pairs: NDArray[np.bool_], half: NDArray[np.float64], even: bool = False) -> None:
        if pairs.shape[1] > LARGEST:
            pairs, half = pairs[:LARGEST], half[:LARGEST]
        self._even = even
        features = features_of(pairs, even)
        values, rows, target, turn = _decomposed(features, half)
        self.error = np.full(half.shape[1], np.inf)
        best = np.zeros_like(target)
        for penalty in PENALTIES[::-1] * values.mean():
            shrunk = target / (values + penalty)[:, None]
            leverage = rows**2 @ (1 / (values + penalty))
            missed = (half[:LEFT_OUT] - rows @ shrunk) / (1 - leverage)[:, None]
            error = np.mean(missed**2, axis=0)
            best = np.where(error < self.error, shrunk, best)
            self.error = np.minimum(error, self.error)
        self._slopes = turn(best)

    @classmethod
    def of(cls, slopes: NDArray[np.float64], even: bool) -> Linear:
        """Return the function with these slopes of ``features_of``, ``[n_players + 4, t]``."""
        one = cls.__new__(cls)
        one._slopes, one._even = slopes, even
        return one

    def predict(self, pairs: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return ``f`` of coalitions ``[m, n_players]``, as ``[m, t]``."""
        return np.concatenate([features_of(block, self._even) @ self._slopes for block in blocks(pairs)])

    def shares(self, along: Along, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the weighted shares ``[n_players, t]``: of a size, the others are there as often as each other."""
        n = len(self._slopes) - SIZE_FUNCTIONS
        size = np.arange(1, n // 2 + 1)
        inside, outside = spread(along, weight, n)
        slopes, times = self._slopes[:n] / np.sqrt(n), _times(size, n, self._even)
        own = times @ (inside - outside)
        other = times @ (inside * (2 * (size - 1) / max(n - 1, 1) - 1) + outside * (2 * size / max(n - 1, 1) - 1))
        alone = (inside + outside) @ of_sizes(size, n, self._even) @ self._slopes[n:]
        return own * slopes + other * (slopes.sum(axis=0) - slopes) + alone


def _times(size: NDArray[np.int64], n_players: int, even: bool) -> NDArray[np.float64]:
    """Return what makes an odd function even: an odd one of the size, ``[m]``."""
    return 1 - 2 * size / n_players if even else np.ones(len(size))


def features_of(pairs: NDArray[np.bool_], even: bool = False) -> NDArray[np.float64]:
    """Return what ``Linear`` is linear in, ``[m, n_players + 4]``.

    Examples
    --------
    >>> features_of(np.eye(2, dtype=bool)).round(2)[:, :2]
    array([[ 0.71, -0.71],
           [-0.71,  0.71]])
    """
    m, n = pairs.shape
    size = pairs.sum(axis=1)
    features = np.empty((m, n + SIZE_FUNCTIONS))
    features[:, :n] = pairs
    features[:, :n] -= 0.5
    features[:, :n] *= 2 / np.sqrt(n) * _times(size, n, even)[:, None]
    features[:, n:] = of_sizes(size, n, even)
    return features


def _decomposed(
    features: NDArray[np.float64], half: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], Callable[[NDArray[np.float64]], Any]]:
    """Return the regression along the eigenvectors of ``features.T @ features``, those at round-off left out.

    These are the eigenvalues ``[k]``, the features of the first rows ``[rows, k]``, their products with what is sought
    ``[k, t]``, and how coefficients ``[k, t]`` become slopes. The smaller of two matrices is decomposed.
    """
    wide = features.shape[0] < features.shape[1]
    values, vectors = np.linalg.eigh(features @ features.T if wide else features.T @ features)
    kept = values > values[-1] * 1e-10
    values, vectors = values[kept], vectors[:, kept]
    if wide:
        root = np.sqrt(values)
        turned = vectors * root
        return values, turned[:LEFT_OUT], turned.T @ half, lambda found: features.T @ (vectors / root @ found)
    return values, features[:LEFT_OUT] @ vectors, vectors.T @ (features.T @ half), lambda found: vectors @ found
