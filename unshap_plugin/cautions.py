"""What a reader of values should be told before trusting them: functions of utilities and labels that cost nothing.

Each returns a sentence, or ``None`` where there is nothing to say. Where a metric measures several things, each
sentence is about one of them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from unshap_plugin.estimators.exact import MAX_PLAYERS

__all__ = [
    "biased",
    "far_below",
    "hardly_forgets",
    "lacking_classes",
    "left_out",
    "stopped_early",
    "undecided",
    "without_errors",
]

#: A sum that is missing by more than so many of its standard errors (or by more than round-off) is a bias.
STANDARD_ERRORS = 2.0
ROUND_OFF = 1e-9
#: A method whose utility falls by less than this share of what separates the given model from an uninformed one hardly
#: forgets.
HARDLY = 0.1
#: Level of the intervals that should not contain zero, and how many times as many utilities nobody waits for.
LEVEL, HOPELESS = 0.95, 1000
#: Intervals that are as narrow as this share of the largest value have nothing to decide.
RESOLVED = 1e-6


def left_out(coalitions: NDArray[np.bool_], utilities: NDArray[np.float64], missing: NDArray[np.float64]) -> str | None:
    """Say how many coalitions were excluded, of which sizes, and what that does to the sum of the values.

    Parameters
    ----------
    coalitions, utilities
        All that were evaluated, bool ``[m, n_players]`` and ``[m]`` or ``[m, t]``; excluded ones are NaN.
    missing
        What the values lack of ``v(all) - v(none)``, a scalar or ``[t]``; NaN where they do not sum to it anyway.

    Examples
    --------
    >>> kept = np.array([[False, False], [True, False], [False, True], [True, True]])
    >>> print(left_out(kept, np.array([0.0, np.nan, 1.0, 3.0]), np.array(-0.5)))
    1 of 4 evaluated coalitions were excluded (1 of the 2 that keep 1 player), and the values sum to 0.5 more than \
v(all) - v(none): they are not those of the whole game; use an unlearner, settings or a metric that excludes none.
    """
    bad = np.isnan(utilities.reshape(len(utilities), -1)).any(axis=1)
    if not bad.any():
        return None
    sizes = coalitions.sum(axis=1).tolist()
    every, gone = Counter(sizes), Counter(size for size, one in zip(sizes, bad, strict=True) if one)
    each = ", ".join(
        f"{gone[size]} of the {every[size]} that keep {size} player{'' if size == 1 else 's'}" for size in sorted(gone)
    )
    short = ", ".join(
        f"{abs(one):.3g} {'less' if one > 0 else 'more'}" for one in np.atleast_1d(missing).tolist() if one != 0
    )
    sums = f"sum to {short} than v(all) - v(none)" if short else "sum to v(all) - v(none) all the same"
    if np.isnan(missing).any():
        sums = "show nowhere how far off that puts them"
    return (
        f"{int(bad.sum())} of {len(bad)} evaluated coalitions were excluded ({each}), and the values {sums}: they are "
        f"not those of the whole game; use an unlearner, settings or a metric that excludes none."
    )


def without_errors(estimator: str) -> str:
    """Say that an estimator has no standard errors, so that its values have no intervals either.

    Examples
    --------
    >>> print(without_errors("shapiq:KernelSHAP"))
    estimator 'shapiq:KernelSHAP' has no standard errors, so that nothing says how far off its values are: compare \
those of several seeds, or use estimator='stratified'.
    """
    return (
        f"estimator {estimator!r} has no standard errors, so that nothing says how far off its values are: compare "
        f"those of several seeds, or use estimator='stratified'."
    )


def stopped_early(kind: str) -> str:
    """Say that the given model was not fitted to the end, so that its refits would stop anywhere too.

    Examples
    --------
    >>> print(stopped_early("LogisticRegression"))
    LogisticRegression stopped before the optimum of its loss, and so would its retrainings: the values are not \
theirs; use unlearner='retrain', or fit it with a larger max_iter or on scaled columns.
    """
    return (
        f"{kind} stopped before the optimum of its loss, and so would its retrainings: the values are not theirs; use "
        f"unlearner='retrain', or fit it with a larger max_iter or on scaled columns."
    )


def biased(missing: NDArray[np.float64], std_errors: NDArray[np.float64]) -> bool:
    """Tell whether a sum that is missing, a scalar or ``[t]``, is more than the standard errors of the values explain.

    Examples
    --------
    >>> biased(np.array(0.5), np.array([0.01, 0.01])), biased(np.array(0.01), np.array([0.01, 0.01]))
    (True, False)
    """
    error = np.sqrt(np.square(std_errors).sum(axis=0))
    return bool((np.abs(missing) > STANDARD_ERRORS * error + ROUND_OFF).any())


def hardly_forgets(
    everybody: float, nobody: float, uninformed: float, *, exact: bool, metric: str, helps: Callable[[], str]
) -> str | None:
    """Say that a model that should have forgotten everything scores as well as the given one, or nearly so.

    Parameters
    ----------
    everybody, nobody
        The utilities of the coalitions that keep everybody and nobody.
    uninformed
        The utility of a model that answers the same for every row, what the given model answers on average.
    exact
        Whether the unlearner equals retraining, so that it has forgotten for sure.
    metric
        The name of what is measured.
    helps
        Returns what helps, which is asked where the unlearner is to blame.

    Examples
    --------
    >>> helps = lambda: "audit the game"
    >>> print(hardly_forgets(-0.182, -0.187, -0.69, exact=False, metric="log_likelihood", helps=helps))
    v(none) = -0.187 is close to v(all) = -0.182 (log_likelihood), although nothing is kept: the unlearner hardly \
