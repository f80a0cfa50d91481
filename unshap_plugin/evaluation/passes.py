"""Coalitions evaluated in passes, in this process or side by side in others."""

from __future__ import annotations

import logging
import math
import pickle
import uuid
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from typing import Any, ClassVar

import joblib
import numpy as np
from joblib.parallel import get_active_backend
from numpy.typing import NDArray

from unshap_plugin.errors import InvalidTypeError, InvalidValueError, JobError, check_integer
from unshap_plugin.evaluation.evaluation import Evaluation
from unshap_plugin.model.engine import out_of_memory
from unshap_plugin.support.announcing import Heard, heard, repeat
from unshap_plugin.support.memory import in_units, keep_pages
from unshap_plugin.support.portable import Portable
from unshap_plugin.support.threads import alone, on_one_core

__all__ = ["Passes", "check_jobs"]

_log = logging.getLogger(__name__)

#: Working set of a pass in bytes. Larger ones leave the cache and are slower (measured).
PASS_BYTES = 16 * 2**20
#: More gain nothing: what a pass costs whatever its size is spread over enough of them.
MOST = 1024
#: Shares of each job in a round: of more the last ones end closer together, fewer are sent faster.
SHARES = 16
#: Passes of each job in a round, after which the utilities are remembered: an interruption loses one round.
ROUND = 32


@dataclass(frozen=True)
class _Done:
    """What became of some coalitions: utilities ``[m]`` or ``[m, t]``, how many a pass could take, and warnings."""

    utilities: NDArray[np.float64]
    chunk: int
    warned: Sequence[Heard] = ()


