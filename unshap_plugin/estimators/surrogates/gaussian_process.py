"""``gp``: a Gaussian process over coalitions, whose Shapley values are known in closed form."""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from unshap_plugin.estimators.surrogates.base import Surrogate, of_sizes

__all__ = ["MOST_PAIRS", "MOST_PLAYERS", "GaussianProcess", "kernel", "shares_of_kernel"]

#: Lengths in which the kernel falls off, over all players.
LENGTHS = (0.25, 1.2, 3.6)
NOISES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
#: Both are chosen by the errors of at most so many pairs that are left out.
LEFT_OUT = 400
#: Beyond these another surrogate is faster and as good.
MOST_PLAYERS, MOST_PAIRS = 200, 1_500
#: Prior variance of the functions of the size alone.
OF_SIZES = 1.0


def kernel(length: float, n_players: int) -> NDArray[np.float64]:
    """Return the odd Hamming kernel ``sinh(c (1 - 2 d / n)) / sinh(c)`` of that length ``c``, ``[n + 1]``.

    ``d`` is the number of players in one of two coalitions only.

    Examples
    --------
    >>> kernel(1.0, 2).round(3)
    array([ 1.,  0., -1.])
    """
    return np.sinh(length * (1 - 2 * np.arange(n_players + 1) / n_players)) / np.sinh(length)


@lru_cache(maxsize=16)
def shares_of_kernel(length: float, n_players: int) -> NDArray[np.float64]:
    """Return the mean over ``|S| = s`` of ``k(S, T) g_i(S)`` for a player outside ``T``, by ``|T|`` and ``s``.

    Returns
    -------
    ``[n // 2 + 1, n // 2]``, for ``|T|`` from 0 and ``s`` from 1. Of a player within ``T`` it is ``-(n - |T|) / |T|``
    times that, since all of them sum to zero.

    Examples
    --------
    >>> shares_of_kernel(0.001, 4)[1].round(4)  # of nearly 1 - 2 d / n
    array([-0.0833, -0.0833])
    """
    n = n_players
    by_distance = kernel(length, n)
    inside, size, common = np.ogrid[: n // 2 + 1, 1 : n // 2 + 1, : n // 2 + 1]
    value = by_distance[np.clip(inside + size - 2 * common, 0, n)]
    joined = stats.hypergeom.pmf(common, n - 1, inside, size - 1)  # |S - i and T| for an i in S
    absent = stats.hypergeom.pmf(common, n - 1, inside, size)
    return ((joined - absent) * value).sum(axis=2) / n


class GaussianProcess(Surrogate):
    """The posterior mean of a Gaussian process (Rasmussen & Williams 2006) with the odd Hamming kernel.

    ``k(S, T) = sinh(c (1 - 2 d / n)) / sinh(c)``, with ``d`` players in one of both only, plus one for a function of
    the size alone. Length ``c`` and noise are chosen by the exact errors of pairs that are left out (section 5.4.2).

    Examples
    --------
    >>> pairs = np.eye(4, dtype=bool)
    >>> fitted = GaussianProcess(pairs, pairs @ np.array([[1.0], [2.0], [3.0], [4.0]]) - 5)
    >>> fitted.shares(np.array([2.0, 1.0])).round(1).ravel() + 2.5
    array([1., 2., 3., 4.])
    """

    name: ClassVar[str] = "gp"

    def __init__(self, pairs: NDArray[np.bool_], odd: NDArray[np.float64]) -> None:
        pairs, odd = pairs[:MOST_PAIRS], odd[:MOST_PAIRS]
        self._pairs = pairs
        self._parts: list[tuple[float, NDArray[np.float64]]] = []
        chosen = _chosen(pairs[:LEFT_OUT], odd[:LEFT_OUT])
        self.error = np.zeros(odd.shape[1])
        for length, noise in sorted(set(chosen)):
            columns = np.array([one == (length, noise) for one in chosen])
            inverse = np.linalg.inv(_covariance(pairs, pairs, length) + noise * np.eye(len(pairs)))
            weights = np.zeros_like(odd)
            weights[:, columns] = inverse @ odd[:, columns]
            self.error[columns] = np.mean((weights[:, columns] / np.diag(inverse)[:, None]) ** 2, axis=0)
            self._parts.append((length, weights))

    def predict(self, pairs: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return ``f`` of coalitions ``[m, n_players]``, as ``[m, t]``."""
        parts = (_covariance(pairs, self._pairs, length) @ weights for length, weights in self._parts)
        return np.sum([*parts], axis=0)

    def shares(self, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the weighted shares ``[n_players, t]``."""
        n = self._pairs.shape[1]
        sizes = self._pairs.sum(axis=1)
        found = np.zeros((n, self._parts[0][1].shape[1]))
        for length, weights in self._parts:
            outside = (shares_of_kernel(length, n) @ weight)[sizes]
            scaled = outside[:, None] * weights
            found += scaled.sum(axis=0) - self._pairs.T @ (scaled * (n / sizes)[:, None])
        return found


def _covariance(one: NDArray[np.bool_], other: NDArray[np.bool_], length: float) -> NDArray[np.float64]:
    n = one.shape[1]
    first, second = one.sum(axis=1), other.sum(axis=1)
    common = one.astype(np.float64) @ other.T.astype(np.float64)
    apart = np.rint(first[:, None] + second - 2 * common).astype(np.int64)
    return kernel(length, n)[apart] + OF_SIZES * of_sizes(first, n) @ of_sizes(second, n).T


def _chosen(pairs: NDArray[np.bool_], odd: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Return length and noise with the least error of pairs that are left out, for each column."""
    least = np.full(odd.shape[1], np.inf)
    chosen = [(LENGTHS[0], NOISES[0])] * odd.shape[1]
    for length in LENGTHS:
        values, vectors = np.linalg.eigh(_covariance(pairs, pairs, length))
        target = vectors.T @ odd
        for noise in NOISES:
            inverse = 1 / (np.maximum(values, 0) + noise)
            missed = (vectors @ (target * inverse[:, None])) / (vectors**2 @ inverse)[:, None]
            error = np.mean(missed**2, axis=0)
            for column in np.flatnonzero(error < least):
                chosen[column], least[column] = (length, noise), error[column]
    return chosen
