"""Numbers, names and missing entries in columns of text."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype

from unshap_plugin.cli._sources import Source, entries, first
from unshap_plugin.errors import InvalidValueError

__all__ = ["as_numbers", "check_complete", "comma_notes", "finite_numbers", "number_columns", "number_of"]

_NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?)", re.ASCII | re.IGNORECASE)
#: Digits and commas, which are thousands or decimals, and perhaps points.
_WITH_COMMA = re.compile(r"[+-]?(?=[.,]*\d)[\d.,]*,[\d.,]*(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
#: What stands for a missing number; among names, each of these is one.
_MISSING = frozenset({"na", "n/a", "nan", "null", "none", "#n/a"})
#: Beyond this, variances overflow on the way.
_LARGEST = 1e100


def number_of(entry: str, *, decimal_comma: bool = False) -> float:
    """Return the number that an entry is, or nan.

    Examples
    --------
    >>> number_of("-1.5e3"), number_of("1,5", decimal_comma=True), number_of("1,5")
    (-1500.0, 1.5, nan)
    """
    if decimal_comma and _WITH_COMMA.fullmatch(entry):
        entry = entry.replace(",", ".")
    return float(entry) if _NUMBER.fullmatch(entry) else float("nan")


def as_numbers(source: Source, column: str) -> NDArray[np.float64]:
    """Return the entries of a column as numbers, nan where one is none.

    Raises
    ------
    InvalidValueError
        If the entries are numbers but for commas that may stand for thousands or for decimals.
    """
    given = source.frame[column]
    if is_numeric_dtype(given):
        return given.to_numpy(dtype=np.float64)
    commas = _commas(given)
    if commas:
        points = any("." in entry for entry in given)
        if source.separator == "," or points or any(entry.count(",") > 1 for entry in commas):
            raise InvalidValueError(
                f"column {column!r} of {source.name} has numbers with commas, such as {commas[0]!r}, which may be "
                f"thousands or decimals: write them with a decimal point, and no other separator."
            )
    return np.array([number_of(entry, decimal_comma=bool(commas)) for entry in given], dtype=np.float64)


def comma_notes(source: Source, columns: Iterable[str]) -> list[str]:
    """Return a note about each of the columns whose commas were read as decimal ones."""
    return [
        f"column {column!r} has numbers with commas, such as {commas[0]!r}: they were read as decimal commas"
        for column in columns
        if not is_numeric_dtype(source.frame[column]) and (commas := _commas(source.frame[column]))
    ]


def number_columns(train: Source) -> frozenset[str]:
    """Return the columns of a training table that hold numbers, but for entries that are missing."""
    return frozenset(column for column in train.frame if _is_numeric(train.frame[column]))


def check_complete(source: Source, numeric: Collection[str]) -> None:
    """Raise ``InvalidValueError`` if an entry is missing: empty, or a word for that in one of the numeric columns."""
    for column in source.frame:
        given = source.frame[column]
        if is_numeric_dtype(given):
            continue
        missing = _missing(given) if column in numeric else (given == "").to_numpy(dtype=bool)
        if missing.any():
            raise InvalidValueError(
                f"{source.name} has {entries(missing)} in column {column!r} missing, {first(missing)}: fill them in, "
                f"or drop those rows."
            )


def finite_numbers(source: Source, column: str, advice: str) -> NDArray[np.float64]:
    """Return a column that must hold finite numbers.

    Parameters
    ----------
    source
        The table.
    column
        The name of the column.
    advice
        What to do where it has text.

    Raises
    ------
    InvalidValueError
        If it has text, infinity, or numbers that are too large to compute with.
    """
    found = as_numbers(source, column)
    text = np.isnan(found)
    if text.any():
        entry = source.frame[column].iloc[int(text.argmax())]
        raise InvalidValueError(
            f"column {column!r} of {source.name} must hold numbers, but has {entries(text)} of text, {first(text)}: "
            f"{entry!r}; {advice}."
        )
    infinite = np.isinf(found)
    if infinite.any():
        raise InvalidValueError(
            f"column {column!r} of {source.name} has {entries(infinite)} with infinity, {first(infinite)}: expected "
            f"finite numbers; correct or drop those rows."
        )
    huge = np.abs(found) > _LARGEST
    if huge.any():
        raise InvalidValueError(
            f"column {column!r} of {source.name} has {entries(huge)} beyond {_LARGEST:g}, {first(huge)}: expected "
            f"numbers whose squares can be summed; correct or rescale them."
        )
    return found


def _commas(column: pd.Series) -> list[str]:
    """Return the entries with commas, if all others are numbers; none otherwise."""
    commas = [entry for entry in column if "," in entry]
    return commas if all((_WITH_COMMA if "," in one else _NUMBER).fullmatch(one) for one in column) else []


def _is_numeric(column: pd.Series) -> bool:
    if is_numeric_dtype(column):
        return True
    there = column[~_missing(column)]
    return len(there) > 0 and all(_NUMBER.fullmatch(entry) or _WITH_COMMA.fullmatch(entry) for entry in there)


def _missing(column: pd.Series) -> NDArray[np.bool_]:
    """Return which entries are empty, or words for missing numbers."""
    return np.array([entry == "" or entry.casefold() in _MISSING for entry in column], dtype=bool)
