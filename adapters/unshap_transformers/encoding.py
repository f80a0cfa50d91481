"""Texts with labels as rows of tokens, as classifiers read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unshap_plugin.errors import InvalidValueError
from unshap_transformers.labelled import LabelledTexts
from unshap_transformers.tokens import IGNORED, Tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Encoded", "encode"]

#: Rows are as long as a multiple of this, which processors like.
_MULTIPLE = 8


@dataclass(frozen=True, eq=False)
class Encoded:
    """Rows that are classified.

    Parameters
    ----------
    tokens
        The rows ``[rows, length]``, in none of which a token is learned.
    parts
        Of which part of the row each token is, int64 ``[rows, length]``, where the tokenizer tells.
    """

    tokens: Tokens
    parts: Tensor | None

    def rows(self, length: int, padding: int) -> dict[str, Tensor]:
        """Return what a classifier takes, filled up to one length: long ``[rows, length]`` each."""
        missing = length - self.tokens.input_ids.shape[1]
        found = {"input_ids": torch.nn.functional.pad(self.tokens.input_ids, (0, missing), value=padding)}
        kept = torch.arange(length) < torch.from_numpy(self.tokens.lengths)[:, None]
        found["attention_mask"] = kept.long()
        if self.parts is not None:
            found["token_type_ids"] = torch.nn.functional.pad(self.parts, (0, missing))
        return found


def encode(
    texts: LabelledTexts, tokenizer: PreTrainedTokenizerBase | None, max_length: int, *, padding: int, parts: bool
) -> Encoded:
    """Return texts as rows of tokens, each as if it was alone: with padding on the right, which nothing looks at.

    A text gets the special tokens of the tokenizer, which also cuts it where it is longer than ``max_length``. Tokens
    that were made already are taken as they are, without padding on either side.

    Parameters
    ----------
    texts
        What ``read_labelled`` returned.
    tokenizer
        Makes tokens of text. ``None``: there are tokens already.
    max_length
        The most tokens of a row.
    padding
        The token of padding that the model knows.
    parts
        Whether the model is told of which part of a row a token is.

    Raises
    ------
    InvalidValueError
        If there is text but no tokenizer, or a row has no tokens, or more than ``max_length`` that were made already.

    Examples
    --------
    >>> from unshap_transformers.labelled import read_labelled
    >>> rows = read_labelled([{"input_ids": [5, 6, 7], "label": 0}, {"input_ids": [8, 0], "label": 1}], "label")
    >>> encode(rows, None, 4, padding=0, parts=False).rows(4, 0)["attention_mask"].tolist()
    [[1, 1, 1, 0], [1, 0, 0, 0]]
    """
    notes: tuple[str, ...] = ()
    if texts.input_ids is not None:
        ids, types = _given(texts, padding)
        _check_short(ids, max_length, texts.name)
    elif tokenizer is None:
        raise InvalidValueError(f"{texts.name} has text, but there is no tokenizer: give it as processing_class.")
    else:
        ids, types, notes = _written(texts, tokenizer, max_length)
    empty = next((at for at, one in enumerate(ids) if len(one) == 0), None)
    if empty is not None:
        raise InvalidValueError(f"row {empty} of {texts.name} is empty: fill it in, or drop that row.")
    length = min(-(-max(map(len, ids)) // _MULTIPLE) * _MULTIPLE, max_length)
    input_ids = _padded(ids, padding, length)
    return Encoded(
        Tokens(
            texts.name,
            input_ids,
            torch.full_like(input_ids, IGNORED),
            np.array([len(one) for one in ids], dtype=np.int64),
            np.arange(len(ids)),
            None if texts.sources is None else np.array(texts.sources, dtype=np.str_),
            notes,
        ),
        _padded(types, 0, length) if parts and types is not None else None,
    )


def _written(
    texts: LabelledTexts, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> tuple[list[list[int]], list[list[int]] | None, tuple[str, ...]]:
    """Return the tokens of texts, of which part they are, and notes of what differs from training."""
    assert texts.texts is not None

    def of(rows: Sequence[int], **how: Any) -> Any:
        assert texts.texts is not None
        second = None if texts.pairs is None else [texts.pairs[at] for at in rows]
        # Not verbose: it would warn of long texts, which are cut.
        return tokenizer([texts.texts[at] for at in rows], second, return_attention_mask=False, verbose=False, **how)

    encoding = of(range(len(texts)))
    ids, types = list(encoding["input_ids"]), encoding.get("token_type_ids")
    long = [at for at, one in enumerate(ids) if len(one) > max_length]
    notes: tuple[str, ...] = ()
    if long:
        cut = of(long, truncation=True, max_length=max_length)
        for place, at in enumerate(long):
            ids[at] = cut["input_ids"][place]
            if types is not None:
                types[at] = cut["token_type_ids"][place]
        notes = (f"{texts.name}: {len(long)} of {len(texts)} rows are longer than {max_length} tokens, and are cut",)
    if tokenizer.padding_side == "left":
        notes += (
            f"{texts.name}: rows are read as if each was alone, although the tokenizer pads on the left, from where "
            f"some models (GPT-2, not Llama) count the places of tokens",
        )
    return ids, types, notes


def _given(texts: LabelledTexts, padding: int) -> tuple[list[list[int]], list[list[int]] | None]:
    """Return tokens that were made already, and of which part they are, without padding."""
    assert texts.input_ids is not None
    kept = []
    for at, ids in enumerate(texts.input_ids):
        mask = [one != padding for one in ids] if texts.attention_mask is None else texts.attention_mask[at]
        places = [place for place, one in enumerate(mask) if one]
        kept.append(slice(places[0], places[-1] + 1) if places else slice(0))
    types = texts.token_type_ids
    return (
        [ids[one] for ids, one in zip(texts.input_ids, kept, strict=True)],
        None if types is None else [row[one] for row, one in zip(types, kept, strict=True)],
    )


def _check_short(ids: Sequence[Sequence[int]], max_length: int, name: str) -> None:
    long = next((at for at, one in enumerate(ids) if len(one) > max_length), None)
    if long is not None:
        raise InvalidValueError(
            f"row {long} of {name} has {len(ids[long])} input_ids, but at most {max_length} are read: give text, which "
            f"the tokenizer cuts, or a larger max_length if the model reads as many."
        )


def _padded(rows: Sequence[Sequence[int]], padding: int, length: int) -> Tensor:
    """Return rows filled up on the right, long ``[rows, length]``."""
    filled: NDArray[np.int64] = np.full((len(rows), length), padding, dtype=np.int64)
    for at, row in enumerate(rows):
        filled[at, : len(row)] = row
    return torch.from_numpy(filled)
