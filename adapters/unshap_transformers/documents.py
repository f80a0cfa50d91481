"""Documents as people have them, each in the form that it has and with its source."""

from __future__ import annotations

import os
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from unshap_plugin.errors import InvalidTypeError, InvalidValueError, in_short
from unshap_transformers.entries import check_one_a_row, integers_of, listed, plain, sources_of, texts_of
from unshap_transformers.files import Columns, columns_of, columns_of_rows, is_missing, read_folder, read_table

__all__ = ["Documents", "Message", "Piece", "columns_in", "read_documents"]

#: A text, and whether it is learned; what is not is only context.
Piece = tuple[str, bool]
#: A turn of a conversation, with its "role" and "content".
Message = Mapping[str, Any]

#: The columns that are read, the first that are there.
_FORMS = (("input_ids",), ("messages",), ("prompt", "completion"), ("text",))
_TURN = {"role", "content"}
_READ = {"labels", "attention_mask", "position_ids"}.union(*_FORMS)


@dataclass(frozen=True)
class Documents:
    """Documents in one of three forms: ``texts``, ``messages`` or ``input_ids``.

    Parameters
    ----------
    name
        What messages call them.
    texts
        The pieces of each document, in order: none for an empty document.
    messages
        The turns of each conversation.
    input_ids
        The tokens of each document, where somebody made them already.
    labels, attention_mask
        As long as the tokens, if given: the label of each, -100 where it is not learned; and 0 where it is padding.
    sources
        The source of each document.

    Examples
    --------
    >>> documents = read_documents([{"prompt": "1+1=", "completion": "2", "who": "a"}], "who")
    >>> documents.texts, documents.sources, len(documents)
    ([[('1+1=', False), ('2', True)]], ['a'], 1)
    """

    name: str
    texts: list[list[Piece]] | None = None
    messages: list[list[Message]] | None = None
    input_ids: list[list[int]] | None = None
    labels: list[list[int]] | None = None
    attention_mask: list[list[int]] | None = None
    sources: list[str] | None = None

    def __len__(self) -> int:
        return len(next(one for one in (self.texts, self.messages, self.input_ids) if one is not None))


def read_documents(data: Any, source_column: str | None = None, *, name: str = "train_dataset") -> Documents:
    """Read documents from wherever they are.

    Parameters
    ----------
    data
        A data set of the library ``datasets``, a list (or another sequence) of dictionaries, a frame of pandas, or the
        path of a table that ends in .jsonl, .json, .csv or .parquet. Of its columns those are read that come first in:
        ``input_ids`` (with ``labels`` and ``attention_mask`` where they are there), ``messages`` (lists of
        dictionaries with "role" and "content"), ``prompt`` with ``completion`` (the prompt is not learned), ``text``.
        Or the path of a folder of text files in UTF-8: every sub-folder is a source, or, without sub-folders, every
        file.
    source_column
        The column that says whose each document is. ``None``: nobody's; a folder says it by itself.
    name
        What messages call the data.

    Raises
    ------
    InvalidTypeError
        If the data are of another type.
    InvalidValueError
        If a file or a folder cannot be read, there are no documents, a column is missing or has an entry that is not
        what it should be, a document has no source, or one of several sources was packed into a row with others.

    Examples
    --------
    >>> documents = read_documents([{"text": "To be", "source": "plays"}, {"text": "1, 2", "source": "sums"}], "source")
    >>> documents.texts, documents.sources
    ([[('To be', True)], [('1, 2', True)]], ['plays', 'sums'])
    """
    if isinstance(data, str | os.PathLike):
        path = Path(data)
        name = f"{name} ({str(path)!r})"
        if not path.exists():
            raise InvalidValueError(f"{name} cannot be found: check the path.")
        if path.is_dir():
            texts, owners = read_folder(path, name)
            return Documents(name, texts=[_pieces((text, True)) for text in texts], sources=owners)
        columns = read_table(path, name)
    else:
        columns = columns_in(data, {*_READ, source_column}, name)
    form = next((form for form in _FORMS if set(form) <= set(columns)), None)
    if not any(columns.values()):
        raise InvalidValueError(f"{name} has no documents: give at least one.")
    if form is None:
        raise InvalidValueError(
            f"{name} has none of the columns that are read (input_ids, messages, prompt with completion, text), but "
            f"{listed(columns)}: rename the one that holds the documents."
        )
    sources = None if source_column is None else sources_of(columns, source_column, name)
    if form == ("input_ids",):
        ids = integers_of(columns, "input_ids", name)
        labels = integers_of(columns, "labels", name, like=ids) if "labels" in columns else None
        mask = integers_of(columns, "attention_mask", name, like=ids) if "attention_mask" in columns else None
        check_one_a_row(columns, name)
        return Documents(name, input_ids=ids, labels=labels, attention_mask=mask, sources=sources)
    if form == ("messages",):
        return Documents(name, messages=_conversations(columns, name), sources=sources)
    entries = [[(text, column != "prompt") for text in texts_of(columns, column, name)] for column in form]
    return Documents(name, texts=[_pieces(*pieces) for pieces in zip(*entries, strict=True)], sources=sources)


def columns_in(data: Any, read: Set[str | None], name: str) -> Columns:
    """Return the columns of what is in memory; of a data set, which may be on disk, only those that are ``read``.

    Raises
    ------
    InvalidTypeError
        If it is no data set, frame or sequence of dictionaries.
    InvalidValueError
        If two columns have one name.

    Examples
    --------
    >>> columns_in([{"text": "a"}, {"text": "b"}], {"text"}, "train_dataset")
    {'text': ['a', 'b']}
    """
    if isinstance(data, pd.DataFrame):
        return columns_of(data, name)
    if isinstance(getattr(data, "column_names", None), list) and hasattr(data, "__len__"):
        nothing = [None] * len(data)
        return {one: list(data[one]) if one in read else nothing for one in data.column_names}
    if isinstance(data, Mapping) or not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
        raise InvalidTypeError(
            f"{name} is of type {type(data).__name__}, but a data set whose rows can be counted is needed: give a "
            f"Dataset (one split of it, loaded whole), a list of dictionaries, a frame, or a path."
        )
    rows = [data[at] for at in range(len(data))]
    odd = next((at for at, row in enumerate(rows) if not isinstance(row, Mapping)), None)
    if odd is not None:
        raise InvalidTypeError(
            f"row {odd} of {name} is {in_short(rows[odd])}, but a dictionary of its columns is needed: give "
            f'{{"text": ...}}.'
        )
    return columns_of_rows([dict(row) for row in rows])


def _pieces(*pieces: Piece) -> list[Piece]:
    """Return the pieces that are not empty; none where nothing would be learned, so that no prompt stands alone."""
    learned = any(text.strip() for text, trained in pieces if trained)
    return [piece for piece in pieces if piece[0]] if learned else []


def _conversations(columns: Columns, name: str) -> list[list[Message]]:
    found: list[list[Message]] = []
    for at, value in enumerate(columns["messages"]):
        turns = [] if is_missing(value) else plain(value)
        if not (isinstance(turns, list) and all(isinstance(one, Mapping) and set(one) >= _TURN for one in turns)):
            raise InvalidValueError(
                f"row {at} of column 'messages' of {name} is {in_short(turns)}, but a list of dictionaries with "
                f"'role' and 'content' is needed: convert it."
            )
        found.append(turns)
    return found
