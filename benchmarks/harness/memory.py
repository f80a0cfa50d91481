"""Time and peak memory of a call, in this process or in one of its own."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import sys
import time
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

__all__ = ["apart", "watched"]

_STATUS = Path("/proc/self/status")


def apart(prepare: Callable[..., Callable[[], Any]], *arguments: Any) -> dict[str, Any]:
    """Run ``prepare(*arguments)()`` in a fresh process on one thread: what others left allocated is not counted.

    Parameters
    ----------
    prepare
        A function of a module, which returns what is measured. It runs before the measurement.
    arguments
        What it is given; they are pickled.

    Returns
    -------
    dict
        See ``watched``.

    Raises
    ------
    RuntimeError
        With type and message of what the process raised, or if it ended without an answer.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_answer, args=(theirs, list(sys.path), prepare, arguments))
    process.start()
    theirs.close()
    try:
        answer: dict[str, Any] = ours.recv()
    except EOFError as error:
        process.join()
        raise RuntimeError(f"the process ended with exit code {process.exitcode}.") from error
    process.terminate()  # else it waits for idle workers of joblib's, five minutes
    process.join()
    if "failure" in answer:
        raise RuntimeError(answer["failure"])
    return answer


def watched(run: Callable[[], Any]) -> dict[str, Any]:
    """Run ``run()`` in this process, after everything that is free was given back to the system.

    Returns
    -------
    dict
        ``result``, ``seconds`` (processor time), ``wall``, and ``bytes``: how far memory rose above what it was before
        (``None`` where the system does not tell).

    Examples
    --------
    >>> done = watched(lambda: len(bytes(2**20)))
    >>> done["result"], done["seconds"] >= 0
    (1048576, True)
    """
    _give_back()
    _forget_the_peak()
    before = _kilobytes("VmRSS")
    begin, cpu = time.perf_counter(), time.process_time()
    result = run()
    seconds, wall = time.process_time() - cpu, time.perf_counter() - begin
    peak = _kilobytes("VmHWM")
    rise = None if before is None or peak is None else max(0, peak - before) * 1024
    return {"result": result, "seconds": seconds, "wall": wall, "bytes": rise}


def _answer(
    connection: Connection, path: list[str], prepare: Callable[..., Callable[[], Any]], arguments: tuple[Any, ...]
) -> None:
    sys.path[:] = path
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    try:
        connection.send(watched(prepare(*arguments)))
    except Exception as error:  # told to the other process, which raises it
        connection.send({"failure": f"{type(error).__name__}: {error}"})


def _give_back() -> None:
    """Return free memory to the system, so that what is allocated anew counts as a rise; glibc does so when asked."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def _forget_the_peak() -> None:
    """Begin the peak anew, so that it is not that of the preparation; Linux does so when this is written."""
    if _STATUS.is_file():
        _STATUS.with_name("clear_refs").write_text("5", encoding="utf-8")


def _kilobytes(name: str) -> int | None:
    if not _STATUS.is_file():
        return None
    for line in _STATUS.read_text(encoding="utf-8").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    return None
