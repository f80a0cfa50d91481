"""Coalitions evaluated in passes, in this process or side by side in others."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator
from concurrent.futures import BrokenExecutor
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.errors import InvalidValueError, JobError, check_integer
from unshap_plugin.evaluation.evaluation import Evaluation
from unshap_plugin.evaluation.remote import Done, Failed, Parcel, Unlike, evaluated, packed, shares_of
from unshap_plugin.evaluation.workers import Workers, workers_now
from unshap_plugin.support.announcing import repeat
from unshap_plugin.support.memory import in_units, keep_pages
from unshap_plugin.support.portable import Portable
from unshap_plugin.support.threads import alone, in_company, on_one_core

__all__ = ["Passes", "check_jobs"]

_log = logging.getLogger(__name__)

#: Working set of a pass in bytes. Of less, what a pass costs whatever its size counts for more; more gains little
#: (``benchmarks/pass_bytes.py``).
PASS_BYTES = 48 * 2**20
#: Where even a block of rows leaves the cache, so many coalitions share what a pass costs whatever its size.
FEW = 8
#: More gain nothing: what a pass costs whatever its size is spread over enough of them.
MOST = 1024
#: Shares of each job in a round: of more the last ones end closer together, fewer are sent faster.
SHARES = 16
#: Shares of each job where models are made one by one.
LOOPED = 4
#: Passes of each job in a round, after which the utilities are remembered: an interruption loses one round.
ROUND = 32


class Passes(Portable):
    """Passes of an evaluation over any number of coalitions, in one process or several.

    Utilities, warnings and errors are those of one process, whatever the number of jobs.

    Parameters
    ----------
    evaluation
        What a pass is.
    chunk
        Coalitions of a pass; ``None``: as many as ``memory`` holds, and no more than are of use.
    n_jobs
        As in joblib: processes at work at a time, -1 for all cores. ``None``: what ``joblib.parallel_config`` says, or
        one. A number given here makes each job compute on one thread, so that any number of jobs gives the same bits.
    memory
        Bytes that the passes of all jobs may take together.

    Attributes
    ----------
    chunk
        Coalitions of a pass; half of these after memory ran out.

    Raises
    ------
    PluginError
        If an unlearner of a plugin fails to say what memory it takes.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from unshap_plugin.problem.problem import ValuationProblem
    >>> from unshap_plugin.unlearners import LinearExact
    >>> x, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0.0, 1.0, 2.0, 6.0])
    >>> problem = ValuationProblem(Ridge().fit(x, y), train=(x, y), test=(x, y))
    >>> passes = Passes(Evaluation(problem, LinearExact(), None, 0, "raise"), None, None, 2**30)
    >>> [one.round(2) for one in passes.over(np.array([[True, True, True, False]]))]
    [array([-3.42])]
    """

    _left_behind: ClassVar[tuple[str, ...]] = ("_sent", "_lent")

    def __init__(self, evaluation: Evaluation, chunk: int | None, n_jobs: int | None, memory: int) -> None:
        self.evaluation, self.n_jobs = evaluation, n_jobs
        self.chunk = chunk or self._fitting(memory)
        self._short = False  # of memory, so far
        self._told: set[str] = set()
        self._make_anew()

    def _make_anew(self) -> None:
        keep_pages()
        self._sent: Parcel | None = None
        self._lent: tuple[Workers, Any] | None = None

    def workers(self) -> Workers | None:
        """Return who would be at work now; ``None``: this process alone, as where coalitions have an order."""
        return None if self.evaluation.unlearner.order_dependent else workers_now(self.n_jobs)

    def jobs(self) -> int:
        """Return how many processes would be at work now."""
        workers = self.workers()
        return 1 if workers is None else workers.count()

    def over(self, coalitions: NDArray[np.bool_]) -> Iterator[NDArray[np.float64]]:
        """Yield the utilities ``[m]`` or ``[m, t]`` of coalitions, bool ``[m, n_players]``, in order, some at a time.

        Raises
        ------
        DivergenceError, ContractError
            As ``Evaluation.utilities`` does, for the first coalition that fails.
        JobError
            If another process ends, or fails where this one does not.
        InvalidTypeError
            If the problem cannot be sent to another process.
        """
        start = 0
        while start < len(coalitions):
            rest, workers = coalitions[start:], self.workers()
            if workers is None or len(rest) == 1:
                done: Iterable[Done] = [self._here(rest[: self.chunk])]
            elif self._sent is None:
                # Here first, so that what is computed once is, and travels along; nobody may ask for little of it.
                done = [self._here(rest[: 1 if rest[0].any() else 2])]
                with alone():
                    self._sent = packed(self.evaluation)
            else:
                done = self._elsewhere(rest, workers, self._sent)
            for one in done:
                yield one.utilities
                start += len(one.utilities)

    def _here(self, coalitions: NDArray[np.bool_]) -> Done:
        workers = self.workers()
        with alone(), on_one_core(self.n_jobs is not None or workers is not None), in_company(workers is not None):
            done = evaluated(self.evaluation, coalitions, self.chunk)
        self._fit(done)
        return done

    def _elsewhere(self, coalitions: NDArray[np.bool_], workers: Workers, sent: Parcel) -> Iterator[Done]:
        """Evaluate the first of the coalitions in other processes, in shares of which each gets equally many."""
        jobs = workers.count()
        coalitions = coalitions[: ROUND * jobs * self.chunk]
        shares = [*shares_of(coalitions, self._size(len(coalitions), jobs, workers.least), self.chunk)]
        if self._lent is None or self._lent[0] != workers:
            self._lent = workers, workers.lend(sent)
        name = self.evaluation.unlearner.name
        # In order, so that who gives a warning first is who gives it first with one job.
        outcomes = workers.outcomes(sent, self._lent[1], shares)
        for share in shares:
            try:
                done = next(outcomes)
            except BrokenExecutor as error:
                each = self.chunk * max(self.evaluation.bytes(), self.evaluation.bytes_on_test())
                raise JobError(
                    f"another process ended while unlearner {name!r} was at work in it "
                    f"({' '.join(str(error).split())[:300]}): use n_jobs=1, or less memory (each of {jobs} jobs takes "
                    f"about {in_units(each)})."
                ) from error
            if isinstance(done, Unlike):
                raise JobError(f"a worker has other software, {done.why}: install the same there, or use n_jobs=1.")
            if not isinstance(done, Done):
                self._here(share.coalitions)  # where it fails as it does with one job
                why = done.why if isinstance(done, Failed) else "it did not take up the problem"
                raise JobError(f"unlearner {name!r} works here, but failed in another process ({why}): use n_jobs=1.")
            repeat(done.warned, self._told)
            self._fit(done)
            yield done

    def _size(self, m: int, jobs: int, least: int) -> int:
        """Return how many of ``m`` coalitions a share takes, so that nobody is idle while others have two of them."""
        # Where nothing is stacked, a pass of few costs no more, and the cost of a coalition grows with its size.
        least = max(least, LOOPED) if self.evaluation.bytes() == 1 else least
        each = min(max(least, math.ceil(m / (jobs * self.chunk))), SHARES)
        return math.ceil(m / (jobs * each))

    def _fitting(self, memory: int) -> int:
        """Return how many coalitions a pass takes within the memory, and within ``PASS_BYTES`` while it unlearns."""
        unlearning = max(self.evaluation.bytes(), 1)
        each, jobs = max(unlearning, self.evaluation.bytes_on_test()), self.jobs()
        if each * jobs > memory:
            _log.warning("a coalition takes about %s, more than memory=%s", in_units(each), in_units(memory))
        enough = max(PASS_BYTES // unlearning, FEW if self.evaluation.in_blocks else 1)
        return int(np.clip(min(enough, memory // jobs // each), 1, MOST))

    def _fit(self, done: Done) -> None:
        """Go on with as many coalitions as a pass could take."""
        if done.chunk < self.chunk:
            self.chunk = done.chunk
            level = logging.INFO if self._short else logging.WARNING
            self._short = True
            _log.log(level, "out of memory: going on with %d coalitions per pass", self.chunk)


def check_jobs(n_jobs: int | None) -> None:
    """Raise unless ``n_jobs`` is a number of jobs as joblib takes it: a whole number other than 0, or ``None``.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If it is something else.

    Examples
    --------
    >>> check_jobs(-1)
    """
    if n_jobs is None:
        return
    check_integer("n_jobs", n_jobs, -(2**31))
    if n_jobs == 0:
        raise InvalidValueError("n_jobs is 0, but a number of processes is needed: use 1, or -1 for one on each core.")
