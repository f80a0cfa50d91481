"""Warnings: those that are given once, and those that another process gave, which are given here as if it were ours."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType

__all__ = ["Heard", "announce", "heard", "repeat"]


@dataclass(frozen=True)
class Heard:
    """A warning, as another process can be told of it.

    Parameters
    ----------
    text, category, file, line
        What it says, of which kind it is, and where it was given.
    once
        Under which key it is given only once; ``None``: as often as it comes.
    """

    text: str
    category: type[Warning]
    file: str
    line: int
    once: str | None


def announce(
    told: set[str], key: str, text: str, category: type[Warning] = UserWarning, *, stacklevel: int = 2
) -> None:
    """Warn, unless ``told`` has the key already; it then has.

    Examples
    --------
    >>> told = {"a"}
    >>> announce(told, "a", "was said before")
    """
    if key in told:
        return
    told.add(key)
    warning = category(text)
    warning.once = key  # type: ignore[attr-defined]
    warnings.warn(warning, stacklevel=stacklevel + 1)


def heard(caught: Iterable[warnings.WarningMessage]) -> list[Heard]:
    """Return what ``warnings.catch_warnings(record=True)`` caught."""
    return [
        Heard(str(one.message), one.category, one.filename, one.lineno, getattr(one.message, "once", None))
        for one in caught
    ]


def repeat(warned: Iterable[Heard], told: set[str]) -> None:
    """Give warnings that were given elsewhere: filters see them as coming from there, and ``told`` is what was said.

    Examples
    --------
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     repeat([Heard("slow", UserWarning, "there.py", 3, "slow")] * 2, set())
    >>> heard(caught)
    [Heard(text='slow', category=<class 'UserWarning'>, file='there.py', line=3, once=None)]
    """
    for one in warned:
        if one.once is not None:
            if one.once in told:
                continue
            told.add(one.once)
        module = _module(one.file)
        # Its memory of warnings, by which Python gives one of a place no more than once.
        registry = {} if module is None else vars(module).setdefault("__warningregistry__", {})
        name = one.file if module is None else module.__name__
        warnings.warn_explicit(one.text, one.category, one.file, one.line, name, registry)


def _module(file: str) -> ModuleType | None:
    """Return the module that was read from a file."""
    return next((one for one in list(sys.modules.values()) if getattr(one, "__file__", None) == file), None)
