"""Blanks around names and entries, which nobody sees and nobody means."""

from __future__ import annotations

__all__ = ["stripped"]

#: All that Python calls a space, which is the no-break ones and line breaks too, and what has no width.
_BLANKS = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"


def stripped(text: str) -> str:
    r"""Return a text without the blanks around it.

    Examples
    --------
    >>> stripped("\ufeff acme\u00a0ltd \u200b\n")
    'acme\xa0ltd'
    """
    return text.strip(_BLANKS)
