"""Ctrl-C and SIGTERM: the first ends a run with the values so far, the second ends it at once."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["Interruption", "at_once"]

#: What ends a command: ctrl-C, and what batch systems and containers send before they kill.
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Whether somebody asked for the end, by the first of the signals that came.

    Attributes
    ----------
    signal
        Its number; ``None``: nobody did.

    Examples
    --------
    >>> interruption = Interruption()
    >>> with interruption.awaited():
    ...     signal.raise_signal(signal.SIGTERM)
    >>> interruption.exit_code
    143
    """

    def __init__(self) -> None:
        self.signal: int | None = None

    @property
    def exit_code(self) -> int:
        """The exit code by convention: 128 and the number of the signal, 0 without one."""
        return 0 if self.signal is None else 128 + self.signal

    @contextlib.contextmanager
    def awaited(self) -> Iterator[None]:
        """Take note of the first signal while the block runs; the second ends it at once.

        Only the main thread can: in others signals do what they did.
        """

        def note(number: int, _: FrameType | None) -> None:
            self.signal = number
            for one in SIGNALS:
                signal.signal(one, _end)
            sys.stderr.write("\nunshap: ending with the values so far; once more ends at once\n")

        with _handled(note):
            yield


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """End with the exit code of the signal when one comes while the block runs, by ``KeyboardInterrupt``."""
    with _handled(_end):
        yield


def _end(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(number)


@contextlib.contextmanager
def _handled(handler: signal._HANDLER) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.signal(one, handler) for one in SIGNALS}
    try:
        yield
    finally:
        for one, old in before.items():
            signal.signal(one, old)
