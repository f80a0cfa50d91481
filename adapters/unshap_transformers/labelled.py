"""Texts with labels as people have them, for classifiers, and the labels as the numbers that a model knows."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.errors import InvalidValueError, in_short, nearest
from unshap_transformers.documents import columns_in
from unshap_transformers.entries import check_one_a_row, integers_of, listed, plain, sources_of, texts_of
from unshap_transformers.files import is_missing, read_table

__all__ = ["LabelledTexts", "class_numbers", "read_labelled"]

_READ = {"input_ids", "attention_mask", "token_type_ids", "text", "text_pair"}
#: So many names of classes a message lists at most.
_SHOWN = 10


@dataclass(frozen=True)
class LabelledTexts:
    """Rows of text with a label each: ``texts``, perhaps of two parts, or ``input_ids``.

    Parameters
    ----------
    name
        What messages call them.
    labels
        The label of each row, a text or a number.
    texts, pairs
        The text of each row, and the text that follows it where there are pairs.
    input_ids, attention_mask, token_type_ids
        The tokens of each row, where somebody made them already, with special tokens; 0 where they are padding; and of
        which part of the row they are.
    sources
        The source of each row.
    """

    name: str
    labels: list[Any]
    texts: list[str] | None = None
    pairs: list[str] | None = None
    input_ids: list[list[int]] | None = None
    attention_mask: list[list[int]] | None = None
    token_type_ids: list[list[int]] | None = None
    sources: list[str] | None = None

    def __len__(self) -> int:
        return len(self.labels)


def read_labelled(
    data: Any, label_column: str, source_column: str | None = None, *, name: str = "train_dataset"
) -> LabelledTexts:
    """Read texts with labels from wherever they are.

    Parameters
    ----------
    data
        What ``read_documents`` takes, but for folders, in which nothing is labelled. Of its columns those are read that
        come first in: ``input_ids`` (with ``attention_mask`` and ``token_type_ids`` where they are there); ``text``,
        with ``text_pair`` where it is there.
    label_column
        The column of the labels.
    source_column
        The column that says whose each row is. ``None``: nobody's.
    name
        What messages call the data.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If the data cannot be read, a column is missing, or one has an entry that is not what it should be.

    Examples
    --------
    >>> rows = read_labelled([{"text": "Bravo!", "label": "good"}, {"text": "Boo.", "label": "bad"}], "label")
    >>> rows.texts, rows.labels
    (['Bravo!', 'Boo.'], ['good', 'bad'])
    """
    if isinstance(data, str | os.PathLike):
        path = Path(data)
        name = f"{name} ({str(path)!r})"
        if path.is_dir():
            raise InvalidValueError(f"{name} is a folder, in which no text has a label: give a table with both.")
        columns = read_table(path, name)
    else:
        columns = columns_in(data, {*_READ, label_column, source_column}, name)
    if not any(columns.values()):
        raise InvalidValueError(f"{name} has no rows: give at least one.")
    if label_column not in columns:
        raise InvalidValueError(
            f"{name} has no label column {label_column!r}{nearest(label_column, columns)}, but {listed(columns)}: name "
            f"the one of the labels."
        )
    labels = [plain(one) for one in columns[label_column]]
    lacking = next((at for at, one in enumerate(labels) if is_missing(one) or one == ""), None)
    if lacking is not None:
        raise InvalidValueError(
            f"row {lacking} of {name} has no label in column {label_column!r}: fill it in, or drop that row."
        )
    sources = None if source_column is None else sources_of(columns, source_column, name)
    if "input_ids" in columns:
        ids = integers_of(columns, "input_ids", name)
        check_one_a_row(columns, name)
        mask, types = (
            integers_of(columns, one, name, like=ids) if one in columns else None
            for one in ("attention_mask", "token_type_ids")
        )
        return LabelledTexts(name, labels, input_ids=ids, attention_mask=mask, token_type_ids=types, sources=sources)
    if "text" not in columns:
        raise InvalidValueError(
            f"{name} has neither of the columns that are read (input_ids, text with or without text_pair), but "
            f"{listed(columns)}: rename the one that holds the texts."
        )
    pairs = texts_of(columns, "text_pair", name) if "text_pair" in columns else None
    return LabelledTexts(name, labels, texts_of(columns, "text", name), pairs, sources=sources)


def class_numbers(labels: Sequence[Any], known: Mapping[str, int], classes: int, name: str) -> NDArray[np.int64]:
    """Return the number of the class of each row, int64 ``[rows]``.

    Text is looked up among the names of the classes, and read as numbers where none of it is there, as it is in CSV.

    Parameters
    ----------
    labels
        Texts or numbers.
    known
        The number of each name.
    classes
        How many classes the model knows.
    name
        What messages call the data.

    Raises
    ------
    InvalidValueError
        If one is no class that the model knows.

    Examples
    --------
    >>> class_numbers(["good", "bad"], {"bad": 0, "good": 1}, 2, "train_dataset")
    array([1, 0])
    >>> class_numbers(["1", "0"], {"bad": 0, "good": 1}, 2, "train_dataset")
    array([1, 0])
    """
    named = any(isinstance(one, str) and one in known for one in labels)
    numbers = []
    for at, label in enumerate(labels):
        number = known.get(label) if isinstance(label, str) and named else _whole(label)
        if number is None or not 0 <= number < classes:
            close = nearest(label, known) if isinstance(label, str) else ""
            names = ", ".join(map(repr, sorted(known, key=lambda one: known[one])[:_SHOWN]))
            raise InvalidValueError(
                f"row {at} of {name} has the label {in_short(label)}{close}, but the model knows 0 to {classes - 1} "
                f"({names}{', ...' if len(known) > _SHOWN else ''}): correct it, drop that row, or set config.label2id "
                f"of the model as it was in training."
            )
        numbers.append(number)
    return np.array(numbers, dtype=np.int64)


def _whole(label: Any) -> int | None:
    """Return the whole number that a label is, or reads as."""
    if isinstance(label, str):
        return int(label) if label.strip().isdecimal() else None
    return int(label) if isinstance(label, Integral | float) and float(label).is_integer() else None
