"""What happens in a worker: an evaluation is taken up once, and then works on coalitions."""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import pickle
import platform
import signal
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

from unshap_plugin.errors import InvalidTypeError
from unshap_plugin.evaluation.evaluation import Evaluation
from unshap_plugin.support.announcing import Heard, heard
from unshap_plugin.support.memory import keep_pages, out_of_memory
from unshap_plugin.support.threads import alone, in_company, on_one_core

__all__ = ["Done", "Failed", "Outcome", "Parcel", "Share", "Unlike", "evaluated", "packed", "shares_of", "work"]


@dataclass(frozen=True)
class Done:
    """What became of some coalitions: utilities ``[m]`` or ``[m, t]``, how many a pass could take, and warnings."""

    utilities: NDArray[np.float64]
    chunk: int
    warned: Sequence[Heard] = ()


@dataclass(frozen=True)
class Failed:
    """What went wrong, in words: an exception may be of a class that cannot travel."""

    why: str


@dataclass(frozen=True)
class Unlike:
    """In what the software of a worker is not that of the process that asks."""

    why: str


#: ``None``: the worker was not given the evaluation, and does not have it yet.
Outcome = Done | Failed | Unlike | None


@dataclass(frozen=True)
class Parcel:
    """An evaluation on its way to workers.

    Parameters
    ----------
    name
        Of the content: a worker that has it needs no other of the same name.
    content
        The evaluation as bytes, in an array, which joblib may share in memory.
    software
        Versions of what it was made with, by package.
    """

    name: str
    content: NDArray[np.uint8]
    software: Mapping[str, str]


@dataclass(frozen=True)
class Share:
    """Coalitions of one task, eight players a byte: ``bits``, uint8 ``[m, bytes]``, of so many ``players``."""

    bits: NDArray[np.uint8]
    players: int
    chunk: int

    @property
    def coalitions(self) -> NDArray[np.bool_]:
        """The coalitions, bool ``[m, players]``."""
        return np.unpackbits(self.bits, axis=1, count=self.players).astype(bool)


def shares_of(coalitions: NDArray[np.bool_], size: int, chunk: int) -> Iterator[Share]:
    """Yield coalitions, bool ``[m, players]``, in shares of a size, to be evaluated in passes of ``chunk``."""
    for start in range(0, len(coalitions), size):
        yield Share(np.packbits(coalitions[start : start + size], axis=1), coalitions.shape[1], chunk)


def packed(evaluation: Evaluation) -> Parcel:
    """Return an evaluation, with what was computed once, as it travels.

    Raises
    ------
    InvalidTypeError
        If it cannot.
    """
    computed = evaluation.problem.computed
    try:
        try:
            content = _bytes_of((evaluation, computed))
        except Exception:  # what a plugin computed: every process computes it for itself
            content = _bytes_of((evaluation, {}))
    except Exception as error:  # whatever the classes of others raise
        raise InvalidTypeError(
            f"the problem, or unlearner {evaluation.unlearner.name!r}, cannot be sent to another process "
            f"({type(error).__name__}: {error}): use n_jobs=1."
        ) from error
    name = hashlib.blake2b(content, digest_size=16).hexdigest()
    return Parcel(name, np.frombuffer(content, dtype=np.uint8), _software({*evaluation.versions, "scikit-learn"}))


def evaluated(evaluation: Evaluation, coalitions: NDArray[np.bool_], chunk: int) -> Done:
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
    return Done(np.concatenate(parts), chunk)


#: The evaluation that this process worked on last, as somebody's worker.
_last: dict[str, Evaluation] = {}


def work(name: str, software: Mapping[str, str], content: NDArray[np.uint8] | None, share: Share) -> Outcome:
    """Evaluate a share in a worker, on one thread, by the evaluation of a name, whose content may be left out."""
    try:
        with _undisturbed(), alone(), on_one_core(), in_company(), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")  # filters are those of the process that asks
            if name not in _last:
                if content is None:
                    return None
                own = _software(software)
                if own != software:
                    differ = [one for one in software if own[one] != software[one]]
                    return Unlike(", ".join(f"{one} {own[one]} there and {software[one]} here" for one in differ))
                keep_pages()  # as at home: else the pages of each pass are cleared anew, a fifth of its time
                _last.clear()
                evaluation, computed = pickle.loads(content.data)
                evaluation.problem.remember(computed)
                _last[name] = evaluation
            done = evaluated(_last[name], share.coalitions, share.chunk)
        return Done(done.utilities, done.chunk, heard(caught))
    except Exception as error:  # is told at home, where it can be raised as it is with one job
        return Failed(f"{type(error).__name__}: {error}")


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Let ctrl-C, which a terminal sends to workers too, be for the process that asks: it may want what is done.

    A process that joblib started has nothing else to do, and would end with a traceback between two tasks.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is None:
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        if not multiprocessing.current_process().name.startswith("Loky"):
            signal.signal(signal.SIGINT, before)


def _software(names: Mapping[str, str] | set[str]) -> dict[str, str]:
    """Return the versions of packages here, and of Python as far as what is pickled depends on it."""
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in sorted({*names} - {"python"}):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found


def _bytes_of(what: Any) -> bytes:
    # By joblib's pickler, which takes functions and classes along that no module has.
    return pickle.dumps(joblib.wrap_non_picklable_objects(what, keep_wrapper=False))
