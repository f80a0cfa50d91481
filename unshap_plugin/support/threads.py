"""Threads: what they share without knowing it is used by one at a time, and how many of them compute."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

import torch
from threadpoolctl import threadpool_limits

__all__ = ["alone", "among_others", "in_company", "on_one_core"]

#: One lock for the process. A thread that holds it may take it again: an unlearner may ask its game for utilities.
_lock = threading.RLock()


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Keep other threads out of what has to be alone, for as long as the block runs.

    That is the global random generators, which are compared and put back, and a module whose parameters are swapped
    while it is called. Threads take turns; one that waits within the block for another that wants to enter waits for
    ever.

    Examples
    --------
    >>> with alone():
    ...     with alone():  # the same thread may
    ...         print("in")
    in
    """
    with _lock:
        yield


@contextlib.contextmanager
def on_one_core(really: bool = True) -> Iterator[None]:
    """Compute on one thread for as long as the block runs; as before where ``not really``.

    Sums of several threads may be added up in another order, so that their last bits differ.

    Examples
    --------
    >>> with on_one_core():
    ...     torch.get_num_threads()
    1
    """
    before = torch.get_num_threads()
    with threadpool_limits(1) if really else contextlib.nullcontext():
        try:
            if really:
                torch.set_num_threads(1)
            yield
        finally:
            if really:
                torch.set_num_threads(before)


#: How many blocks there are in which threads of others are at work.
_company = 0


@contextlib.contextmanager
def in_company(really: bool = True) -> Iterator[None]:
    """Allow for threads of others, which nobody can make wait, for as long as the block runs; unless not ``really``.

    Those of a dask worker draw from Python's global generator whenever they like, so that a draw proves nothing.

    Examples
    --------
    >>> with in_company():
    ...     among_others()
    True
    """
    global _company
    _company += really
    try:
        yield
    finally:
        _company -= really


def among_others() -> bool:
    """Tell whether threads of others are at work in this process.

    Examples
    --------
    >>> among_others()
    False
    """
    return _company > 0


def _begin_anew() -> None:
    """Take a new lock: a forked process has no thread that would give the old one back."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_begin_anew)
