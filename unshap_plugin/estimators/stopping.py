"""Rules that end a run before its budget: how exact values are, how long it took, whether the best stand out."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from unshap_plugin.errors import InvalidValueError, check_integer, check_number, in_short

if TYPE_CHECKING:
    from unshap_plugin.estimators.base import Estimate

__all__ = ["NEVER", "Ending", "Stopping"]

#: What may end a run; the budget includes an estimator's own, and all coalitions.
Ending = Literal["budget", "target_error", "stable_top", "max_time", "interrupted"]

#: How sure it is that the best are the best: all intervals hold together at this level (Bonferroni).
LEVEL = 0.95


@dataclass(frozen=True)
class Stopping:
    """Rules, of which the first that is met ends a run; ``None``: there is no such rule.

    Parameters
    ----------
    target_error
        Largest standard error of a value that is good enough, wider by as much as Student's t says where it rests on
        few degrees of freedom: a number in the units of the metric, or text such as
        ``"10%"``, a share of the spread of the values. That is their standard deviation over the players, without what
        the errors add to it. Of vectors every column has to meet it.
    max_time
        Seconds.
    stable_top
        How many players have to stand out as the best: the lower ends of their intervals are all above the upper ends
        of those of the others, at levels at which all intervals hold together in 95 of 100 runs. It is the rule of
        LUCB (Kalyanakrishnan et al. 2012), with intervals of Student's t and Bonferroni's correction.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If a rule is no such number or text.

    Examples
    --------
    >>> Stopping(target_error="10%").share, Stopping(target_error=0.02).share, bool(Stopping(max_time=60)), bool(NEVER)
    (0.1, None, True, False)
    >>> Stopping(target_error="a tenth")
    Traceback (most recent call last):
    ...
    unshap_plugin.errors.InvalidValueError: target_error is 'a tenth', but a standard error above 0 or a share of the \
spread of the values is needed: give a number such as 0.01, or text such as '10%'.
    """

    #: What errors call the rules.
    called: ClassVar[str] = "target_error, max_time and stable_top"

    target_error: float | str | None = None
    max_time: float | None = None
    stable_top: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.target_error, str) and not (self.share and math.isfinite(self.share)):
            raise InvalidValueError(
                f"target_error is {in_short(self.target_error)}, but a standard error above 0 or a share of the spread "
                f"of the values is needed: give a number such as 0.01, or text such as '10%'."
            )
        if self.target_error is not None and not isinstance(self.target_error, str):
            check_number("target_error", self.target_error, zero=False)
        if self.max_time is not None:
            check_number("max_time", self.max_time, zero=True)
        if self.stable_top is not None:
            check_integer("stable_top", self.stable_top, 1)

    def __bool__(self) -> bool:
        """Tell whether there is any rule."""
        return self != NEVER

    @property
    def share(self) -> float | None:
        """The share of the spread that the largest standard error may be, if it is such a target."""
        found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*%\s*", str(self.target_error))
        return float(found[1]) / 100 if found and isinstance(self.target_error, str) else None

    @property
    def of_values(self) -> bool:
        """Whether there is a rule on values, for which these have to be looked at on the way."""
        return self.target_error is not None or self.stable_top is not None

    def check_players(self, n_players: int) -> None:
        """Raise if so many players cannot have such a top.

        Raises
        ------
        InvalidValueError
            If the top would be all players, or more.
        """
        if self.stable_top is not None and self.stable_top >= n_players:
            raise InvalidValueError(
                f"stable_top is {self.stable_top}, but there are {n_players} players, and a top is fewer than all of "
                f"them: give a smaller one."
            )

    def met(self, estimate: Estimate, asked: int) -> Ending | None:  # noqa: ARG002 (rules of frameworks go by it)
        """Return which of the rules on values an estimate meets, if any, for which so many utilities were asked."""
        if self.target_error is not None and self.excess(estimate) <= 1:
            return "target_error"
        if self.stable_top is not None and _stands_out(estimate, self.stable_top):
            return "stable_top"
        return None

    def excess(self, estimate: Estimate) -> float:
        """Return how many times too large the largest standard error is; NaN without a target."""
        if self.target_error is None:
            return math.nan
        wider = stats.t.ppf((1 + LEVEL) / 2, estimate.degrees_of_freedom) / stats.norm.ppf((1 + LEVEL) / 2)
        errors = (wider * estimate.std_errors).reshape(len(estimate.std_errors), -1)
        if not errors.any():
            return 0.0
        share = self.share
        target = np.full(errors.shape[1], self.target_error) if share is None else share * spread(estimate)
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = np.where(errors.any(axis=0), errors.max(axis=0) / target, 0.0)
        return float(excess.max())


#: No rule: a run ends with its budget.
NEVER = Stopping()


def spread(estimate: Estimate) -> NDArray[np.float64]:
    """Return the standard deviation of the values over players ``[t]``, without what their errors add to it."""
    values = estimate.values.reshape(len(estimate.values), -1)
    noise = np.square(estimate.std_errors.reshape(values.shape)).mean(axis=0)
    found: NDArray[np.float64] = np.sqrt(np.maximum(values.var(axis=0) - noise, 0.0))
    return found


def _stands_out(estimate: Estimate, top: int) -> bool:
    """Tell whether the best ``top`` players are the best in every column, up to the errors."""
    n = len(estimate.values)
    half = stats.t.ppf(1 - (1 - LEVEL) / (2 * n), estimate.degrees_of_freedom) * estimate.std_errors
    low, high = ((estimate.values + sign * half).reshape(n, -1) for sign in (-1, 1))
    order = np.argsort(-estimate.values.reshape(n, -1), axis=0, kind="stable")
    best = np.take_along_axis(low, order[:top], axis=0).min(axis=0)
    other = np.take_along_axis(high, order[top:], axis=0).max(axis=0)
    return bool((best > other).all())
