"""How far a long computation is: for who asked to be told, and once a minute for the log."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from unshap_plugin.errors import InvalidTypeError

__all__ = ["Progress", "Reporter", "check_progress", "in_time"]

_log = logging.getLogger(__name__)

#: Seconds between lines of the log, and from how many on the whole time is estimated there before the first of them.
MINUTE = 60.0


@dataclass(frozen=True)
class Progress:
    """What is known of a computation on its way.

    Parameters
    ----------
    done, total
        Utilities so far, and how many it will be, as far as can be told.
    seconds
        Time so far.
    largest_error
        The largest standard error of a value when values were last estimated; NaN before that.

    Examples
    --------
    >>> half = Progress(200, 400, 4.0)
    >>> half.rate, half.remaining, str(half)
    (50.0, 4.0, '200 of 400 utilities, 50 a second, 4 s left')
    >>> print(Progress(200, 400, 400.0, 0.0125))
    200 of 400 utilities, 0.5 a second, 6.7 min left, largest standard error 0.0125
    """

    done: int
    total: int
    seconds: float
    largest_error: float = math.nan

    @property
    def rate(self) -> float:
        """Utilities a second."""
        return self.done / max(self.seconds, 1e-9)

    @property
    def remaining(self) -> float:
        """Seconds that are left at that rate, if any are done."""
        return (self.total - self.done) / self.rate if self.done else math.inf

    def __str__(self) -> str:
        error = "" if math.isnan(self.largest_error) else f", largest standard error {self.largest_error:.3g}"
        return (
            f"{self.done:,} of {self.total:,} utilities, {self.rate:,.3g} a second, {in_time(self.remaining)} left"
            f"{error}"
        )


class Reporter:
    """Tells a callback how far a computation is, whenever it is told so itself, and the log once a minute.

    Where the first report leaves more than a minute to go, the log has that estimate too.

    Parameters
    ----------
    callback
        Called with the ``Progress``; returns whether the computation should end. ``None``: there is nobody to tell.

    Examples
    --------
    >>> seen = []
    >>> Reporter(seen.append)(1, 2)
    False
    >>> [(one.done, one.total) for one in seen]
    [(1, 2)]
    """

    def __init__(self, callback: Callable[[Progress], object] | None) -> None:
        self.callback = callback
        self.begin = time.perf_counter()
        self._logged: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds since it was made."""
        return time.perf_counter() - self.begin

    def __call__(self, done: int, total: int, largest_error: float = math.nan) -> bool:
        """Report, and return whether the callback said to end."""
        progress = Progress(done, total, self.seconds, largest_error)
        if self._logged is None:
            if MINUTE < progress.remaining < math.inf:
                _log.info("about %s for %s utilities", in_time(progress.seconds + progress.remaining), f"{total:,}")
            self._logged = 0.0
        if progress.seconds - self._logged >= MINUTE:
            self._logged = progress.seconds
            _log.info("%s", progress)
        end = None if self.callback is None else self.callback(progress)
        # Comparisons of numpy's numbers are no bool of Python's; whatever else is returned means nothing.
        return isinstance(end, bool | np.bool_) and bool(end)


def check_progress(progress: object) -> None:
    """Raise unless it can be told how far a computation is, or is ``None``.

    Raises
    ------
    InvalidTypeError
        If it is no function.

    Examples
    --------
    >>> check_progress(print)
    """
    if progress is not None and not callable(progress):
        raise InvalidTypeError(
            f"progress is {progress!r}, but it is a function that is told how far a computation is: use "
            f"progress=print, or leave it out."
        )


def in_time(seconds: float) -> str:
    """Return a time in words.

    Examples
    --------
    >>> in_time(12.3), in_time(130), in_time(9000), in_time(400_000)
    ('12 s', '2.2 min', '2.5 h', '4.6 days')
    """
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size * (2 if unit == "days" else 1):
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.0f} s"
