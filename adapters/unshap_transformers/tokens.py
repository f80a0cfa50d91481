"""Tokens of documents: rows of one length that never cross a document, and so never a source."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unshap_plugin.errors import InvalidValueError, check_integer
from unshap_transformers.documents import Documents, Message, Piece

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["IGNORED", "Tokens", "tokenise"]

#: The label of a token that is not learned, as in transformers.
IGNORED = -100
#: Rows are as long as a multiple of this, which processors like.
_MULTIPLE = 8
#: What begins in a chat template that tells what the assistant says, as transformers looks for it.
_GENERATION = re.compile(r"\{%-?\s*generation\s*-?%\}")

#: The tokens of a document, and their labels.
_Labelled = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class Tokens:
    """Rows of tokens, each of one document, padded on the right.

    Parameters
    ----------
    name
        What messages call them.
    input_ids
        int64 ``[rows, length]``.
    labels
        int64 ``[rows, length]``: -100 where a token is not learned, which padding never is. They are not shifted: the
        label of a token stands at its own place, and that of the first of a row is never predicted.
    lengths
        How many tokens of each row are no padding, int64 ``[rows]``.
    document
        The number of the document that each row is of, int64 ``[rows]``; of a long one there are several rows.
    source
        The source of each row, text ``[rows]``; ``None`` where nobody said.
    notes
        What was done, in sentences.

    Examples
    --------
    >>> from unshap_transformers.documents import read_documents
    >>> tokens = tokenise(read_documents([{"input_ids": [5, 6, 7]}, {"input_ids": [8, 9]}]), None, 4)
    >>> tokens.input_ids.tolist(), tokens.lengths.tolist()
    ([[5, 6, 7, 0], [8, 9, 0, 0]], [3, 2])
    """

    name: str
    input_ids: Tensor
    labels: Tensor
    lengths: NDArray[np.int64]
    document: NDArray[np.int64]
    source: NDArray[np.str_] | None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.input_ids)


def tokenise(documents: Documents, tokenizer: PreTrainedTokenizerBase | None, max_length: int) -> Tokens:
    """Cut documents into rows of tokens.

    A text gets the special tokens of the tokenizer, and one that ends it. Of a prompt and its completion every token is
    learned that holds a letter of the completion. Conversations go through the chat template, and what the template
    marks as said by the assistant is learned; where it marks nothing, all is, and a note says so. Tokens that were made
    already are taken as they are, without padding on either side. A document longer than ``max_length`` becomes several
    rows, and rows in which nothing is predicted are left out.

    Parameters
    ----------
    documents
        What ``read_documents`` returned.
    tokenizer
        Makes tokens of text, and has the token of padding. ``None``: there are tokens already, and 0 is padding.
    max_length
        The most tokens of a row, at least 2. Rows are as long as the longest one, rounded up to a multiple of 8.

    Returns
    -------
    Rows ``[rows, length]`` in the order of the documents.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If ``max_length`` is no whole number of at least 2, there is text but no tokenizer, conversations but no chat
        template or none that takes them, or nothing at all is learned.

    Examples
    --------
    >>> from unshap_transformers.documents import read_documents
    >>> documents = read_documents([{"input_ids": [1, 2, 3, 4, 5], "source": "a"}], "source")
    >>> tokens = tokenise(documents, None, max_length=3)
    >>> tokens.input_ids.tolist(), tokens.labels.tolist(), tokens.document.tolist()
    ([[1, 2, 3], [4, 5, 0]], [[1, 2, 3], [4, 5, -100]], [0, 0])
    """
    check_integer("max_length", max_length, 2)
    notes: tuple[str, ...] = ()
    if documents.input_ids is not None:
        labelled = list(_given(documents, tokenizer))
    elif tokenizer is None:
        raise InvalidValueError(f"{documents.name} has text, but there is no tokenizer: give it as processing_class.")
    elif documents.messages is not None:
        labelled, notes = _spoken(documents.messages, tokenizer, documents.name)
    else:
        assert documents.texts is not None
        labelled = _written(documents.texts, tokenizer)
    rows = [(at, *block) for at, one in enumerate(labelled) for block in _blocks(*one, max_length)]
    if not rows:
        raise InvalidValueError(_nothing(documents))
    document = np.array([at for at, _, _ in rows], dtype=np.int64)
    lengths = np.array([len(ids) for _, ids, _ in rows], dtype=np.int64)
    length = min(-(-int(lengths.max()) // _MULTIPLE) * _MULTIPLE, max_length)
    input_ids = np.full((len(rows), length), _padding(tokenizer), dtype=np.int64)
    labels = np.full((len(rows), length), IGNORED, dtype=np.int64)
    for row, (_, ids, targets) in enumerate(rows):
        input_ids[row, : len(ids)], labels[row, : len(ids)] = ids, targets
    return Tokens(
        documents.name,
        torch.from_numpy(input_ids),
        torch.from_numpy(labels),
        lengths,
        document,
        None if documents.sources is None else np.array(documents.sources, dtype=np.str_)[document],
        notes + _left_out(documents, document),
    )


def _written(texts: Sequence[Sequence[Piece]], tokenizer: PreTrainedTokenizerBase) -> list[_Labelled]:
    """Return the tokens of texts, which are those of the whole text, however many pieces it has."""
    whole = _encoded(["".join(text for text, _ in pieces) for pieces in texts], tokenizer)
    # The tokens of a beginning are those of the whole, up to the one that holds letters of what follows too.
    beginnings = _encoded(
        ["".join(text for text, _ in pieces[:end]) for pieces in texts for end in range(1, len(pieces))], tokenizer
    )
    found, beginning, end = [], iter(beginnings), tokenizer.eos_token_id
    for pieces, ids in zip(texts, whole, strict=True):
        ids = [] if not pieces else ids if end is None or ids[-1:] == [end] else [*ids, end]
        stops = [_shared(next(beginning), ids) for _ in pieces[1:]]
        labels = np.array(ids, dtype=np.int64)
        for (_, trained), start, stop in zip(pieces, [0, *stops], [*stops, len(ids)], strict=bool(pieces)):
            labels[start:stop] = ids[start:stop] if trained else IGNORED
        found.append((np.array(ids, dtype=np.int64), labels))
    return found


def _encoded(texts: list[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    # Not verbose: it would warn of long documents, which are cut later.
    ids: list[list[int]] = tokenizer(texts, return_attention_mask=False, verbose=False)["input_ids"] if texts else []
    return ids


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens two sequences begin with alike."""
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _spoken(
    conversations: Sequence[Sequence[Message]], tokenizer: PreTrainedTokenizerBase, name: str
) -> tuple[list[_Labelled], tuple[str, ...]]:
    """Return the tokens of conversations, and a note where all of them are learned."""
    try:
        template = tokenizer.get_chat_template()
    except ValueError as error:
        raise InvalidValueError(
            f"{name} has messages, but the tokenizer has no chat template, or several and no default: set "
            f"tokenizer.chat_template, or give text."
        ) from error
    told = bool(tokenizer.is_fast and _GENERATION.search(template))  # only fast ones know what letters a token holds
    found = []
    for at, turns in enumerate(conversations):
        encoding: Any = {"input_ids": [], "assistant_masks": []}
        if turns:
            try:
                encoding = tokenizer.apply_chat_template(
                    [dict(turn) for turn in turns],
                    return_dict=True,
                    return_assistant_tokens_mask=told,
                    tokenizer_kwargs={"verbose": False},
                )
            except Exception as error:  # whatever a template refuses, in words of its own
                raise InvalidValueError(
                    f"row {at} of {name} does not go through the chat template ({' '.join(str(error).split())}): "
                    f"correct it, or drop that row."
                ) from error
        ids = np.array(encoding["input_ids"], dtype=np.int64)
        learned = np.array(encoding["assistant_masks"], dtype=bool) if told else np.ones(len(ids), dtype=bool)
        found.append((ids, np.where(learned, ids, IGNORED)))
    return found, () if told else (f"{name}: {_ALL_LEARNED}",)


