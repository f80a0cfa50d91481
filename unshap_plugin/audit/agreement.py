"""Agreement of utilities with retrained ones, and its effect on Shapley values: numbers from numbers, one metric.

Shapley values are linear, so unlearned values differ from retrained ones by the Shapley values of the error
``e(S) = v_unlearned(S) - v_retrained(S)``. Two facts follow.

* ``|phi_i(e)| <= 2 max |e|``, since a value is a mean of differences of two errors.
* ``phi_i(e) - phi_j(e)`` is a mean of ``e(S + i) - e(S + j)`` over the ``S`` without both, in which every size ``|S|``
  weighs the same, ``1 / (n - 1)``. Both coalitions have one size: what depends on the size alone cancels, shifts all
  values equally and cannot change a ranking; and the difference is at most the mean over the sizes ``1 .. n - 1`` of
  the range of ``e`` at that size.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.coalitions import keys_of
from unshap_plugin.estimators import Exact
from unshap_plugin.numerics.correlation import pearson, spearman

__all__ = [
    "Agreement",
    "Bounds",
    "ValueAgreement",
    "agreement",
    "bounds",
    "exact_values",
    "residuals",
    "value_agreement",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """Agreement of utilities with retrained ones over some coalitions, in the units of the metric.

    Parameters
    ----------
    count
        Number of coalitions.
    error
        Mean absolute error of the unlearned against one retraining, the mean over these.
    error_se
        Its standard error from the sampling of coalitions: 0 if there are no others, NaN for a single one of many.
    noise_error
        The same error of one retraining against another, the mean over the pairs: the floor.
    nothing_error
        The same error of the given model, whose utility stands for every coalition.
    bias
        Mean of the unlearned minus the retrained.
    spearman
        Rank correlation with one retraining, the mean over these; NaN where it is not defined (a single coalition, or
        utilities that are all equal, in any of them).
    noise_spearman
        Rank correlation of one retraining with another, the mean over the pairs: the ceiling.

    Examples
    --------
    >>> retrained = np.array([[0.0, 1.0, 2.0], [0.0, 1.5, 2.0]])  # [s, m]
    >>> agreement(np.array([0.0, 2.0, 3.0]), retrained, 2.0, population=3).spearman
    1.0
    """

    count: int
    error: float
    error_se: float
    noise_error: float
    nothing_error: float
    bias: float
    spearman: float
    noise_spearman: float


@dataclass(frozen=True)
class Bounds:
    """Effect that the errors can have on Shapley values, in the units of the metric.

    Everything is taken over the coalitions at hand, and against the mean of the retrainings, whose own noise is in it:
    these are bounds if all ``2**n`` coalitions are there, otherwise estimates that tend to be too low.

    Parameters
    ----------
    values
        No value is further than this from the retrained one: twice the largest error.
    differences
        No difference of two values is further than this from the retrained one: the mean over the sizes of the range
        of the errors at that size. What depends on the size alone is not in it. NaN if no size has two coalitions.
    size_share
        The share of the squared error that depends on the size alone, from 0 to 1; estimated where not all coalitions
        of a size are there. NaN without any error.
    spearman_within
        Rank correlation with one retraining, where the mean of each size was taken away from both; the mean over the
        retrainings.
    noise_spearman_within
        Rank correlation of one retraining with another at equal size, the mean over the pairs.

    Examples
    --------
    >>> every = np.array([[False, False], [True, False], [False, True], [True, True]])
    >>> effect = bounds(every, np.array([0.5, 1.0, 2.0, 3.0]), np.array([[0.0, 1.0, 2.0, 3.0]] * 2))
    >>> effect.values, effect.differences
    (1.0, 0.0)
    """

    values: float
    differences: float
    size_share: float
    spearman_within: float
    noise_spearman_within: float


@dataclass(frozen=True)
class ValueAgreement:
    """How well exact Shapley values of unlearned utilities agree with those of retrained ones, for one metric.

    Parameters
    ----------
    error
        Largest absolute difference from the mean retrained values.
    pearson
        Correlation with them; NaN where it is not defined.
    noise_error, noise_pearson
        The same of one retraining with another, the mean over the pairs.

    Examples
    --------
    >>> alike = value_agreement(np.array([1.0, 2.0]), np.array([[1.0, 2.5], [1.0, 2.5]]))
    >>> alike.error, alike.noise_error
    (0.5, 0.0)
    """

    error: float
    pearson: float
    noise_error: float
    noise_pearson: float


def agreement(unlearned: Floats, retrained: Floats, given: float, population: int) -> Agreement:
    """Return how well utilities agree with retrained ones.

    Parameters
    ----------
    unlearned
        ``[m]``.
    retrained
        ``[s, m]``, one row per retraining, two at least.
    given
        The utility of the given model.
    population
        How many coalitions these ``m`` stand for.
    """
    errors = np.abs(unlearned - retrained)
    m = len(unlearned)
    left = max(0.0, 1 - m / population)
    spread = 0.0 if left == 0 else (float(errors.mean(axis=0).std(ddof=1)) if m > 1 else math.nan)
    pairs = list(itertools.combinations(retrained, 2))
    return Agreement(
        count=m,
        error=float(errors.mean()),
        error_se=spread * math.sqrt(left / m),
        noise_error=float(np.mean([np.abs(a - b).mean() for a, b in pairs])),
        nothing_error=float(np.abs(given - retrained).mean()),
        bias=float((unlearned - retrained.mean(axis=0)).mean()),
        spearman=float(np.mean([spearman(unlearned, one) for one in retrained])),
        noise_spearman=float(np.mean([spearman(a, b) for a, b in pairs])),
    )


def bounds(coalitions: NDArray[np.bool_], unlearned: Floats, retrained: Floats) -> Bounds:
    """Return what the errors can do to Shapley values.

    Parameters
    ----------
    coalitions
        ``[m, n_players]``, distinct.
    unlearned
        ``[m]``.
    retrained
        ``[s, m]``.
    """
    error = unlearned - retrained.mean(axis=0)
    sizes = coalitions.sum(axis=1)
    several = [size for size in np.unique(sizes) if (sizes == size).sum() > 1]
    ranges = [np.ptp(error[sizes == size]) for size in several]
    residual, weight = residuals(coalitions, error)
    known = ~np.isnan(weight)
    total = float(np.square(error[known]).sum())
    share = 1 - float((weight * np.square(residual))[known].sum()) / total if total > 0 else math.nan
    inner = np.isin(sizes, several)
    within = residuals(coalitions, unlearned)[0][inner]
    within_retrained = [residuals(coalitions, one)[0][inner] for one in retrained]
    pairs = itertools.combinations(within_retrained, 2)
    return Bounds(
        values=2 * float(np.abs(error).max()),
        differences=float(np.mean(ranges)) if ranges else math.nan,
        size_share=share if math.isnan(share) else min(max(share, 0.0), 1.0),
        spearman_within=float(np.mean([spearman(within, one) for one in within_retrained])),
        noise_spearman_within=float(np.mean([spearman(a, b) for a, b in pairs])),
    )


def residuals(coalitions: NDArray[np.bool_], values: Floats) -> tuple[Floats, Floats]:
    """Take the mean of each size away, and return what is left with the weights of its squares.

    Parameters
    ----------
    coalitions
        ``[m, n_players]``, distinct.
    values
        ``[m]`` or ``[m, t]``.

    Returns
    -------
    tuple
        The residuals, of the shape of the values, and weights ``[m]`` under which their squares estimate, without
        bias, the variance among *all* coalitions of a size: ``k / (k - 1) * (N - 1) / N`` for ``k`` of ``N``. The
        weight is NaN where one of several was drawn, which says nothing about the variance.
    """
    n = coalitions.shape[1]
    sizes, where, counts = np.unique(coalitions.sum(axis=1), return_inverse=True, return_counts=True)
    residual = values.astype(np.float64)
    weight = np.empty(len(values))
    for index, (size, k) in enumerate(zip(sizes.tolist(), counts.tolist(), strict=True)):
        same = where == index
        residual[same] -= residual[same].mean(axis=0)
        # In whole numbers: those of coalitions do not fit into floats.
        every = math.comb(n, size)
        weight[same] = k * (every - 1) / ((k - 1) * every) if k > 1 else (0.0 if every == 1 else math.nan)
    return residual, weight


def exact_values(coalitions: NDArray[np.bool_], utilities: Floats) -> Floats:
    """Return the Shapley values ``[n_players]`` or ``[n_players, t]`` from the utilities of all ``2**n`` coalitions."""
    known = dict(zip(keys_of(coalitions), utilities, strict=True))

    def game(asked: NDArray[np.bool_]) -> Floats:
        return np.array([known[key] for key in keys_of(asked)])

    return Exact(coalitions.shape[1], None, 0).run(game).values


def value_agreement(unlearned: Floats, retrained: Floats) -> ValueAgreement:
    """Return how well the values of unlearned utilities ``[n]`` agree with those of retrainings ``[s, n]``."""
    pairs = list(itertools.combinations(retrained, 2))
    return ValueAgreement(
        error=float(np.abs(unlearned - retrained.mean(axis=0)).max()),
        pearson=pearson(unlearned, retrained.mean(axis=0)),
        noise_error=float(np.mean([np.abs(a - b).max() for a, b in pairs])),
        noise_pearson=float(np.mean([pearson(a, b) for a, b in pairs])),
    )
