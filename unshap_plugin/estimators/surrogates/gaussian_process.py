"""``gp``: a Gaussian process over coalitions, whose semivalues are known in closed form."""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from unshap_plugin.estimators.sizes import Along
from unshap_plugin.estimators.surrogates.base import Surrogate, of_sizes, spread

__all__ = [
    "LENGTHS",
    "MOST_PAIRS",
    "MOST_PLAYERS",
    "NOISES",
    "GaussianProcess",
    "covariance",
    "kernel",
    "means_of_kernel",
]

#: Lengths in which the kernel falls off, over all players.
LENGTHS = (0.25, 1.2, 3.6)
NOISES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
#: Both are chosen by the errors of at most so many pairs that are left out.
LEFT_OUT = 400
#: Beyond these another surrogate is faster and as good.
MOST_PLAYERS, MOST_PAIRS = 200, 1_500
#: Prior variance of the functions of the size alone.
OF_SIZES = 1.0


def kernel(length: float, n_players: int, even: bool = False) -> NDArray[np.float64]:
    """Return the Hamming kernel ``sinh(c (1 - 2 d / n)) / sinh(c)`` of that length ``c``, or cosh, ``[n + 1]``.

    ``d`` is the number of players in one of two coalitions only.

    Examples
    --------
    >>> kernel(1.0, 2).round(3), kernel(1.0, 2, even=True).round(3)
    (array([ 1.,  0., -1.]), array([1.   , 0.648, 1.   ]))
    """
    function = np.cosh if even else np.sinh
    return np.asarray(function(length * (1 - 2 * np.arange(n_players + 1) / n_players)) / function(length))


