"""Two results side by side: which differences of values are larger than their errors explain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from unshap_plugin.errors import InvalidTypeError, InvalidValueError
from unshap_plugin.numerics.correlation import spearman
from unshap_plugin.numerics.round_off import round_off
from unshap_plugin.results.intervals import check_level, student_interval
from unshap_plugin.results.lookup import check_one_value

if TYPE_CHECKING:
    from unshap_plugin.results.result import ValuationResult

__all__ = ["Comparison", "compare", "holm"]

_NAMED = 5
#: What makes a game another one.
_OF_THE_GAME = ("unlearner", "settings", "game_seed", "access")


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """The differences of two results, player by player, with their errors.

    Parameters
    ----------
    players
        The players, in the order of the first result, as that of all arrays.
    values, others
        The values of the first and of the second result, ``[n_players]``.
    differences, std_errors
        The first minus the second, and the standard errors of that, ``[n_players]``.
    low, high
        Ends of the confidence interval of each difference, of that ``level`` for each alone, ``[n_players]``.
    p_values, adjusted
        Of the hypothesis that a value is the same in both (Welch's t test), and adjusted for as many tests as there
        are players (Holm), ``[n_players]``.
    differs
        Whether the adjusted one is below ``1 - level``, bool ``[n_players]``: that any player is named whose value is
        the same has at most that probability.
    level
        The confidence level.
    spearman
        The rank correlation of the values; NaN where it is not defined.
    notes
        What a reader should know: what the two games differ in, and where the errors are not what they seem.

    Examples
    --------
    >>> from unshap_plugin import shapley_values
    >>> class Bridge:
    ...     n_players, players = 4, ("acme", "bolt", "cairn", "delta")
    ...     def __init__(self, last):
    ...         self.last = last
    ...     def __call__(self, coalitions):
    ...         return (coalitions @ [3.0, 2.0, 1.0, self.last]) ** 1.5
    >>> first = shapley_values(Bridge(0.0), "permutation", budget=200, seed=0)
    >>> second = shapley_values(Bridge(0.2), "permutation", budget=200, seed=1)
    >>> found = first.compare(second)
    >>> found
    Comparison(2 of 4 players differ beyond the errors (95%, Holm): delta, acme; Spearman 1.000)
    >>> list(found.to_frame())[3:]
    ['difference', 'std_error', 'ci_low', 'ci_high', 'p_value', 'p_adjusted', 'differs']
    """

    players: tuple[Any, ...]
    values: NDArray[np.float64]
    others: NDArray[np.float64]
    differences: NDArray[np.float64]
    std_errors: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    p_values: NDArray[np.float64]
    adjusted: NDArray[np.float64]
    differs: NDArray[np.bool_]
    level: float
    spearman: float
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Return in one line who differs, most clearly first."""
        order = [i for i in np.argsort(self.p_values, kind="stable") if self.differs[i]]
        named = ", ".join(str(self.players[i]) for i in order[:_NAMED]) + (", ..." if len(order) > _NAMED else "")
        many = f"{len(order) or 'none'} of {len(self.players)} player{'s' if len(self.players) > 1 else ''}"
        verb = "differs" if len(order) <= 1 else "differ"
        return (
            f"Comparison({many} {verb} beyond the errors ({100 * self.level:.4g}%, Holm)"
            f"{': ' + named if named else ''}; Spearman {self.spearman:.3f})"
        )

    def to_frame(self) -> pd.DataFrame:
        """Return a table with a row per player: both values, their difference, its error, interval and tests."""
        return pd.DataFrame(
            {
                "player": self.players,
                "value": self.values,
                "other": self.others,
                "difference": self.differences,
                "std_error": self.std_errors,
                "ci_low": self.low,
                "ci_high": self.high,
                "p_value": self.p_values,
                "p_adjusted": self.adjusted,
                "differs": self.differs,
            }
        )


def compare(first: ValuationResult, second: ValuationResult, level: float) -> Comparison:
    """Return which values of two results differ by more than their errors explain.

    The errors of both are taken for independent, as they are with different seeds.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If the second is no result, is of other players or of another metric, or if the values are vectors.
    """
    check_level(level)
    if not isinstance(second, type(first)):
        raise InvalidTypeError(f"other is a {type(second).__name__}, but a ValuationResult is needed.")
    for one in (first, second):
        check_one_value("compare", one.values)
    if first.metric != second.metric:
        raise InvalidValueError(
            f"the results are of different metrics, {first.metric!r} and {second.metric!r}, whose values have "
            f"different units: pass one of them as metric to both."
        )
    order = _order(first.players, second.players)
    values, se, df = first.values, first.std_errors, first.degrees_of_freedom
    others, other_se, other_df = (a[order] for a in (second.values, second.std_errors, second.degrees_of_freedom))
    difference, error = values - others, np.hypot(se, other_se)
    same = max(float(round_off(first)), float(round_off(second)))
    certain = error == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = 1 / ((se / error) ** 4 / df + (other_se / error) ** 4 / other_df)  # Welch's
        p = 2 * stats.t.sf(np.abs(difference) / error, freedom)
    freedom[certain] = np.inf
    p[certain] = np.abs(difference[certain]) <= same
    low, high = student_interval(difference, error, freedom, level)
    adjusted = holm(p)
    return Comparison(
        players=first.players,
        values=values,
        others=others,
        differences=difference,
        std_errors=error,
        low=low,
        high=high,
        p_values=p,
        adjusted=adjusted,
        differs=adjusted < 1 - level,
        level=level,
        spearman=spearman(values, others),
        notes=(*_kinds(first, second), *_games(first, second, same), *_errors(first, second, error)),
    )


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values ``[tests]`` adjusted for their number (Holm 1979); NaN stays, and counts as no test.

    Examples
    --------
    >>> holm(np.array([0.04, 0.01, np.nan, 0.03])).round(3).tolist()
    [0.06, 0.03, nan, 0.06]
    """
    adjusted = np.full(p_values.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(p_values))
    order = tested[np.argsort(p_values[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * p_values[order]), 1.0)
    return adjusted


def _order(players: tuple[Any, ...], others: tuple[Any, ...]) -> NDArray[np.intp]:
    """Return where each of the players stands among the others."""
    place = {player: k for k, player in enumerate(others)}
    lacking = [str(one) for one in players if one not in place]
    if lacking or len(players) != len(others):
        mine = set(players)
        alone = [*lacking, *(str(one) for one in others if one not in mine)]
        raise InvalidValueError(
            f"the results are of different players, {', '.join(alone[:_NAMED])}{', ...' if len(alone) > _NAMED else ''}"
            f" being in one of them only: value the same groups in both."
        )
    return np.array([place[one] for one in players], dtype=np.intp)


def _kinds(one: ValuationResult, other: ValuationResult) -> list[str]:
    """Say that the values mean different things."""
    if one.semivalue == other.semivalue:
        return []
    return [f"a {one.semivalue} is compared with a {other.semivalue}: they would differ without any error too."]


def _games(one: ValuationResult, other: ValuationResult, same: float) -> list[str]:
    """Say what makes the games of two results different ones."""
    differ = [name for name in _OF_THE_GAME if getattr(one, name) != getattr(other, name)]
    said = [f"{name} ({_short(getattr(one, name))} and {_short(getattr(other, name))})" for name in differ]
    ends = [(one.utility_all, other.utility_all, "v(all)"), (one.utility_none, other.utility_none, "v(none)")]
    said += [f"{name} ({float(a):.6g} and {float(b):.6g})" for a, b, name in ends if abs(float(a - b)) > same]
    if not said:
        return []
    return [f"the games differ in {', '.join(said)}: a difference that exceeds the errors may be theirs."]


def _short(value: Any) -> str:
    return str(dict(value)) if hasattr(value, "items") else str(value)


def _errors(one: ValuationResult, other: ValuationResult, error: NDArray[np.float64]) -> list[str]:
    """Say where the errors of the differences are not what they seem."""
    notes = []
    unknown = int(np.isnan(error).sum())
    if unknown:
        notes.append(
            f"{unknown} of {len(error)} players have no standard error in one of the results: nothing is said of "
            f"their differences."
        )
    both = one.std_errors.any() and other.std_errors.any()
    if both and (one.seed, one.estimator) == (other.seed, other.estimator):
        notes.append(
            f"both were sampled with {one.estimator!r} and the seed {one.seed}, so that their errors are not "
            f"independent, as is assumed: use another seed for one of them."
        )
    return notes
