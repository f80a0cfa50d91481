"""Settings of an unlearner as they are typed: ``name=value``, and ``name=value,value`` for a grid of them."""

from __future__ import annotations

import argparse
import ast
import shlex
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from unshap_plugin.errors import InvalidValueError

__all__ = ["as_options", "by_name", "grid_values", "setting"]

T = TypeVar("T")


def setting(text: str) -> tuple[str, Any]:
    """Return the name and the value in ``name=value``.

    Examples
    --------
    >>> setting("steps=5"), setting("proximal=None"), setting("optimizer=sgd")
    (('steps', 5), ('proximal', None), ('optimizer', 'sgd'))
    """
    name, value = _parted(text, "steps=5")
    return name, _literal(value)


def grid_values(text: str) -> tuple[str, list[Any]]:
    """Return the name and the values in ``name=value,value``.

    Examples
    --------
    >>> grid_values("lr=0.01,0.03")
    ('lr', [0.01, 0.03])
    """
    name, values = _parted(text, "lr=0.01,0.03")
    return name, [_literal(value) for value in values.split(",")]


def by_name(option: str, pairs: Iterable[tuple[str, T]]) -> dict[str, T]:
    """Return what was given for each name.

    Raises
    ------
    InvalidValueError
        If something was given twice for a name.
    """
    found: dict[str, T] = {}
    for name, value in pairs:
        if name in found:
            raise InvalidValueError(f"{option} gives {name!r} twice, but one is needed: leave one out.")
        found[name] = value
    return found


def as_options(settings: Mapping[str, Any]) -> str:
    """Return settings as they are typed, from which ``setting`` reads the same values.

    Examples
    --------
    >>> as_options({"steps": 5, "lr": 0.03})
    '--setting steps=5 --setting lr=0.03'
    """
    return " ".join(f"--setting {shlex.quote(f'{name}={_typed(value)}')}" for name, value in settings.items())


def _parted(text: str, example: str) -> tuple[str, str]:
    name, equals, value = (part.strip() for part in text.partition("="))
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form {example}")
    return name, value


def _literal(text: str) -> Any:
    """Return a number, a boolean, ``None`` or quoted text as Python writes them; anything else is text."""
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        return text.strip()
    return value if value is None or isinstance(value, bool | int | float | str) else text.strip()


def _typed(value: Any) -> str:
    return value if isinstance(value, str) and value and _literal(value) == value else repr(value)
