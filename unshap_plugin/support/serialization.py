"""Results as JSON: data classes of numbers, texts and arrays, with a tag of their format."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.errors import InvalidValueError

__all__ = ["from_text", "numbers", "plain", "to_text"]


def to_text(result: Any, tag: str, **more: Any) -> str:
    """Return the fields of a data class as JSON, under the tag of its format.

    Parameters
    ----------
    result
        Instance of a data class.
    tag
        Name and version of the format.
    more
        Fields that are written otherwise than they are, or besides.
    """
    fields = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    return json.dumps(plain({"format": tag, **fields, **more}), indent=1, allow_nan=False)


def from_text(text: str, tag: str, kind: type, *besides: str) -> dict[str, Any]:
    """Return the fields of the data class ``kind`` that ``to_text`` wrote, without what was written ``besides``.

    Raises
    ------
    InvalidValueError
        If the text is no such result.
    """
    try:
        data = json.loads(text)
    except (TypeError, ValueError) as error:
        raise InvalidValueError(
            f"the text is not JSON ({error}): pass what to_json returned, of a file the text that it holds."
        ) from error
    if not isinstance(data, dict) or data.pop("format", None) != tag:
        raise InvalidValueError(f"the text is not a result in the format {tag!r}: expected what to_json returned.")
    fields = {field.name for field in dataclasses.fields(kind)}
    if set(data) != fields | set(besides):
        odd = sorted(set(data) ^ (fields | set(besides)))
        raise InvalidValueError(f"the result lacks or does not know the fields {odd}: it is of another version.")
    return {name: value for name, value in data.items() if name in fields}


def numbers(name: str, field: Any) -> NDArray[np.float64]:
    """Return a field of a result that holds numbers, in any shape, with null for NaN and ``"inf"`` for infinity.

    Raises
    ------
    InvalidValueError
        If it holds something else.

    Examples
    --------
    >>> numbers("values", [0.5, None, "inf"])
    array([0.5, nan, inf])
    """
    try:
        return np.array(field, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidValueError(
            f"the field {name!r} of the result holds something else than numbers ({error}): expected what to_json "
            f"returned."
        ) from error


def plain(value: Any) -> Any:
    """Return a value that JSON can hold: NaN (not defined) as null, infinity as text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value if value is None or isinstance(value, str | int | float | bool) else repr(value)