_ALL_LEARNED = (
    "the chat template does not tell what the assistant says ({% generation %}, with a fast tokenizer), so whole "
    "conversations are learned"
)


def _given(documents: Documents, tokenizer: PreTrainedTokenizerBase | None) -> Iterator[_Labelled]:
    """Yield tokens that were made already, without their padding."""
    assert documents.input_ids is not None
    nothing = [None] * len(documents)
    for given, labelled, mask in zip(
        documents.input_ids, documents.labels or nothing, documents.attention_mask or nothing, strict=True
    ):
        ids = np.array(given, dtype=np.int64)
        labels = ids if labelled is None else np.array(labelled, dtype=np.int64)
        kept: Any = np.array(mask, dtype=bool)
        if mask is None:
            kept = _unpadded(ids, None if labelled is None else labels, tokenizer)
        yield ids[kept], labels[kept]


def _unpadded(
    ids: NDArray[np.int64], labels: NDArray[np.int64] | None, tokenizer: PreTrainedTokenizerBase | None
) -> slice:
    """Return which tokens are no padding where no mask tells: the runs of its token at both ends are."""
    if tokenizer is None or tokenizer.pad_token_id is None:
        return slice(None)
    padding = ids == tokenizer.pad_token_id
    if labels is not None:
        padding &= labels == IGNORED
    start, end = (len(list(itertools.takewhile(bool, run))) for run in (padding, padding[::-1]))
    if labels is None and tokenizer.pad_token_id in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        start, end = max(start - 1, 0), max(end - 1, 0)  # the innermost begins or ends the document
    return slice(start, len(ids) - end)


def _blocks(ids: NDArray[np.int64], labels: NDArray[np.int64], max_length: int) -> Iterator[_Labelled]:
    for start in range(0, len(ids), max_length):
        block = slice(start, start + max_length)
        if (labels[block][1:] != IGNORED).any():
            yield ids[block], labels[block]


def _padding(tokenizer: PreTrainedTokenizerBase | None) -> int:
    """Return the token of padding: any would do, since nothing looks at it."""
    known = (None, None) if tokenizer is None else (tokenizer.pad_token_id, tokenizer.eos_token_id)
    return next((int(one) for one in known if one is not None), 0)


def _left_out(documents: Documents, document: NDArray[np.int64]) -> tuple[str, ...]:
    """Return a note if there are documents without a row, and sources without a document."""
    lacking = np.setdiff1d(np.arange(len(documents)), document)
    if len(lacking) == 0:
        return ()
    note = (
        f"{documents.name}: {len(lacking)} of {len(documents)} documents are empty or have nothing to learn, and are "
        f"left out (the first is number {lacking[0]}, counted from 0)"
    )
    if documents.sources is not None:
        gone = sorted(set(documents.sources) - {documents.sources[at] for at in document})
        note += f"; nothing is left of {', '.join(map(repr, gone))}" if gone else ""
    return (note,)


def _nothing(documents: Documents) -> str:
    if documents.texts is not None and not any(documents.texts):
        return f"all {len(documents)} documents of {documents.name} are empty: give text."
    if documents.labels is not None:
        return (
            f"the labels of {documents.name} are -100 throughout, so that nothing is learned: give those of training."
        )
    return (
        f"{documents.name} has nothing to learn in any of its {len(documents)} documents: give some of two tokens or "
        f"more, and conversations in which the assistant speaks."
    )