forgets, so that the values say little; audit the game.
    """
    values = f"v(all) = {everybody:.3g} ({metric}), although nothing is kept"
    if nobody >= everybody and exact:
        return (
            f"v(none) = {nobody:.3g} is no less than {values}: the given model is no better than one that has seen no "
            f"data, so that the data as a whole is worth nothing; check the model and the test set."
        )
    if nobody >= everybody and everybody <= uninformed:
        return (
            f"v(none) = {nobody:.3g} is no less than {values}: the given model is no better than one that answers the "
            f"same for every row ({uninformed:.3g}), and has little to forget; check the model and the test set."
        )
    if nobody >= everybody:
        return f"v(none) = {nobody:.3g} is no less than {values}: the unlearner hardly forgets; {helps()}."
    if not exact and everybody - nobody < HARDLY * (everybody - uninformed):
        return (
            f"v(none) = {nobody:.3g} is close to {values}: the unlearner hardly forgets, so that the values say "
            f"little; {helps()}."
        )
    return None


def far_below(
    everybody: float, nobody: float, uninformed: float, others: NDArray[np.float64], metric: str, *, classes: bool
) -> str | None:
    """Say that the empty coalition is far below all others, and below what knowing nothing explains.

    That is by more than the whole range of the others ``[m]``, and further below the uninformed model than the given
    model is above it: most of each value is then what any data gains over an empty model that is bad. Targets that are
    classes cannot be centred.

    Examples
    --------
    >>> print(far_below(0.8, -4.39, 0.0, np.array([-0.1, 0.5, 0.8]), "r2", classes=False))
    v(none) = -4.39 (r2) is far below every other utility (-0.1 to 0.8), and below a model that answers the same for \
every row (0): most of each value is what any data gains over nothing, whoever brings it; centre the targets of a \
regression, or keep some rows as background (valued=).
    """
    if len(others) == 0:
        return None
    low, high = float(others.min()), float(others.max())
    if not (low - nobody > high - low and uninformed - nobody > max(everybody - uninformed, 0.0)):
        return None
    return (
        f"v(none) = {nobody:.3g} ({metric}) is far below every other utility ({low:.3g} to {high:.3g}), and below a "
        f"model that answers the same for every row ({uninformed:.3g}): most of each value is what any data gains over "
        f"nothing, whoever brings it; {'' if classes else 'centre the targets of a regression, or '}keep some rows as "
        f"background (valued=)."
    )


def lacking_classes(present: NDArray[np.bool_], metric: str) -> str | None:
    """Say how many coalitions keep no row of some class, for a metric of probabilities.

    Parameters
    ----------
    present
        Whether each evaluated coalition keeps a row of each class, bool ``[m, classes]``.
    metric
        The name of what is measured.

    Examples
    --------
    >>> print(lacking_classes(np.array([[True, True], [True, False], [False, False]]), "log_likelihood"))
    1 of 3 evaluated coalitions have rows, but none of some class: the log_likelihood of test rows of that class is \
then as low as the smallest probability that is assumed, which drives the amounts of the values; use \
metric='accuracy', or groups that have rows of every class.
    """
    lacking = int((present.any(axis=1) & ~present.all(axis=1)).sum())
    if lacking == 0:
        return None
    return (
        f"{lacking} of {len(present)} evaluated coalitions have rows, but none of some class: the {metric} of test "
        f"rows of that class is then as low as the smallest probability that is assumed, which drives the amounts of "
        f"the values; use metric='accuracy', or groups that have rows of every class."
    )


def undecided(
    values: NDArray[np.float64], std_errors: NDArray[np.float64], freedom: NDArray[np.float64], asked: int
) -> str | None:
    """Say that most intervals contain zero, and how many utilities would change that.

    Standard errors fall at least as fast as one over the root of that number, which makes it an upper bound as far as
    the values themselves are right.

    Parameters
    ----------
    values, std_errors, freedom
        Values, their standard errors and the degrees of freedom of these, ``[n_players]`` or ``[n_players, t]``.
    asked
        How many utilities they were estimated from.

    Examples
    --------
    >>> print(undecided(np.tile([0.5, -0.1, 0.1], 5), np.full(15, 0.2), np.full(15, np.inf), 1000))
    the 95% intervals of 10 of 15 values contain zero, so that their ranking is not to be used; about budget=16000 \
would make it usable.
    """
    errors, sizes = std_errors.ravel(), np.abs(values.ravel())
    half = stats.t.ppf((1 + LEVEL) / 2, freedom.ravel()) * errors
    half = np.where(half > RESOLVED * sizes.max(initial=0.0), half, 0.0)
    open_ones = int(((half > 0) & (half >= sizes)).sum())
    if 2 * open_ones <= len(sizes):
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.sort(np.where(half > 0, half / sizes, 0.0))
    more = max(float(ratios[(len(ratios) + 1) // 2 - 1]) ** 2, 1.0)
    said = (
        f"the 95% intervals of {open_ones} of {len(sizes)} values contain zero, so that their ranking is not to be used"
    )
    if len(values) <= MAX_PLAYERS and more * asked >= 2 ** len(values):
        return f"{said}; budget={2 ** len(values)}, all coalitions, would make it usable."
    if more > HOPELESS:
        return f"{said}; more than {HOPELESS} times as many utilities would be needed: value groups of more rows."
    return f"{said}; about budget={_rounded_up(more * asked)} would make it usable."


def _rounded_up(number: float) -> int:
    """Return a number of two digits and zeros that is no smaller."""
    unit = 10 ** max(0, math.floor(math.log10(number)) - 1)
    return math.ceil(number / unit) * unit
