"""Digests of values by what they are, the same in every process: numbers, data, functions, and objects of any class.

What an installed distribution has under a name goes by that name and the version. What users wrote goes by its code,
and by what that code refers to: its defaults, its closure, and the globals that it names.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import re
import sys
import types
import weakref
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

__all__ = ["digest"]

_OURS = __name__.partition(".")[0]
_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented), torch.Size)
#: What a class has beside what was written in it.
_MADE = {"_abc_impl", "__class__", "__classcell__"}
#: What classes of C have for the attributes of their objects: nothing that could differ.
_SLOTS = (
    types.MemberDescriptorType,
    types.GetSetDescriptorType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
)
#: Caches of functions, whose own function is among what they have.
_CACHED: type = functools._lru_cache_wrapper
_NAMED = (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType, np.ufunc, _CACHED)


def digest(value: Any) -> str:
    """Return the sha256 of what a value is.

    Equal digests mean equal values, or functions that do the same. Equal values have other digests where they were
    made in different ways, such as dicts in another order.

    Raises
    ------
    TypeError
        If there is something in it that says nothing of what it holds, such as a lock or an open file.

    Examples
    --------
    >>> digest([1.0, np.ones(3)]) == digest([1.0, np.ones(3)]) != digest([1, np.ones(3)])
    True
    >>> one, two, three = lambda a: a + 1, lambda b: b + 1, lambda a: a + 2
    >>> digest(one) == digest(two) != digest(three)
    True
    """
    try:
        return _Walk().of(value).hex()
    except RecursionError as error:
        raise TypeError(f"a {type(value).__name__} that is nested too deeply") from error


class _Walk:
    """One walk through everything that a value refers to."""

    def __init__(self) -> None:
        self._done: dict[int, tuple[Any, bytes]] = {}  # with the objects themselves, whose numbers stay theirs so
        self._within: list[int] = []

    def of(self, value: Any) -> bytes:
        """Return the digest of a value."""
        if isinstance(value, _PLAIN) and type(value) in _PLAIN:
            return _joined(type(value).__name__.encode(), repr(value).encode())
        number = id(value)
        if number in self._done:
            return self._done[number][1]
        if number in self._within:  # it refers to itself
            return _joined(b"above", str(len(self._within) - self._within.index(number)).encode())
        self._within.append(number)
        try:
            found = _joined(*self._parts(value))
        finally:
            self._within.pop()
        self._done[number] = value, found
        return found

    def _each(self, values: Iterable[Any]) -> Iterator[bytes]:
        return map(self.of, values)

    def _pairs(self, items: Iterable[tuple[Any, Any]]) -> Iterator[bytes]:
        return (self.of(one) for pair in items for one in pair)

    def _parts(self, value: Any) -> Iterator[bytes]:
        """Yield what makes a value what it is."""
        kind = type(value)
        yield kind.__name__.encode()
        if isinstance(value, np.ndarray) and kind is np.ndarray:
            yield from self._array(value)
        elif isinstance(value, Tensor) and value.layout is torch.strided and not value.is_meta:
            yield f"{value.dtype} {list(value.shape)} {value.device.type} {value.requires_grad}".encode()
            yield value.detach().resolve_conj().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        elif kind in (list, tuple):
            yield from self._each(value)
        elif kind in (dict, types.MappingProxyType):
            yield from self._pairs(value.items())
        elif kind in (set, frozenset):
            yield from sorted(self._each(value))
        elif isinstance(value, enum.Enum):
            yield from self._each([f"{kind.__module__}.{kind.__qualname__}", value.name, value.value])
        elif isinstance(value, types.CodeType):
            yield from self._code(value)
        elif isinstance(value, _NAMED):
            yield from self._named(value)
        elif isinstance(value, types.MethodType):
            yield from self._each([value.__func__, value.__self__])
        elif isinstance(value, staticmethod | classmethod):
            yield self.of(value.__func__)
        elif isinstance(value, property):
            yield from self._each([value.fget, value.fset])
        elif isinstance(value, functools.cached_property):
            yield self.of(value.func)
        elif isinstance(value, weakref.ReferenceType):
            yield self.of(value())
        elif isinstance(value, torch.Generator):
            yield self.of(value.get_state())
        elif isinstance(value, _SLOTS):
            yield value.__name__.encode()
        elif isinstance(value, nn.Module):  # some refuse to be pickled
            yield self.of(kind)
            # Hooks are numbered through all modules of a process: their order says all.
            own = (
                (key, list(one.values()) if isinstance(one, dict) and "_hooks" in key else one)
                for key, one in vars(value).items()
            )
            yield from self._pairs(own)
        else:
            yield from self._object(value)

    def _array(self, array: NDArray[Any]) -> Iterator[bytes]:
        yield f"{array.dtype.str} {list(array.shape)}".encode()
        if array.dtype.names is not None:  # between its fields there may be anything
            yield from self._pairs((name, np.ascontiguousarray(array[name])) for name in array.dtype.names)
        elif array.dtype.hasobject:
            yield from self._each(array.ravel().tolist())
        else:
            yield array.tobytes()

    def _object(self, value: Any) -> Iterator[bytes]:
        """Yield what pickle would make the object of."""
        try:
            made = value.__reduce_ex__(4)
        except Exception as error:  # whatever the classes of others raise
            raise TypeError(f"a {type(value).__module__}.{type(value).__qualname__}") from error
        yield self.of(type(value))
        if isinstance(made, str):
            yield from self._global(value, made)
            return
        function, arguments, state, items, pairs = (*made, None, None, None)[:5]
        yield from self._each([function, arguments, state])
        yield from self._each(() if items is None else items)
        yield from self._pairs(() if pairs is None else pairs)

    def _global(self, value: Any, name: str) -> Iterator[bytes]:
        """Yield what a value is that pickle would take from its module by a name."""
        yield name.encode()
        module = str(getattr(value, "__module__", None) or type(value).__module__)
        from_library = _version(module)
        if from_library is not None and _found(module, name) is value:
            yield f"{module} {from_library}".encode()
            return
        is_compiled = callable(value) and not isinstance(type(value).__call__, types.FunctionType)
        if is_compiled or not hasattr(value, "__dict__"):
            raise TypeError(f"{module}.{name}")
        yield from self._attributes(value)

    def _attributes(self, value: Any) -> Iterator[bytes]:
        return self._pairs(sorted(vars(value).items(), key=lambda item: item[0]))

    def _named(self, value: Any) -> Iterator[bytes]:
        """Yield the name and version of what a distribution has, else what was written."""
        is_module = isinstance(value, types.ModuleType)
        module = value.__name__ if is_module else str(getattr(value, "__module__", None) or "builtins")
        name = "" if is_module else str(getattr(value, "__qualname__", value.__name__))
        yield name.encode()
        from_library = _version(module)
        if from_library is not None:
            yield f"{module} {from_library}".encode()
            if is_module or _found(module, name) is value:
                return
        if isinstance(value, type):
            yield from self._each(value.__bases__)
            yield from self._pairs(
                (key, one)
                for key, one in vars(value).items()
                if key not in _MADE and (callable(one) or not re.fullmatch("__.*__", key))
            )
        elif isinstance(value, types.FunctionType):
            yield from self._each([value.__code__, value.__defaults__, value.__kwdefaults__])
            yield from self._each(_content(cell) for cell in value.__closure__ or ())
            # Of what is made within a function of a distribution, its version says what the globals are.
            if from_library is None or module == "builtins" or "<" not in name:
                yield from self._pairs(_globals(value))
            yield from self._attributes(value)
        elif isinstance(value, _CACHED):
            yield from self._attributes(value)
        elif from_library is None:  # compiled by the user, or a module that is not taken from by name
            raise TypeError(f"{module}.{name}".strip("."))
        elif isinstance(value, types.BuiltinFunctionType) and not isinstance(value.__self__, types.ModuleType):
            yield self.of(value.__self__)

    def _code(self, code: types.CodeType) -> Iterator[bytes]:
        yield from self._each([code.co_code, code.co_consts, code.co_names, code.co_argcount, code.co_flags])
        yield from self._each([code.co_posonlyargcount, code.co_kwonlyargcount])


def _joined(*parts: bytes) -> bytes:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8, "little"))
        whole.update(part)
    return whole.digest()


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing yet
        return None


def _names(code: types.CodeType) -> set[str]:
    """Return the names that a function and those within it look up."""
    inner = (one for one in code.co_consts if isinstance(one, types.CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _globals(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield the globals that a function names, and of the modules that it imports itself what it may take from them."""
    names = sorted(_names(function.__code__))
    for name in names:
        if name in function.__globals__ or name in sys.modules:
            yield from _taken(name, function.__globals__.get(name, sys.modules.get(name)), names, set())


