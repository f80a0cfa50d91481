"""CSV files as they were read, and the words for what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unshap_plugin.errors import InvalidValueError

__all__ = ["Source", "check_complete", "entries", "first", "read_csv", "shortened"]

# Named one by one because what pandas takes for missing differs between its versions ("None").
_MISSING = ["", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL"]


@dataclass(frozen=True)
class Source:
    """A table as it was read.

    Parameters
    ----------
    name
        The name that messages call it by.
    frame
        The rows, under the names of their columns.
    notes
        What was done to it, in sentences.
    """

    name: str
    frame: pd.DataFrame
    notes: tuple[str, ...]


def read_csv(path: Path) -> Source:
    """Read a CSV file as text: which columns hold numbers is decided on the whole training table, for all tables.

    Raises
    ------
    InvalidValueError
        If the file cannot be read, has no rows, or has two columns of one name.
    """
    name = f"table {str(path)!r}"
    try:
        # Without header: pandas would rename repeated columns, and take the first for an index if rows are too long.
        raw = pd.read_csv(
            path,
            header=None,
            dtype=str,
            keep_default_na=False,
            na_values=_MISSING,
            skipinitialspace=True,
            encoding="utf-8-sig",
            compression=None,
        )
    except pd.errors.EmptyDataError:
        raise InvalidValueError(f"{name} is empty: expected a header line and rows.") from None
    except OSError as error:
        raise InvalidValueError(f"{name} cannot be read ({error.strerror or error}): check the path.") from error
    except (UnicodeDecodeError, pd.errors.ParserError) as error:
        raise InvalidValueError(
            f"{name} is not a CSV file with commas, in UTF-8 ({str(error).strip()}): convert it."
        ) from error
    header = raw.iloc[0]
    named = header.notna()
    notes = () if named.all() else (f"{name}: columns without a name were ignored (a row index, mostly)",)
    frame = raw.iloc[1:].loc[:, named.to_numpy()].reset_index(drop=True)
    frame.columns = pd.Index([str(column).strip() for column in header[named]])
    if frame.columns.has_duplicates:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise InvalidValueError(f"{name} has two columns {twice!r}: give every column a name of its own.")
    if len(frame) == 0:
        raise InvalidValueError(
            f"{name} has no rows below its header: two training rows and one test row are the least."
        )
    return Source(name, frame, notes)


def check_complete(source: Source) -> None:
    """Raise ``InvalidValueError`` if an entry is missing."""
    for column in source.frame:
        missing = source.frame[column].isna().to_numpy()
        if missing.any():
            raise InvalidValueError(
                f"{source.name} has {entries(missing)} in column {column!r} missing, {first(missing)}: fill them in, "
                f"or drop those rows."
            )


def entries(which: NDArray[np.bool_]) -> str:
    """Return how many entries are meant, in words."""
    return "1 entry" if which.sum() == 1 else f"{int(which.sum())} entries"


def first(which: NDArray[np.bool_]) -> str:
    """Return where the first of the entries is that are meant, in words."""
    return f"first in row {int(which.argmax())} (counted from 0)"


def shortened(names: Sequence[str]) -> str:
    """Return the first ten names."""
    return ", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")