@lru_cache(maxsize=32)
def means_of_kernel(length: float, n_players: int, even: bool) -> tuple[NDArray[np.float64], ...]:
    """Return the mean over ``|S| = s`` of ``k(S, T)``, once counted where a player is in ``S``, and once where not.

    Returns
    -------
    Four arrays ``[n // 2 + 1, n // 2]``, for ``|T|`` from 0 and ``s`` from 1: both for a player in ``T``, which has no
    meaning for an empty one, and both for another.

    Examples
    --------
    >>> there, absent, *_ = means_of_kernel(0.001, 4, False)  # of nearly 1 - 2 d / n
    >>> there[1].round(4), absent[1].round(4)
    (array([0.25, 0.25]), array([ 0.  , -0.25]))
    """
    n = n_players
    by_distance = kernel(length, n, even)
    inside, size, common = np.ogrid[: n // 2 + 1, 1 : n // 2 + 1, : n // 2 + 1]
    value = by_distance[np.clip(inside + size - 2 * common, 0, n)]
    # Of a player outside T: the others in S, with it or without it, meet T like any that are drawn.
    met = [(stats.hypergeom.pmf(common, n - 1, inside, one) * value).sum(axis=2) for one in (size - 1, size)]
    t, s = inside[..., 0], size[..., 0]
    joined, left = s / n * met[0], (1 - s / n) * met[1]
    # Each of the players in S is counted once: |S| times the mean of all, less what those outside T have of it.
    own = (s * (joined + left) - (n - t) * joined) / np.maximum(t, 1)
    return own, joined + left - own, joined, left


class GaussianProcess(Surrogate):
    """The posterior mean of a Gaussian process (Rasmussen & Williams 2006) with a Hamming kernel.

    ``k(S, T) = sinh(c (1 - 2 d / n)) / sinh(c)``, with ``d`` players in one of both only, plus one for a function of
    the size alone; of an even process it is cosh. Length ``c`` and noise are chosen by the exact errors of pairs that
    are left out (section 5.4.2).

    Examples
    --------
    >>> pairs = np.eye(4, dtype=bool)
    >>> fitted = GaussianProcess(pairs, pairs @ np.array([[1.0], [2.0], [3.0], [4.0]]) - 5)
    >>> from unshap_plugin.estimators.sizes import sizes_of
    >>> shapley = sizes_of(np.full(4, 0.25))
    >>> fitted.shares(shapley.odd, shapley.mass).round(1).ravel() + 2.5
    array([1., 2., 3., 4.])
    """

    name: ClassVar[str] = "gp"

    def __init__(self, pairs: NDArray[np.bool_], half: NDArray[np.float64], even: bool = False) -> None:
        pairs, half = pairs[:MOST_PAIRS], half[:MOST_PAIRS]
        self._pairs, self._even = pairs, even
        self._parts: list[tuple[float, NDArray[np.float64]]] = []
        chosen = _chosen(pairs[:LEFT_OUT], half[:LEFT_OUT], even)
        self.error = np.zeros(half.shape[1])
        for length, noise in sorted(set(chosen)):
            columns = np.array([one == (length, noise) for one in chosen])
            inverse = np.linalg.inv(covariance(pairs, pairs, length, even) + noise * np.eye(len(pairs)))
            weights = np.zeros_like(half)
            weights[:, columns] = inverse @ half[:, columns]
            self.error[columns] = np.mean((weights[:, columns] / np.diag(inverse)[:, None]) ** 2, axis=0)
            self._parts.append((length, weights))

    @classmethod
    def of(
        cls, pairs: NDArray[np.bool_], parts: list[tuple[float, NDArray[np.float64]]], even: bool
    ) -> GaussianProcess:
        """Return the sum of kernels at these pairs, of so many lengths, times weights ``[m, t]``."""
        one = cls.__new__(cls)
        one._pairs, one._parts, one._even = pairs, parts, even
        return one

    def predict(self, pairs: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return ``f`` of coalitions ``[m, n_players]``, as ``[m, t]``."""
        parts = (covariance(pairs, self._pairs, length, self._even) @ weights for length, weights in self._parts)
        return np.sum([*parts], axis=0)

    def shares(self, along: Along, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the weighted shares ``[n_players, t]``."""
        n = self._pairs.shape[1]
        sizes = self._pairs.sum(axis=1)
        at = np.arange(1, n // 2 + 1)
        inside, outside = weight * along.inside, weight * along.outside
        alone = np.sum([*spread(along, weight, n)], axis=0) @ of_sizes(at, n, self._even)
        found = np.zeros((n, self._parts[0][1].shape[1]))
        for length, weights in self._parts:
            own, absent, joined, left = (one[sizes] for one in means_of_kernel(length, n, self._even))
            mine, others = (own @ inside + absent @ outside), (joined @ inside + left @ outside)
            others, mine = others[:, None] * weights, mine[:, None] * weights
            found += others.sum(axis=0) + self._pairs.T @ (mine - others)
            found += OF_SIZES * alone @ of_sizes(sizes, n, self._even).T @ weights
        return found


def covariance(
    one: NDArray[np.bool_], other: NDArray[np.bool_], length: float, even: bool = False
) -> NDArray[np.float64]:
    """Return the prior covariance of coalitions ``[m, n_players]`` and ``[k, n_players]``, as ``[m, k]``.

    Examples
    --------
    >>> covariance(np.eye(2, dtype=bool), np.eye(2, dtype=bool), 1.2).round(6)
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    n = one.shape[1]
    first, second = one.sum(axis=1), other.sum(axis=1)
    common = one.astype(np.float64) @ other.T.astype(np.float64)
    apart = np.rint(first[:, None] + second - 2 * common).astype(np.int64)
    return kernel(length, n, even)[apart] + OF_SIZES * of_sizes(first, n, even) @ of_sizes(second, n, even).T


def _chosen(pairs: NDArray[np.bool_], half: NDArray[np.float64], even: bool = False) -> list[tuple[float, float]]:
    """Return length and noise with the least error of pairs that are left out, for each column."""
    least = np.full(half.shape[1], np.inf)
    chosen = [(LENGTHS[0], NOISES[0])] * half.shape[1]
    for length in LENGTHS:
        values, vectors = np.linalg.eigh(covariance(pairs, pairs, length, even))
        target = vectors.T @ half
        for noise in NOISES:
            inverse = 1 / (np.maximum(values, 0) + noise)
            missed = (vectors @ (target * inverse[:, None])) / (vectors**2 @ inverse)[:, None]
            error = np.mean(missed**2, axis=0)
            for column in np.flatnonzero(error < least):
                chosen[column], least[column] = (length, noise), error[column]
    return chosen
