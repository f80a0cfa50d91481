"""pyDVL's stopping criteria as a rule that ends an estimate on its way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from pydvl.valuation import MaxTime, ValuationResult
from pydvl.valuation.stopping import StoppingCriterion

from unshap_plugin.estimators.base import Estimate
from unshap_plugin.estimators.stopping import Ending, Stopping

__all__ = ["Criterion", "criterion_of"]


@dataclass(frozen=True)
class Criterion(Stopping):
    """A criterion of pyDVL's, or several combined, asked whenever the estimate is looked at.

    Parameters
    ----------
    max_time
        See ``Stopping``: a limit that is held between looks too.
    is_done
        The criterion.
    result_of
        Makes the result of pyDVL's that it is asked about, of an estimate and how many utilities that rests on.
    least
        How many utilities there were before: with fewer nothing is asked.
    """

    called: ClassVar[str] = "criteria such as is_done"

    is_done: StoppingCriterion = None
    result_of: Callable[[Estimate, int], ValuationResult] = None  # type: ignore[assignment]
    least: int = 0

    @property
    def of_values(self) -> bool:
        """Whether values have to be looked at: criteria go by these."""
        return True

    def met(self, estimate: Estimate, asked: int) -> Ending | None:
        """Return ``"interrupted"`` where the criterion is met."""
        return "interrupted" if asked >= self.least and self.is_done(self.result_of(estimate, asked)) else None


def criterion_of(
    is_done: StoppingCriterion, result_of: Callable[[Estimate, int], ValuationResult], least: int = 0
) -> Criterion:
    """Return a criterion as a rule, which keeps the time itself where that alone may end the run.

    It is asked from the ``least`` number of utilities on.

    Examples
    --------
    >>> from pydvl.valuation import AbsoluteStandardError, MinUpdates
    >>> both = MaxTime(60) | AbsoluteStandardError(0.01)
    >>> [criterion_of(one, None).max_time for one in (both, MaxTime(60) & MinUpdates(5), MaxTime(2) | both)]
    [60.0, None, 2.0]
    """
    return Criterion(max_time=_seconds(is_done), is_done=is_done, result_of=result_of, least=least)


def _seconds(criterion: Any) -> float | None:
    """Return after how many seconds a criterion is met whatever the values are, if it is."""
    if isinstance(criterion, MaxTime):
        return float(criterion.max_seconds)
    parts = getattr(criterion, "criteria", [])
    if not parts or str(criterion) != " OR ".join(map(str, parts)):
        return None
    return min((one for one in map(_seconds, parts) if one is not None), default=None)
