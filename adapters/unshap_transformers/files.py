"""Files of documents: tables, and folders of text."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd

from unshap_plugin.errors import InvalidValueError, in_short

__all__ = ["Columns", "columns_of", "columns_of_rows", "is_missing", "read_folder", "read_table"]

#: The entries of each column, in the order of the rows.
Columns = dict[str, list[Any]]

#: The endings of the tables that are read.
TABLES = (".jsonl", ".json", ".csv", ".parquet")


def is_missing(value: Any) -> bool:
    """Return whether an entry of a table holds nothing.

    Examples
    --------
    >>> is_missing(None), is_missing(float("nan")), is_missing(""), is_missing([])
    (True, True, False, False)
    """
    return value is None or (not hasattr(value, "__len__") and bool(pd.isna(value)))


def columns_of(frame: pd.DataFrame, name: str) -> Columns:
    """Return the columns of a frame; messages call it ``name``.

    Raises
    ------
    InvalidValueError
        If two columns have one name.

    Examples
    --------
    >>> columns_of(pd.DataFrame({"text": ["a", "b"]}), "train_dataset")
    {'text': ['a', 'b']}
    """
    if frame.columns.has_duplicates:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise InvalidValueError(f"{name} has two columns {twice!r}: give every column a name of its own.")
    return {str(column): frame[column].tolist() for column in frame.columns}


def columns_of_rows(rows: list[dict[str, Any]]) -> Columns:
    """Return the columns of rows, of which some may lack some.

    Examples
    --------
    >>> columns_of_rows([{"text": "a"}, {"text": "b", "source": "books"}])
    {'text': ['a', 'b'], 'source': [None, 'books']}
    """
    names = dict.fromkeys(column for row in rows for column in row)
    return {str(column): [row.get(column) for row in rows] for column in names}


def read_table(path: Path, name: str) -> Columns:
    """Return the columns of a file, whose ending says what it is; messages call it ``name``.

    Raises
    ------
    InvalidValueError
        If there is no such file, it is not what its ending says, its ending is another one, or nothing is installed
        that reads it.
    """
    ending = path.suffix.lower()
    if ending not in TABLES:
        raise InvalidValueError(
            f"{name} ends in {path.suffix!r}, but tables that end in {', '.join(TABLES)} are read, and folders of "
            f"text: convert it, or put it into a folder of its own."
        )
    if ending == ".parquet":
        return columns_of(_read_parquet(path, name), name)
    text = _decoded(path, name)
    return columns_of(_read_csv(text, name), name) if ending == ".csv" else columns_of_rows(_read_json(text, name))


def read_folder(path: Path, name: str) -> tuple[list[str], list[str]]:
    """Return the texts of the files of a folder, and the source of each; messages call it ``name``.

    Every sub-folder is a source, with all files below it; without sub-folders every file is one, named without its
    ending unless two would then have one name. Names that begin with a dot are passed over.

    Raises
    ------
    InvalidValueError
        If there are no files, there are files beside the sub-folders, one is a table, or one is no text in UTF-8.
    """
    found = [one for one in sorted(path.rglob("*")) if one.is_file()]
    files = [one for one in found if not any(part.startswith(".") for part in one.relative_to(path).parts)]
    if not files:
        raise InvalidValueError(
            f"{name} has no files of text: give a folder that has some, or a sub-folder per source."
        )
    table = next((one for one in files if one.suffix.lower() in TABLES), None)
    if table is not None:
        raise InvalidValueError(
            f"{name} has the table {str(table.relative_to(path))!r} among its files of text: give a table by its own "
            f"path, or move it out of the folder."
        )
    loose = [one for one in files if one.parent == path]
    if loose and len(loose) < len(files):
        raise InvalidValueError(
            f"{name} has both sub-folders and the file {loose[0].name!r}, which is in no source: move it into a "
            f"sub-folder, or out of the folder."
        )
    sources = [one.relative_to(path).parts[0] for one in files]
    stems = [one.stem for one in files]
    if loose and len(set(stems)) == len(stems):
        sources = stems
    return [_decoded(one, f"{name}: file {str(one.relative_to(path))!r}") for one in files], sources


def _decoded(path: Path, name: str) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InvalidValueError(f"{name} cannot be read ({error.strerror or error}): check the path.") from error
    except UnicodeDecodeError as error:
        raise InvalidValueError(f"{name} is no text in UTF-8 ({error}): convert it, or remove it.") from error


def _read_csv(text: str, name: str) -> pd.DataFrame:
    try:
        # Without header: pandas would rename repeated columns, and take the first for an index if rows are too long.
        raw = pd.read_csv(io.StringIO(text), header=None, dtype=object, na_filter=False)
    except pd.errors.EmptyDataError:
        raise InvalidValueError(f"{name} is empty: add a header line and rows.") from None
    except pd.errors.ParserError as error:
        raise InvalidValueError(
            f"{name} is not a CSV file with commas ({' '.join(str(error).split())}): write the text of that line in "
            f"quotes."
        ) from error
    frame = raw.iloc[1:].reset_index(drop=True)
    frame.columns = pd.Index(raw.iloc[0].tolist(), dtype=object)
    return frame


def _read_json(text: str, name: str) -> list[dict[str, Any]]:
    """Return the objects of a file that has one a line, or a list of them."""
    if text.lstrip().startswith("["):
        entries = [("", text)]
    else:  # not splitlines, which also splits where JSON does not
        entries = [(f"line {at} of ", line) for at, line in enumerate(text.split("\n"), start=1) if line.strip()]
    rows: list[dict[str, Any]] = []
    for where, entry in entries:
        try:
            value = json.loads(entry)
        except json.JSONDecodeError as error:
            raise InvalidValueError(f"{where}{name} is not JSON ({error}): correct it.") from error
        rows += value if isinstance(value, list) and not where else [value]
        if not all(isinstance(row, dict) for row in rows):
            odd = next(row for row in rows if not isinstance(row, dict))
            raise InvalidValueError(
                f"{where}{name} has {in_short(odd)} where an object with columns is needed: write one object a line, "
                f"or a list of objects."
            )
    return rows


def _read_parquet(path: Path, name: str) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except ImportError as error:
        raise InvalidValueError(f"{name} cannot be read without pyarrow: install that, or give JSON lines.") from error
    except Exception as error:  # each engine has errors of its own
        raise InvalidValueError(
            f"{name} is not a Parquet file ({' '.join(str(error).split())}): write it again."
        ) from error
