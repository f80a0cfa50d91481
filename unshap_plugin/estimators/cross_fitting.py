"""Cross-fitting: surrogates that are fitted to some pairs, and corrected by others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.estimators.strata import Stratum, blocks, masses
from unshap_plugin.estimators.surrogates import fit

__all__ = ["cross_fitted"]


def cross_fitted(
    strata: Sequence[Stratum],
    pairs: NDArray[np.bool_],
    odd: NDArray[np.float64],
    stratum: NDArray[np.int64],
    fold: NDArray[np.int64],
    surrogate: str,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return ``sum over strata of mass * mean of o(S) g(S)``, its variance, and the degrees of freedom of that.

    Strata of which every pair was drawn need no surrogate. Where pairs were excluded, as many of those that were not
    drawn count as excluded too.

    Parameters
    ----------
    strata
        All of them.
    pairs, odd, stratum, fold
        The pairs that are left: one member of each ``[m, n_players]``, half the difference of utilities ``[m, t]``, the
        number of its stratum and that of its fold, ``[m]``.
    surrogate
        See ``fit``.

    Returns
    -------
    Three arrays ``[n_players, t]``.

    Examples
    --------
    >>> from unshap_plugin.estimators.strata import divide
    >>> pairs = np.eye(3, dtype=bool)  # of a game in which the players add 1, 2 and 3
    >>> odd, one = np.array([[-2.0], [-1.0], [0.0]]), np.zeros(3, dtype=int)
    >>> (cross_fitted(divide(3, 3), pairs, odd, one, np.arange(3), "gp")[0] + 2).ravel()
    array([1., 2., 3.])
    """
    n = pairs.shape[1]
    left = np.bincount(stratum, minlength=len(strata))
    population = np.array([one.population / one.drawn for one in strata]) * left
    mass = np.array([masses(n)[one.sizes - 1].sum() for one in strata])
    finished = np.array([one.finished for one in strata])
    values = _along(pairs, odd * np.where(finished, mass / left, 0)[stratum][:, None])
    number = np.repeat(np.arange(len(strata)), [len(one.sizes) for one in strata])  # of the stratum of each size
    residual = np.zeros_like(odd)
    for out in (fold == one for one in np.unique(fold[~finished[stratum]])):
        fitted = fit(pairs[~out], odd[~out], surrogate)
        missed = odd - fitted.predict(pairs)
        residual[out] = missed[out]
        held = np.where(finished, 0, np.bincount(stratum[out], minlength=len(strata)))
        share = held / left
        unseen = (population - left + held) / np.maximum(held, 1)  # pairs that each one held out stands for
        weight = (mass * share / population)[stratum] * np.where(out, unseen[stratum], 1)
        values += _along(pairs, missed * weight[:, None]) + fitted.shares(masses(n) * share[number])
    sampled = np.where(finished, 0, mass**2 * (1 - left / population) / (left * np.maximum(left - 1, 1)))
    variance, squares = np.zeros_like(values), np.zeros_like(values)
    for one in np.flatnonzero(~finished):
        rows = stratum == one
        own = _along(pairs[rows], sampled[one] * residual[rows] ** 2, power=2)
        variance += own
        squares += own**2 / (left[one] - 1)
    freedom = np.full_like(values, np.inf if finished.all() else (left - 1)[~finished].sum())
    np.divide(variance**2, squares, out=freedom, where=squares > 0)
    return values, variance, freedom


def _along(pairs: NDArray[np.bool_], weights: NDArray[np.float64], power: int = 1) -> NDArray[np.float64]:
    """Return the sum of ``weights g(S) ** power`` over pairs, ``[n_players, t]``; of weights ``[m, t]``."""
    n, sizes = pairs.shape[1], pairs.sum(axis=1)[:, None]
    inside, outside = (1 / sizes) ** power, (-1 / (n - sizes)) ** power
    total = np.repeat(np.sum(weights * outside, axis=0)[None], n, axis=0)
    begin = 0
    for block in blocks(pairs):
        end = begin + len(block)
        total += block.T @ (weights * (inside - outside))[begin:end]
        begin = end
    return total
