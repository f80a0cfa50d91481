"""Text for a terminal: tables, whose every row is one line whatever the names in it are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

__all__ = ["digits", "lines_of", "one_line"]

_MOST = 12


def digits(largest: float) -> int:
    """Return how many decimals show four digits of the largest number of a column, so that all numbers line up.

    Examples
    --------
    >>> digits(0.0123), digits(1234.5), digits(0.0)
    (5, 0, 0)
    """
    return min(max(0, 3 - math.floor(math.log10(largest))), _MOST) if largest > 0 else 0


def one_line(text: str) -> str:
    r"""Return a text in which line breaks, and what else has no glyph, stand as they are written in Python.

    Examples
    --------
    >>> print(one_line("acme\nlimited\u00a0company"))
    acme\nlimited\xa0company
    """
    return text if text.isprintable() else "".join(map(_visible, text))


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
