"""Finding what a name of the form ``package.module:name`` stands for."""

from __future__ import annotations

import importlib
from functools import reduce
from typing import Any

from unshap_plugin.errors import InvalidValueError

__all__ = ["load"]


def load(path: str) -> Any:
    """Return the object that ``package.module:name`` stands for.

    Raises
    ------
    InvalidValueError
        If it is not of that form, there is no such module on the path, or the module has no such name.
    """
    module, _, name = path.partition(":")
    if not module or not name:
        raise InvalidValueError(f"{path!r} names no object: write it as package.module:name.")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # the module is there, and something that it imports is not
        raise InvalidValueError(
            f"{path!r} cannot be found ({error}): install it, or put its folder on the path (python -m pytest does)."
        ) from error
    try:
        return reduce(getattr, name.split("."), found)
    except AttributeError as error:
        raise InvalidValueError(f"{path!r} cannot be found: {error}.") from error
