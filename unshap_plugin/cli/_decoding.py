"""The text of a file: its encoding, and what separates its columns."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re

from unshap_plugin.errors import InvalidValueError

__all__ = ["SEPARATORS", "decoded", "separator_of"]

#: What may separate columns, and what it is called.
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}

# UTF-32 first: its mark begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f]")
#: So many rows are looked at to find the separator.
_LOOKED_AT = 1000


def decoded(raw: bytes, name: str) -> tuple[str, tuple[str, ...]]:
    """Return the text of a file, and a note where its encoding had to be guessed.

    Parameters
    ----------
    raw
        All of the file.
    name
        What messages call it.

    Raises
    ------
    InvalidValueError
        If it is no text, or in an encoding that cannot be told.
    """
    encoding = next((encoding for mark, encoding in _MARKS.items() if raw.startswith(mark)), "utf-8")
    notes: tuple[str, ...] = ()
    try:
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            if encoding != "utf-8":
                raise
            # What spreadsheets of western Europe write: Latin-1 with a few more letters.
            text = raw.decode("cp1252")
            notes = (f"{name} is not in UTF-8: it was read as Latin-1 (Windows-1252)",)
    except UnicodeDecodeError as error:
        raise InvalidValueError(f"{name} is not a CSV file in UTF-8 ({error}): convert it.") from error
    control = _CONTROL.search(text)
    if control:
        raise InvalidValueError(
            f"{name} is not a CSV file in UTF-8 (it has the control character {control[0]!r}, as spreadsheets, "
            f"archives and UTF-16 without a byte order mark have): convert it."
        )
    # One kind of line ends: names with breaks in them are then the same in all files, and pandas 1.5 fails on some.
    return text.replace("\r\n", "\n").replace("\r", "\n"), notes


def separator_of(text: str) -> str:
    r"""Return what separates the columns: what makes all rows as long as the header, and most columns of it.

    Examples
    --------
    >>> separator_of("a;b;c\n1,5;2;3\n"), separator_of("a;b,c\n1,2\n")
    (';', ',')
    """
    lengths = {separator: _lengths(text, separator) for separator in SEPARATORS}

    def fit(separator: str) -> tuple[bool, int]:
        header, *rows = lengths[separator]
        return header > 1 and all(length == header for length in rows), header

    return max(SEPARATORS, key=fit)  # of equals the first, which is the comma


def _lengths(text: str, separator: str) -> list[int]:
    """Return the numbers of fields of the first rows; as many as one where they cannot be told."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        return [len(row) for row in itertools.islice(filter(None, rows), _LOOKED_AT)] or [1]
    except csv.Error:
        return [1]
