"""Features from columns of text: standardised numbers, and categories one by one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from unshap_plugin.cli._sources import Source, entries, first
from unshap_plugin.errors import InvalidValueError

__all__ = ["Features", "finite_numbers", "numbers"]

#: A text column with more distinct entries than this is hardly a category.
MANY_CATEGORIES = 30
#: Beyond this, variances overflow on the way.
_LARGEST = 1e100


@dataclass(frozen=True)
class Features:
    """The columns of a training table that are features, and their types.

    Parameters
    ----------
    numeric, textual
        The columns that hold numbers, and the others, whose entries are categories.
    """

    numeric: tuple[str, ...]
    textual: tuple[str, ...]

    @classmethod
    def of(cls, train: Source, without: Collection[str | None]) -> Features:
        """Return those of a training table, which are all columns but a few."""
        columns = [column for column in train.frame if column not in without]
        numeric = tuple(column for column in columns if numbers(train.frame[column]) is not None)
        return cls(numeric, tuple(column for column in columns if column not in numeric))

    def typed(self, source: Source) -> pd.DataFrame:
        """Return the features of a table with numbers as float64 and categories as text.

        Raises
        ------
        InvalidValueError
            If the table has something else where the training table has numbers.
        """
        advice = "the training table has numbers there; correct those rows"
        columns: dict[str, Any] = {column: finite_numbers(source, column, advice) for column in self.numeric}
        columns |= {column: source.frame[column].to_numpy(dtype=object) for column in self.textual}
        return pd.DataFrame(columns)

    def encoder(self) -> ColumnTransformer:
        """Return what makes a float64 matrix of typed features, once it is fitted on training rows."""
        return ColumnTransformer(
            [
                ("numbers", StandardScaler(), list(self.numeric)),
                ("categories", OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(self.textual)),
            ]
        )

    def notes(self, train: Source) -> list[str]:
        """Return a note about each column of categories that may have been meant otherwise."""
        return [note for column in self.textual for note in _mixed(train, column)]


def numbers(column: pd.Series) -> NDArray[np.float64] | None:
    """Return the entries as numbers, or ``None`` if any of them is none."""
    found: NDArray[np.float64] = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    return None if np.isnan(found).any() else found


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
    found = pd.to_numeric(source.frame[column], errors="coerce").to_numpy(dtype=np.float64)
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


def _mixed(source: Source, column: str) -> list[str]:
    """Return a note about a column of categories that may have been meant as numbers, or has very many."""
    text = pd.to_numeric(source.frame[column], errors="coerce").isna().to_numpy()
    entry = source.frame[column].iloc[int(text.argmax())]
    count = source.frame[column].nunique()
    if text.all():
        few = count <= MANY_CATEGORIES
        return [] if few else [f"column {column!r} is text ({entry!r}): it was taken as {count} categories"]
    return [f"column {column!r} mixes numbers with text ({entry!r}): it was taken as {count} categories"]
