"""Runs that take turns in one process, so that a busy machine is busy for all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["NotRun", "Timed", "alternate", "checked"]


class NotRun(Exception):  # noqa: N818 - not an error: it says why there is nothing to report
    """A run cannot take place here, for the reason given: a package is missing, or the case is too large for it."""


@dataclass(frozen=True)
class Timed:
    """What the rounds of one run gave.

    Attributes
    ----------
    seconds
        Wall time of each round; none where the run failed.
    cpu
        Processor time of each round. On one thread of an idle machine it is the wall time; on a busy one it is what
        can be compared.
    results
        What each round returned; none where the run failed.
    failure
        Why there are no numbers.
    """

    seconds: tuple[float, ...] = ()
    cpu: tuple[float, ...] = ()
    results: tuple[Any, ...] = ()
    failure: str | None = None

    @property
    def median(self) -> float | None:
        """The median of the wall times."""
        return float(median(self.seconds)) if self.seconds else None

    @property
    def median_cpu(self) -> float | None:
        """The median of the processor times."""
        return float(median(self.cpu)) if self.cpu else None


def alternate(
    runs: Mapping[str, Callable[[], Any]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
    cpu_clock: Callable[[], float] = time.process_time,
) -> dict[str, Timed]:
    """Run all of them in each round, every other round in reverse, and return what came of it.

    A run that fails once has no numbers, not even those of earlier rounds, and is not run again.

    Parameters
    ----------
    runs
        What to run, by name.
    rounds
        How often.
    clock, cpu_clock
        Return seconds: wall time and the processor time of this process.

    Examples
    --------
    >>> times = alternate({"ours": lambda: 1, "theirs": lambda: 1 / 0}, 3)
    >>> times["ours"].results, times["theirs"].median, times["theirs"].failure
    ((1, 1, 1), None, 'ZeroDivisionError: division by zero')
    """
    done: dict[str, Timed] = {name: Timed() for name in runs}
    for number in range(rounds):
        for name in list(runs)[:: -1 if number % 2 else 1]:
            before = done[name]
            if before.failure is not None:
                continue
            begin, cpu = clock(), cpu_clock()
            try:
                result = runs[name]()
            except NotRun as reason:
                done[name] = Timed(failure=f"not run: {reason}")
            except Exception as error:  # whatever a peer raises is what is reported of it
                lines = str(error).strip().splitlines() or ["no message"]
                done[name] = Timed(failure=f"{type(error).__name__}: {lines[-1][:120]}")
            else:
                wall, spent = clock() - begin, cpu_clock() - cpu
                done[name] = Timed((*before.seconds, wall), (*before.cpu, spent), (*before.results, result))
    return done


def checked(values: ArrayLike, n: int) -> NDArray[np.float64]:
    """Return values as float64 ``[n]``.

    Raises
    ------
    ValueError
        If there are others than ``n`` of them, or some are not finite: such values are a failure of who made them.

    Examples
    --------
    >>> checked([[1], [2]], 2)
    array([1., 2.])
    """
    array = np.asarray(values, dtype=np.float64).reshape(-1)
    if array.shape != (n,):
        raise ValueError(f"gave {array.size} values for {n} players.")
    if not np.isfinite(array).all():
        raise ValueError(f"{int((~np.isfinite(array)).sum())} of {n} values are not finite.")
    return array
