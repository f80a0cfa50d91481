"""Values and names in the sentences of errors."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["in_short", "nearest"]

#: So many characters of a value an error message shows at most.
LONGEST = 100


def in_short(value: object) -> str:
    """Return the ``repr`` of a value as a sentence can hold it: on one line, and not long.

    Parameters
    ----------
    value
        Anything; of more than a hundred characters the first hundred are shown.

    Examples
    --------
    >>> import numpy as np
    >>> in_short(np.zeros((2, 2))), in_short("accuracy")
    ('array([[0., 0.], [0., 0.]])', "'accuracy'")
    """
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def nearest(name: object, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the known name nearest to another, or an empty string.

    Parameters
    ----------
    name
        What was given: only a text is near to a name.
    known
        The names that there are.

    Examples
    --------
    >>> nearest("adm", ["adam", "sgd"]), nearest("lion", ["adam", "sgd"])
    (" (did you mean 'adam'?)", '')
    """
    if not isinstance(name, str):  # the digits of a number say nothing about what was meant
        return ""
    folded = {one.casefold(): one for one in known}
    close = difflib.get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.5)
    return f" (did you mean {folded[close[0]]!r}?)" if close else ""