class Passes(Portable):
    """Passes of an evaluation over any number of coalitions, in one process or several.

    Utilities, warnings and errors are those of one process, whatever the number of jobs.

    Parameters
    ----------
    evaluation
        What a pass is.
    chunk
        Coalitions of a pass; ``None``: as many as ``memory`` and the cache of a processor hold.
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

    _left_behind: ClassVar[tuple[str, ...]] = ("_sent",)

    def __init__(self, evaluation: Evaluation, chunk: int | None, n_jobs: int | None, memory: int) -> None:
        self.evaluation, self.n_jobs = evaluation, n_jobs
        self.chunk = chunk or self._fitting(memory)
        self._short = False  # of memory, so far
        self._told: set[str] = set()
        self._make_anew()

    def _make_anew(self) -> None:
        keep_pages()
        self._sent: tuple[str, NDArray[np.uint8]] | None = None

    def jobs(self) -> int:
        """Return how many processes would be at work now: one where coalitions have an order, or threads would do it.

        Threads take turns (``alone``), so that several of them are no faster than one.
        """
        threads = getattr(get_active_backend()[0], "supports_sharedmem", False)
        if self.n_jobs == 1 or self.evaluation.unlearner.order_dependent or threads:
            return 1
        return int(joblib.effective_n_jobs(self.n_jobs))

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
            rest, jobs = coalitions[start:], self.jobs()
            if jobs == 1 or len(rest) == 1:
                done: Iterable[_Done] = [self._here(rest[: self.chunk])]
            elif self._sent is None:
                # Here first, so that what is computed once is, and travels along; nobody may ask for little of it.
                done = [self._here(rest[: 1 if rest[0].any() else 2])]
                with alone():
                    self._sent = uuid.uuid4().hex, _packed(self.evaluation)
            else:
                done = self._elsewhere(rest[: ROUND * jobs * self.chunk], jobs)
            for one in done:
                yield one.utilities
                start += len(one.utilities)

    def _here(self, coalitions: NDArray[np.bool_]) -> _Done:
        with alone(), on_one_core(self.n_jobs is not None or self.jobs() > 1):
            done = _evaluated(self.evaluation, coalitions, self.chunk)
        self._fit(done)
        return done

    def _elsewhere(self, coalitions: NDArray[np.bool_], jobs: int) -> Iterator[_Done]:
        """Evaluate coalitions in other processes, in shares of which each job gets several."""
        size = max(min(self.chunk, math.ceil(len(coalitions) / jobs)), math.ceil(len(coalitions) / (SHARES * jobs)))
        shares = [coalitions[start : start + size] for start in range(0, len(coalitions), size)]
        # In order, so that who gives a warning first is who gives it first with one job.
        tasks = [joblib.delayed(_there)(*(self._sent or ()), share, self.chunk) for share in shares]
        try:
            outcomes = joblib.Parallel(n_jobs=self.n_jobs)(tasks)
        except BrokenExecutor as error:
            each = self.chunk * max(self.evaluation.bytes(), self.evaluation.bytes_on_test())
            raise JobError(
                f"another process ended while unlearner {self.evaluation.unlearner.name!r} was at work in it "
                f"({' '.join(str(error).split())[:300]}): use n_jobs=1, or less memory (each of {jobs} jobs takes "
                f"about {in_units(each)})."
            ) from error
        for share, done in zip(shares, outcomes, strict=True):
            if isinstance(done, str):
                self._here(share)  # where it fails as it does with one job
                raise JobError(
                    f"unlearner {self.evaluation.unlearner.name!r} works here, but failed in another process ({done}): "
                    f"use n_jobs=1."
                )
            repeat(done.warned, self._told)
            self._fit(done)
            yield done

    def _fitting(self, memory: int) -> int:
        """Return how many coalitions a pass takes within the memory, and within a cache while it unlearns."""
        unlearning = max(self.evaluation.bytes(), 1)
        each = max(unlearning, self.evaluation.bytes_on_test())
        if each * self.jobs() > memory:
            _log.warning("a coalition takes about %s, more than memory=%s", in_units(each), in_units(memory))
        return int(np.clip(min(PASS_BYTES // unlearning, memory // self.jobs() // each), 1, MOST))

    def _fit(self, done: _Done) -> None:
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


def _evaluated(evaluation: Evaluation, coalitions: NDArray[np.bool_], chunk: int) -> _Done:
    """Evaluate coalitions, so many at a time, and half as many when memory runs out: nothing is lost by that."""
    parts: list[NDArray[np.float64]] = []
    start = 0
    while start < len(coalitions):
        try:
            parts.append(evaluation.utilities(coalitions[start : start + chunk]))
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            chunk = max(1, min(chunk, len(coalitions) - start) // 2)
        else:
            start += len(parts[-1])
    return _Done(np.concatenate(parts), chunk)


def _packed(evaluation: Evaluation) -> NDArray[np.uint8]:
    """Return an evaluation as bytes, with what was computed once; as an array, which joblib may share in memory."""
    computed = evaluation.problem.computed
    try:
        try:
            return _bytes_of((evaluation, computed))
        except Exception:  # what a plugin computed: every process computes it for itself
            return _bytes_of((evaluation, {}))
    except Exception as error:  # whatever the classes of others raise
        raise InvalidTypeError(
            f"the problem, or unlearner {evaluation.unlearner.name!r}, cannot be sent to another process "
            f"({type(error).__name__}: {error}): use n_jobs=1."
        ) from error


def _bytes_of(what: Any) -> NDArray[np.uint8]:
    # By joblib's pickler, which takes functions and classes along that no module has.
    return np.frombuffer(pickle.dumps(joblib.wrap_non_picklable_objects(what, keep_wrapper=False)), dtype=np.uint8)


#: The evaluation that this process worked on last, as somebody's worker.
_last: dict[str, Evaluation] = {}


def _there(name: str, packed: NDArray[np.uint8], coalitions: NDArray[np.bool_], chunk: int) -> _Done | str:
    """Evaluate coalitions in a worker, on one thread; return what went wrong instead where anything did."""
    try:
        with alone(), on_one_core(), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")  # filters are those of the process that asks
            if name not in _last:
                _last.clear()
                evaluation, computed = pickle.loads(packed.data)
                evaluation.problem.remember(computed)
                _last[name] = evaluation
            done = _evaluated(_last[name], coalitions, chunk)
        return _Done(done.utilities, done.chunk, heard(caught))
    except Exception as error:  # is told at home, where it can be raised as it is with one job
        return f"{type(error).__name__}: {error}"
