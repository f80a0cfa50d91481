"""One style: colours that everybody tells apart (Okabe and Ito 2008), and names as plain text."""

from __future__ import annotations

from typing import Any

from unshap_plugin.support.printing import one_line

__all__ = ["COLOURS", "name_of", "plain"]

#: Blue, vermilion, bluish green, reddish purple, orange, sky blue, black.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_LONGEST = 24


def name_of(player: Any) -> str:
    r"""Return a name as plain text of bounded length.

    Examples
    --------
    >>> print(name_of("acme $1"), name_of("a" * 30))
    acme \$1 aaaaaaaaaaaaaaaaaaaaa...
    """
    name = one_line(str(player))
    return plain(name if len(name) <= _LONGEST else name[: _LONGEST - 3] + "...")


def plain(name: str) -> str:
    """Return a name in one line, and as text: matplotlib reads what stands between dollars as mathematics.

    Examples
    --------
    >>> plain("r2")
    'r2'
    """
    return one_line(name).replace("$", r"\$")
