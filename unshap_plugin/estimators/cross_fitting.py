"""Cross-fitting: surrogates that are fitted to some pairs, and corrected by others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.estimators.sizes import Sizes
from unshap_plugin.estimators.strata import Stratum, blocks
from unshap_plugin.estimators.surrogates import Assisted, Fitted, fit

__all__ = ["CrossFitted", "cross_fitted"]

#: Differences that are apart by this share of the largest are alike, and steps are at least so many times as large.
ROUND_OFF, MANY = 1e-6, 100


@dataclass(frozen=True)
class CrossFitted:
    """What cross-fitting gives.

    Attributes
    ----------
    values, variance, freedom
        The sum that was sought, its variance, and the degrees of freedom of that, ``[n_players, t]``.
    counted
        How much of the mean ``u(S) g(S)`` of each size the values still lack, for each feature ``u`` of the odd part,
        and of the even one if there is any: ``[n_players // 2, t, q]`` each.

    Examples
    --------
    >>> CrossFitted(np.zeros((3, 1)), np.zeros((3, 1)), np.ones((3, 1)), []).counted
    []
    """

    values: NDArray[np.float64]
    variance: NDArray[np.float64]
    freedom: NDArray[np.float64]
    counted: list[NDArray[np.float64]]


def cross_fitted(
    strata: Sequence[Stratum],
    sizes: Sizes,
    pairs: NDArray[np.bool_],
    halves: list[NDArray[np.float64]],
    stratum: NDArray[np.int64],
    fold: NDArray[np.int64],
    surrogate: str,
    features: list[NDArray[np.float64]] | None = None,
    like: int = 0,
) -> CrossFitted:
    """Return ``sum over strata of mass * mean of o(S) g(S) + e(S) h(S)``, its variance, and its degrees of freedom.

    Strata of which every pair was drawn need no surrogate. Where pairs were excluded, as many of those that were not
    drawn count as excluded too.

    Features may foretell all pairs of a stratum that were drawn, which does not say that they foretell the others.
    Where differences move in steps, as those of accuracies do, each of these is then taken to be off by a step with the
    chance ``(j + 1) / (k + 2)`` (Laplace's rule of succession), where ``j`` of the ``k`` pairs of all strata are, and
    the variance is at least that of such residuals.

    Parameters
    ----------
    strata, sizes
        All of them, and what pairs of each size count.
    pairs, halves, stratum, fold
        The pairs that are left: the smaller member of each ``[m, n_players]``, half the difference of its utilities
        ``[m, t]``, followed by half their sum where ``sizes`` has an even part, the number of its stratum and that of
        its fold, ``[m]``.
    surrogate
        See ``fit``.
    features
        What surrogates may take a multiple of, for each of ``halves``: ``[m, t, q]``. Their own means over all pairs
        are for the caller to add, see ``CrossFitted.counted``.
    like
        How many of them, the first ones, mean what ``halves`` are.

    Examples
    --------
    >>> from unshap_plugin.estimators.sizes import sizes_of
    >>> from unshap_plugin.estimators.strata import divide
    >>> pairs, shapley = np.eye(3, dtype=bool), sizes_of(np.full(3, 1 / 3))
    >>> odd, one = np.array([[-2.0], [-1.0], [0.0]]), np.zeros(3, dtype=int)  # the players add 1, 2 and 3
    >>> (cross_fitted(divide(shapley, 3), shapley, pairs, [odd], one, np.arange(3), "gp").values + 2).ravel()
    array([1., 2., 3.])
    """
    size = pairs.sum(axis=1)
    left = np.bincount(stratum, minlength=len(strata))
    population = np.array([one.population / one.drawn for one in strata]) * left
    mass = np.array([sizes.mass[one.sizes - 1].sum() for one in strata])
    finished = np.array([one.finished for one in strata])
    values = _along(pairs, sizes.contributions(size, halves), np.where(finished, mass / left, 0)[stratum])
    number = np.zeros(len(sizes.mass), dtype=np.int64)  # of the stratum of each size
    for k, one in enumerate(strata):
        number[one.sizes - 1] = k
    residuals = [np.zeros_like(half) for half in halves]
    counted = [np.zeros((len(sizes.mass), *one.shape[1:])) for one in features or []]
    sampled = np.where(finished, 0, mass**2 * (1 - left / population) / (left * np.maximum(left - 1, 1)))
    counts = sampled * [np.mean(sizes.lengths[one.sizes - 1] ** 2) for one in strata]
    for out in (fold == one for one in np.unique(fold[~finished[stratum]])):
        held = np.where(finished, 0, np.bincount(stratum[out], minlength=len(strata)))
        share = held / left
        unseen = (population - left + held) / np.maximum(held, 1)  # pairs that each one held out stands for
        weight = (mass * share / population)[stratum] * np.where(out, unseen[stratum], 1)
        missed = []
        for k, (part, half) in enumerate(zip(sizes.parts, halves, strict=True)):
            fitted: Fitted | Assisted
            if features is None:
                fitted, known = fit(pairs[~out], half[~out], surrogate, even=k > 0), 0.0
            else:
                u = features[k]
                fitted = Assisted(pairs[~out], half[~out], u[~out], counts[stratum[~out]], k > 0, like)
                known = np.einsum("mtq,tq->mt", u, fitted.multiples)
                counted[k] += (sizes.mass * share[number])[:, None, None] * fitted.multiples
            values += fitted.shares(part, sizes.mass * share[number])
            missed.append(half - fitted.predict(pairs) - known)
            residuals[k][out] = missed[-1][out]
        values += _along(pairs, sizes.contributions(size, missed), weight)
    variance, squares = np.zeros_like(values), np.zeros_like(values)
    steps = _steps(halves[0], size)
    off = np.any([2 * np.abs(one) >= steps for one in residuals], axis=0)  # those left out, by half a step or more
    open_ones = ~finished[stratum]
    chance = (off[open_ones].sum(axis=0) + 1) / (open_ones.sum() + 2)
    inside, outside = sizes.contributions(size, residuals)
    for k in np.flatnonzero(~finished):
        rows = stratum == k
        own = _along(pairs[rows], (inside[rows] ** 2, outside[rows] ** 2), np.full(left[k], sampled[k]))
        # Players to whom none of the pairs says anything, as where only a player's own counts, are like the others.
        own = np.where(own > 0, own, own.sum(axis=0) / np.maximum((own > 0).sum(axis=0), 1))
        if features is not None:
            unseen = counts[k] * left[k] / len(own) * chance * steps**2
            own = np.maximum(own, np.where(off[rows].any(axis=0), 0, unseen))
        variance += own
        squares += own**2 / (left[k] - 1)
    freedom = np.full_like(values, np.inf if finished.all() else (left - 1)[~finished].sum())
    np.divide(variance**2, squares, out=freedom, where=squares > 0)
    return CrossFitted(values, variance, freedom, counted)


def _steps(half: NDArray[np.float64], size: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the step of which all differences of pairs of one size are multiples, ``[t]``; 0 where there is none.

    That is their greatest common divisor, by Euclid's algorithm, which ends at round-off where there are no steps.
    """
    apart = [np.diff(np.sort(half[size == one], axis=0), axis=0) for one in np.unique(size)]
    steps = np.zeros(half.shape[1])
    for k, gaps in enumerate(np.concatenate(apart).T):
        alike = ROUND_OFF * np.abs(half[:, k]).max(initial=0.0)
        for gap in gaps:
            step, rest = steps[k], gap
            while rest > alike:
                step, rest = rest, abs(math.remainder(step, rest))
            steps[k] = step
        steps[k] *= steps[k] > MANY * alike
    return steps


def _along(
    pairs: NDArray[np.bool_],
    contributions: tuple[NDArray[np.float64], NDArray[np.float64]],
    weight: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the sum over pairs of ``weight`` times what each adds, ``[n_players, t]``."""
    inside, outside = (one * weight[:, None] for one in contributions)
    total = np.repeat(outside.sum(axis=0)[None], pairs.shape[1], axis=0)
    begin = 0
    for block in blocks(pairs):
        end = begin + len(block)
        total += block.T @ (inside - outside)[begin:end]
        begin = end
    return total
