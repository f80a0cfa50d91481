"""A bar that says how far a command is, and a line a minute where there is no terminal to draw it on."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

from unshap_plugin.support import progress
from unshap_plugin.support.progress import Progress

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[Progress], None]]:
    """Show a bar on stderr, where that is a terminal: rate, remaining time, and the largest standard error so far.

    Elsewhere a line a minute says the same. An estimate of the whole time stands before both where it is over a minute.
    """
    # disable=None: only where stderr is a terminal.
    with (
        tqdm(desc=what, unit="", leave=False, disable=None, file=sys.stderr, mininterval=0, miniters=1) as bar,
        _said(bar),
    ):

        def show(now: Progress) -> None:
            bar.total = now.total
            if not math.isnan(now.largest_error):
                bar.set_postfix_str(f"largest error {now.largest_error:.3g}", refresh=False)
            bar.update(now.done - bar.n)

        yield show


@contextmanager
def _said(bar: tqdm[None]) -> Iterator[None]:
    """Say on stderr what the core logs of progress; beside a bar no more than the estimate of the whole time."""
    log, handler = logging.getLogger(progress.__name__), _Lines(bar)
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


class _Lines(logging.Handler):
    """Lines above a bar, or without one."""

    def __init__(self, bar: tqdm[None]) -> None:
        super().__init__()
        self._bar = bar

    def emit(self, record: logging.LogRecord) -> None:
        if self._bar.disable or record.getMessage().startswith("about"):
            self._bar.write(f"unshap: {record.getMessage()}", file=sys.stderr)
