"""``linear``: one number for each player, by ridge regression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.estimators.strata import blocks
from unshap_plugin.estimators.surrogates.base import SIZE_FUNCTIONS, Surrogate, of_sizes

__all__ = ["Linear"]

#: Penalties, as multiples of the mean eigenvalue.
PENALTIES = np.logspace(-9, 3, 25)
#: The penalty is chosen by the errors of at most so many pairs that are left out.
LEFT_OUT = 1_000
#: So many players, or pairs, make the largest matrix that is decomposed.
LARGEST = 1_500


class Linear(Surrogate):
    """``f(S) = sum_i b_i (2 z_i - 1)`` plus a function of the size of ``S``.

    It is fitted by ridge regression (Hoerl & Kennard 1970), whose penalty is chosen by the exact errors of pairs that
    are left out (PRESS, Allen 1974). Of more than 1,500 players it sees 1,500 pairs at most.

    Examples
    --------
    >>> pairs = np.eye(4, dtype=bool)
    >>> fitted = Linear(pairs, pairs @ np.array([[1.0], [2.0], [3.0], [4.0]]) - 5)
    >>> fitted.shares(np.array([2.0, 1.0])).round(1).ravel() + 2.5  # of a game in which each player adds its number
    array([1., 2., 3., 4.])
    """

    name: ClassVar[str] = "linear"

    def __init__(self, pairs: NDArray[np.bool_], odd: NDArray[np.float64]) -> None:
        if pairs.shape[1] > LARGEST:
            pairs, odd = pairs[:LARGEST], odd[:LARGEST]
        features = _features(pairs)
        values, rows, target, turn = _decomposed(features, odd)
        self.error = np.full(odd.shape[1], np.inf)
        best = np.zeros_like(target)
        for penalty in PENALTIES[::-1] * values.mean():
            shrunk = target / (values + penalty)[:, None]
            leverage = rows**2 @ (1 / (values + penalty))
            missed = (odd[:LEFT_OUT] - rows @ shrunk) / (1 - leverage)[:, None]
            error = np.mean(missed**2, axis=0)
            best = np.where(error < self.error, shrunk, best)
            self.error = np.minimum(error, self.error)
        self._slopes = turn(best)

    def predict(self, pairs: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return ``f`` of coalitions ``[m, n_players]``, as ``[m, t]``."""
        return np.concatenate([_features(block) @ self._slopes for block in blocks(pairs)])

    def shares(self, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the weighted shares ``[n_players, t]``: the mean over any size is ``2 (b_i - mean b) / (n - 1)``."""
        n = len(self._slopes) - SIZE_FUNCTIONS
        slopes = self._slopes[:n] / np.sqrt(n)
        return weight.sum() * 2 / max(n - 1, 1) * (slopes - slopes.mean(axis=0))


def _features(pairs: NDArray[np.bool_]) -> NDArray[np.float64]:
    m, n = pairs.shape
    features = np.empty((m, n + SIZE_FUNCTIONS))
    features[:, :n] = pairs
    features[:, :n] -= 0.5
    features[:, :n] *= 2 / np.sqrt(n)
    features[:, n:] = of_sizes(pairs.sum(axis=1), n)
    return features


def _decomposed(
    features: NDArray[np.float64], odd: NDArray[np.float64]
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
        return values, turned[:LEFT_OUT], turned.T @ odd, lambda found: features.T @ (vectors / root @ found)
    return values, features[:LEFT_OUT] @ vectors, vectors.T @ (features.T @ odd), lambda found: vectors @ found
