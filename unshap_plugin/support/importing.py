"""Finding what a name of the form ``package.module:name`` stands for."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

from unshap_plugin.errors import InvalidValueError, nearest

__all__ = ["load_object", "working_directory_on_path"]


def load_object(path: str) -> Any:
    """Return the object that ``package.module:name`` stands for; the name may have dots.

    Raises
    ------
    InvalidValueError
        If it is not of that form, there is no such module on the path, or the module has no such name. Whatever else
        goes wrong while the module is imported is raised as it is.

    Examples
    --------
    >>> load_object("math:pi")
    3.141592653589793
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
        close = nearest(error.name, dir(error.obj))
        raise InvalidValueError(f"{path!r} cannot be found: {error}{close}.") from error


@contextlib.contextmanager
def working_directory_on_path() -> Iterator[None]:
    """Let modules be imported from the working directory too, as ``python -m`` does and an installed command does not.

    Examples
    --------
    >>> import os
    >>> with working_directory_on_path():
    ...     sys.path[0] == os.getcwd()
    True
    """
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
