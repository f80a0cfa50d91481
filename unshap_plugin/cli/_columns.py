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

from unshap_plugin.cli._numbers import as_numbers, finite_numbers
from unshap_plugin.cli._sources import Source, entries

__all__ = ["Features", "indistinct"]

#: A text column with more distinct entries than this is hardly a category.
MANY_CATEGORIES = 30


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
        numeric = tuple(column for column in columns if not np.isnan(as_numbers(train, column)).any())
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

    def taken_as_equal(self, encoder: ColumnTransformer, train: pd.DataFrame) -> list[str]:
        """Return a note about each column of numbers that differ, but too little to be standardised by the encoder."""
        if not self.numeric:
            return []
        columns = train[list(self.numeric)].to_numpy()
        lost = np.flatnonzero(indistinct(encoder.named_transformers_["numbers"], columns))
        return [
            f"column {self.numeric[i]!r} has numbers from {columns[:, i].min()} to {columns[:, i].max()}, which differ "
            f"too little to compute with, and were taken as equal: subtract what they share, and multiply the rest"
            for i in lost
        ]

    def unseen(self, train: pd.DataFrame, other: pd.DataFrame, name: str) -> list[str]:
        """Return a note about each column of typed features in which another table has categories of its own."""
        notes = []
        for column in self.textual:
            known = set(train[column])
            new = np.array([entry not in known for entry in other[column]], dtype=bool)
            if new.any():
                notes.append(
                    f"{name} has {entries(new)} in column {column!r} that the training rows lack, first "
                    f"{other[column].iloc[int(new.argmax())]!r}: as categories they are none of the known ones"
                )
        return notes


def indistinct(scaler: StandardScaler, columns: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which columns differ, but are equal to the scaler that was fitted on them, bool ``[columns]``."""
    spread = columns.max(axis=0) - columns.min(axis=0)
    # What it takes as constant it scales by 1, though a deviation of exactly 1 is one that it can scale by.
    taken: NDArray[np.bool_] = (scaler.scale_ == 1) & (spread > 0) & (np.asarray(scaler.var_) < 0.5)
    return taken


def _mixed(source: Source, column: str) -> list[str]:
    """Return a note about a column of categories that may have been meant as numbers, or has very many."""
    text = np.isnan(as_numbers(source, column))
    entry = source.frame[column].iloc[int(text.argmax())]
    count = source.frame[column].nunique()
    if text.all():
        few = count <= MANY_CATEGORIES
        return [] if few else [f"column {column!r} is text ({entry!r}): it was taken as {count} categories"]
    return [f"column {column!r} mixes numbers with text ({entry!r}): it was taken as {count} categories"]
