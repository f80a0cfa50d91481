"""CSV files as they were read, and the words for what is wrong with them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unshap_plugin.cli._blanks import stripped
from unshap_plugin.cli._decoding import SEPARATORS, decoded, separator_of
from unshap_plugin.errors import InvalidValueError

__all__ = ["Source", "entries", "first", "read_csv", "shortened"]


@dataclass(frozen=True)
class Source:
    """A table as it was read.

    Parameters
    ----------
    name
        The name that messages call it by.
    frame
        The rows, under the names of their columns: text without blanks around it, or numbers.
    notes
        What was done to it, in sentences.
    separator
        What separated its columns.
    """

    name: str
    frame: pd.DataFrame
    notes: tuple[str, ...] = ()
    separator: str = ","


def read_csv(path: Path) -> Source:
    """Read a CSV file as text: which columns hold numbers is decided on the whole training table, for all tables.

    Raises
    ------
    InvalidValueError
        If the file cannot be read, has no rows, or has two columns of one name.
    """
    name = f"table {str(path)!r}"
    try:
        text, notes = decoded(path.read_bytes(), name)
    except OSError as error:
        raise InvalidValueError(f"{name} cannot be read ({error.strerror or error}): check the path.") from error
    separator = separator_of(text)
    try:
        # Without header: pandas would rename repeated columns, and take the first for an index if rows are too long.
        raw = pd.read_csv(
            io.StringIO(text), sep=separator, header=None, dtype=object, na_filter=False, skipinitialspace=True
        )
    except pd.errors.EmptyDataError:
        raise InvalidValueError(f"{name} is empty: expected a header line and rows.") from None
    except pd.errors.ParserError as error:
        raise InvalidValueError(
            f"{name} is not a CSV file with {SEPARATORS[separator]} ({stripped(str(error))}): correct that line, or "
            f"write the table again."
        ) from error
    raw = raw.apply(lambda column: column.map(stripped))
    header = raw.iloc[0]
    named = (header != "").to_numpy()
    if not named.all():
        notes += (f"{name}: columns without a name were ignored (a row index, mostly)",)
    frame = raw.iloc[1:].loc[:, named].reset_index(drop=True)
    frame.columns = pd.Index(header[named].tolist(), dtype=object)
    if frame.columns.has_duplicates:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise InvalidValueError(f"{name} has two columns {twice!r}: give every column a name of its own.")
    if len(frame) == 0:
        raise InvalidValueError(
            f"{name} has no rows below its header: two training rows and one test row are the least."
        )
    return Source(name, frame, notes, separator)


def entries(which: NDArray[np.bool_]) -> str:
    """Return how many entries are meant, in words."""
    return "1 entry" if which.sum() == 1 else f"{int(which.sum())} entries"


def first(which: NDArray[np.bool_]) -> str:
    """Return where the first of the entries is that are meant, in words."""
    return f"first in row {int(which.argmax())} (counted from 0)"


def shortened(names: Sequence[str]) -> str:
    """Return the first ten names."""
    return ", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")
