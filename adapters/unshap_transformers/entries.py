"""Entries of columns: what each must be to be read as a source, a text, or numbers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from numbers import Integral
from typing import Any

from unshap_plugin.errors import InvalidValueError, in_short, nearest
from unshap_transformers.files import Columns, is_missing

__all__ = ["check_one_a_row", "integers_of", "listed", "plain", "sources_of", "texts_of"]

#: So many names of columns a message lists at most.
_SHOWN = 10


def sources_of(columns: Columns, column: str, name: str) -> list[str]:
    """Return the source of each row, as text; messages call the data ``name``.

    Raises
    ------
    InvalidValueError
        If there is no such column, a row has no source or several, or two of them read alike.

    Examples
    --------
    >>> sources_of({"who": ["a", ["b"]]}, "who", "train_dataset")
    ['a', 'b']
    """
    if column not in columns:
        raise InvalidValueError(
            f"{name} has no source column {column!r}{nearest(column, columns)}, but {listed(columns)}: name the one "
            f"that says whose the documents are."
        )
    found = []
    for at, value in enumerate(columns[column]):
        value = plain(value)
        if isinstance(value, list):
            if len(set(map(str, value))) > 1:
                raise InvalidValueError(
                    f"row {at} of {name} has several sources ({in_short(value)}): documents of different sources were "
                    f"packed into one row, so give them unpacked."
                )
            value = value[0] if value else None
        if is_missing(value) or value == "":
            raise InvalidValueError(
                f"row {at} of {name} has no source in column {column!r}: fill it in, or drop that row."
            )
        found.append(value)
    names = [str(value) for value in found]
    if len(set(names)) < len(set(map(repr, found))):
        raise InvalidValueError(
            f"source column {column!r} of {name} has both text and numbers that read alike: make all of them text."
        )
    return names


def texts_of(columns: Columns, column: str, name: str) -> list[str]:
    """Return the texts of a column, empty where nothing is.

    Raises
    ------
    InvalidValueError
        If one is no text.

    Examples
    --------
    >>> texts_of({"text": ["a", None]}, "text", "train_dataset")
    ['a', '']
    """
    texts = ["" if is_missing(text) else text for text in columns[column]]
    odd = next((at for at, text in enumerate(texts) if not _is_text(text)), None)
    if odd is not None:
        raise InvalidValueError(
            f"row {odd} of column {column!r} of {name} is {in_short(texts[odd])}, but text is needed: convert it."
        )
    return texts


def _is_text(value: Any) -> bool:
    try:
        return isinstance(value, str) and value.encode().decode() == value
    except UnicodeEncodeError:  # half of a letter, which JSON can write
        return False


def integers_of(
    columns: Columns, column: str, name: str, like: Sequence[Sequence[int]] | None = None
) -> list[list[int]]:
    """Return rows of whole numbers; with ``like``, each as long as that one.

    Raises
    ------
    InvalidValueError
        If one is something else, or of another length.

    Examples
    --------
    >>> integers_of({"input_ids": [(1, 2), None]}, "input_ids", "train_dataset")
    [[1, 2], []]
    """
    found = []
    for at, value in enumerate(columns[column]):
        row = [] if is_missing(value) else plain(value)
        if not isinstance(row, list) or not all(issubclass(kind, Integral) for kind in set(map(type, row))):
            raise InvalidValueError(
                f"row {at} of column {column!r} of {name} is {in_short(row)}, but a list of whole numbers is needed: "
                f"convert it."
            )
        if like is not None and len(row) != len(like[at]):
            raise InvalidValueError(
                f"row {at} of {name} has {len(like[at])} input_ids and {len(row)} {column}: give as many of both, or "
                f"leave the column {column!r} out."
            )
        found.append(row)
    return found


def plain(value: Any) -> Any:
    """Return arrays, tensors and tuples as lists, and what they hold too.

    Examples
    --------
    >>> plain((1, 2)), plain(5)
    ([1, 2], 5)
    """
    value = value.tolist() if hasattr(value, "tolist") else value
    return list(value) if isinstance(value, tuple) else value


def listed(columns: Columns) -> str:
    """Say what columns there are, of many the first ones.

    Examples
    --------
    >>> listed({"text": [], "who": []})
    "has 'text', 'who'"
    """
    names = list(columns)
    return f"has {', '.join(map(repr, names[:_SHOWN])) + (', ...' if len(names) > _SHOWN else '')}"


def check_one_a_row(columns: Columns, name: str) -> None:
    """Refuse rows of ``input_ids`` into which several documents were packed, which positions or masks tell.

    Raises
    ------
    InvalidValueError
        If there is one.

    Examples
    --------
    >>> check_one_a_row({"input_ids": [[1, 2]], "attention_mask": [[0, 1]]}, "train_dataset")
    """
    masks = columns.get("attention_mask", [None] * len(columns["input_ids"]))
    positions = columns.get("position_ids", [None] * len(masks))
    for at, (mask, position) in enumerate(zip(map(plain, masks), map(plain, positions), strict=True)):
        kept = mask if isinstance(mask, list) else [1] * len(position or ())
        runs = [one for one, before in zip(kept, [0, *kept], strict=False) if one != before and one != 0]
        counted = [place for place, one in zip(position or (), kept, strict=False) if one != 0]
        if len(runs) > 1 or any(then <= now for now, then in itertools.pairwise(counted)):
            told = "attention_mask tells" if len(runs) > 1 else "position_ids tell"
            raise InvalidValueError(
                f"row {at} of {name} has several documents, which its {told} apart: they were packed into one row, so "
                f"give them unpacked."
            )
