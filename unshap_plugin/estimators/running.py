"""An estimator at work: asked and told until it is done, or until a rule or somebody ends it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.errors import BudgetError
from unshap_plugin.estimators.stopping import Ending, Stopping
from unshap_plugin.support.progress import Progress, Reporter

if TYPE_CHECKING:
    from unshap_plugin.estimators.base import Estimate, Estimator

__all__ = ["Pace", "run"]

#: How many utilities to a player the first look at the values takes, and how much more each further one. Looks are at
#: counts that depend on nothing but the number of players, and few: each is a chance to stop at a lucky one.
FIRST, GROWTH = 5, 1.5
#: Where no rule asks for them, looks begin after so many seconds, and take about this share of the time.
PATIENCE, SHARE_OF_LOOKS = 5.0, 0.1


def run(
    estimator: Estimator,
    game: Callable[[NDArray[np.bool_]], NDArray[np.float64]],
    progress: Callable[[Progress], object] | None,
    stopping: Stopping,
) -> Estimate:
    """Ask and tell until nothing is left to ask or the run is ended; see ``Estimator.run``."""
    report, pace = Reporter(progress), Pace(estimator.block, estimator.n_players)
    look = _first_look(estimator) if stopping or progress is not None else math.inf
    looking, largest, expected = 0.0, math.nan, math.inf
    ending: Ending | None

    def reported() -> bool:
        return report(estimator.asked, _in_all(estimator, expected, stopping.max_time, report.seconds), largest)

    while True:
        estimator.block = int(max(2, min(pace.block, look - estimator.asked)))
        coalitions = estimator.ask()
        if len(coalitions) == 0:
            return estimator.estimate()
        begin = time.perf_counter()
        try:
            utilities = game(coalitions)
        except Exception:
            # Who asks for the end by a signal may have ended other processes that were at work.
            if reported():
                return _ended(estimator, "interrupted", None)
            raise
        pace.took(len(coalitions), time.perf_counter() - begin)
        estimator.tell(coalitions, utilities)
        estimator.asked += len(coalitions)
        ending, estimate = None, None
        if look <= estimator.asked < estimator.total:
            if stopping.of_values or (report.seconds > PATIENCE and looking <= SHARE_OF_LOOKS * report.seconds):
                begin = time.perf_counter()
                estimate = _so_far(estimator)
                looking += time.perf_counter() - begin
                if estimate is not None:
                    largest = float(estimate.std_errors.max(initial=0.0))
                    if stopping.target_error is not None:
                        expected = estimator.asked * max(1.0, stopping.excess(estimate)) ** 2
                    ending = stopping.met(estimate, estimator.asked)
            look = max(look * GROWTH, estimator.asked + 1)
        if stopping.max_time is not None and report.seconds >= stopping.max_time:
            ending = ending or "max_time"
        if reported():
            ending = "interrupted"
        if ending == "interrupted" or (ending is not None and _can(estimator)):
            return _ended(estimator, ending, estimate)


class Pace:
    """How many utilities to ask for at a time: about as many as come in half a second to a second.

    More, where twice as many hardly take longer, as where several processes share them or one pass takes all of them.

    Parameters
    ----------
    block
        How many at first.
    n_players
        Of which coalitions have so many that only so many of them fit into memory.

    Attributes
    ----------
    block
        How many to ask for now.

    Examples
    --------
    >>> pace = Pace(32, 10)
    >>> for _ in range(3):
    ...     pace.took(pace.block, seconds=0.1)
    >>> fast = pace.block
    >>> for _ in range(3):
    ...     pace.took(pace.block, seconds=0.1 * pace.block)
    >>> fast, pace.block
    (256, 32)
    """

    #: Less than so many seconds is soon, more is late; where twice as many take so many times as long, half do as well.
    _SOON, _LATE, _ALIKE = 0.5, 1.0, 1.5
    #: Coalitions of so many numbers together are asked for at most.
    _MOST = 2**24

    def __init__(self, block: int, n_players: int) -> None:
        self.block = block
        self._most = max(self._MOST // max(n_players, 1), block)
        self._seconds: dict[int, float] = {}

    def took(self, count: int, seconds: float) -> None:
        """Take note that ``count`` utilities took so many ``seconds``."""
        if 2 * count <= self.block:
            # The two ends tell how long a block would take at most, before one was asked for.
            if not self._seconds and seconds / count * self.block > self._LATE:
                self.block = 1 << max(int(count * self._LATE / seconds), 2).bit_length() - 1
            return
        self._seconds[self.block] = seconds
        half, twice = self._seconds.get(self.block // 2), self._seconds.get(2 * self.block)
        cheaper = (half is not None and seconds < self._ALIKE * half) or (
            twice is not None and twice < self._ALIKE * seconds
        )
        if seconds < self._SOON or cheaper or (half is None and twice is None):
            self.block = min(2 * self.block, self._most)
        elif seconds > self._LATE:
            self.block = max(self.block // 2, 2)


def _first_look(estimator: Estimator) -> float:
    return math.inf if estimator.anytime_from is None else max(FIRST * estimator.n_players, estimator.anytime_from)


def _can(estimator: Estimator) -> bool:
    return estimator.anytime_from is not None and estimator.asked >= estimator.anytime_from


def _so_far(estimator: Estimator) -> Estimate | None:
    """Return what values are known to be so far, if exclusions leave enough for that."""
    try:
        return estimator.estimate()
    except BudgetError:
        return None


def _ended(estimator: Estimator, ending: Ending, estimate: Estimate | None) -> Estimate:
    """Return the values so far, which may be known already."""
    if not _can(estimator) and estimator.asked < estimator.total:
        raise BudgetError(
            f"the run was ended after {estimator.asked} utilities, before there were values"
            + ("" if estimator.anytime_from is None else f": these need {estimator.anytime_from}")
        )
    estimator.ending = ending
    return estimate or estimator.estimate()


def _in_all(estimator: Estimator, expected: float, max_time: float | None, seconds: float) -> int:
    """Return how many utilities it will be, as far as the budget, the time and the errors so far tell."""
    if max_time is not None:
        expected = min(expected, estimator.asked * max(1.0, max_time / max(seconds, 1e-9)))
    return max(estimator.asked, estimator.total if expected >= estimator.total else int(expected))
