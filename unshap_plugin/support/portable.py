"""Objects that can be copied, pickled and sent to other processes, whatever they have computed."""

from __future__ import annotations

import copy
import io
import pickle
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from torch import Tensor
from typing_extensions import Self

from unshap_plugin.errors import InvalidTypeError

__all__ = ["Portable"]


class Portable:
    """Object whose copies do what it does: memories and views are left behind, and made anew in the copy.

    A subclass names these attributes in ``_left_behind`` and makes them in ``_make_anew``.

    Raises
    ------
    InvalidTypeError
        By ``pickle``, where a part that the user brought cannot be pickled: the part is named.

    Examples
    --------
    >>> class Counted(Portable):
    ...     _left_behind = ("calls",)
    ...     def __init__(self, name):
    ...         self.name = name
    ...         self._make_anew()
    ...     def _make_anew(self):
    ...         self.calls = 0
    >>> counted = Counted("one")
    >>> counted.calls = 3
    >>> vars(copy.deepcopy(counted))
    {'name': 'one', 'calls': 0}
    """

    _left_behind: ClassVar[tuple[str, ...]] = ()

    def _make_anew(self) -> None:
        """Set the attributes that a copy was not given."""

    def _brought(self) -> Mapping[str, Any]:
        """Return what users brought that pickle may not take, by what it is called in a sentence."""
        return {}

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in self._left_behind}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._make_anew()

    def __copy__(self) -> Self:
        new = object.__new__(type(self))
        new.__setstate__(self.__getstate__())
        return new

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        new = memo[id(self)] = object.__new__(type(self))
        new.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return new

    def __reduce_ex__(self, protocol: Any) -> Any:
        for what, part in self._brought().items():
            reason = _obstacle(part)
            if reason is not None and not _by_value():
                raise InvalidTypeError(
                    f"{what} cannot be pickled ({reason}), so that this {type(self).__name__} can be neither saved nor "
                    f"sent to another process: define its functions and classes at the top level of a module (no "
                    f"lambda, nothing within a function), or let joblib send it."
                )
        return super().__reduce_ex__(protocol)


class _Probe(pickle.Pickler):
    """Pickler that passes over data: what fails is a function or a class."""

    def persistent_id(self, obj: Any) -> str | None:
        return "data" if isinstance(obj, Tensor | np.ndarray) else None


def _obstacle(part: Any) -> str | None:
    """Return why pickle does not take something, if it does not."""
    try:
        _Probe(io.BytesIO()).dump(part)
    except Exception as error:  # whatever the classes of others raise
        return str(error)
    return None


def _by_value() -> bool:
    """Tell whether the pickler at work is cloudpickle, as in joblib, which takes functions along by value."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if "cloudpickle" in frame.f_globals.get("__name__", ""):
            return True
    return False
