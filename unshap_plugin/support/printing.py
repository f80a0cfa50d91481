"""Text for a terminal: tables, whose every row is one line whatever the names in it are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

__all__ = ["form_of", "lines_of", "number", "one_line"]

_MOST = 12


def form_of(largest: float) -> str:
    """Return the format that shows four digits of the largest number of a column, so that all numbers line up.

    Where that takes more than twelve digits, it is that of powers of ten.

    Examples
    --------
    >>> form_of(0.0123), form_of(1234.5), form_of(0.0), form_of(1e-10), form_of(1e12)
    ('.5f', '.0f', '.0f', '.3e', '.3e')
    """
    power = math.floor(math.log10(largest)) if largest > 0 else 3
    return f".{max(0, 3 - power)}f" if 3 - _MOST <= power < _MOST else ".3e"


def one_line(text: str) -> str:
    r"""Return a text in which line breaks, and what else has no glyph, stand as they are written in Python.

    Examples
    --------
    >>> print(one_line("acme\nlimited\u00a0company"))
    acme\nlimited\xa0company
    """
    return text if text.isprintable() else "".join(map(_visible, text))


def number(value: float, form: str) -> str:
    """Return a number in the given format, and a dash for one that is not defined.

    Examples
    --------
    >>> number(0.25, ".3f"), number(math.nan, ".3f")
    ('0.250', '-')
    """
    return "-" if math.isnan(value) else format(value, form)


def lines_of(rows: Sequence[Sequence[str]], *, left: int = 1) -> Iterator[str]:
    r"""Yield the lines of a table: its first columns, as many as ``left``, to the left, and the others to the right.

    Examples
    --------
    >>> for line in lines_of([("player", "value"), ("acme\nltd", "0.5")]):
    ...     print(line)
    player     value
    acme\nltd    0.5
    """
    shown = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        cells = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _visible(one: str) -> str:
    return one if one.isprintable() else one.encode("unicode_escape").decode("ascii")