def _taken(name: str, value: Any, names: list[str], seen: set[str]) -> Iterator[tuple[str, Any]]:
    """Yield a value by its name; in the place of a module of the user's, what of these names it has."""
    if not isinstance(value, types.ModuleType) or _version(value.__name__) is not None:
        yield name, value
    elif value.__name__ not in seen:
        seen.add(value.__name__)
        for inner in names:
            if hasattr(value, inner):
                yield from _taken(f"{name}.{inner}", getattr(value, inner), names, seen)


def _found(module: str, name: str) -> Any:
    """Return what a module has under a name."""
    value: Any = sys.modules.get(module)
    for part in name.split("."):
        value = getattr(value, part, None)
    return value


@functools.cache
def _version(module: str) -> str | None:
    """Return the version of the distribution that a module is of; ``None`` for one of the user's."""
    # A compiled one may be known by the last part of its name too: only it says whose it is.
    top = str(getattr(sys.modules.get(module), "__name__", module)).partition(".")[0]
    if top in sys.stdlib_module_names and top != "__main__":
        return "python"
    if top == _OURS:
        return version("unshap-plugin")
    package = sys.modules.get(top)
    file = getattr(package, "__file__", None)
    if file is None or not {"site-packages", "dist-packages"} & set(Path(file).parts):
        return None
    try:
        return str(getattr(package, "__version__", None) or version(top))
    except PackageNotFoundError:  # of a distribution with another name: then by its code
        return None
