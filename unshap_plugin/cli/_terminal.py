"""What goes to a terminal, or to whoever reads the output instead."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from typing import TextIO

__all__ = ["fitted", "put"]

#: Where the text of a line begins that says what it is about.
COLUMN = 13


def put(text: str, stream: TextIO | None = None) -> None:
    """Write to stdout, and let whoever reads it stop reading, as ``head`` does: the rest goes nowhere."""
    stream = stream or sys.stdout
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def fitted(line: str, stream: TextIO) -> str:
    """Return a line, broken between words where it goes to a terminal that is narrower; programs get it whole."""
    if not stream.isatty():
        return line
    indent = " " * (COLUMN if line[COLUMN - 2 : COLUMN] == "  " else 2)
    return textwrap.fill(
        line,
        max(40, shutil.get_terminal_size().columns),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
