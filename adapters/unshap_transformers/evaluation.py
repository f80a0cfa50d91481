"""Evaluation sets, one or several, as rows that know of which set they are, and what question they answer."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unshap_plugin.errors import InvalidValueError, in_short
from unshap_transformers.documents import Documents, columns_in, read_documents
from unshap_transformers.files import read_table
from unshap_transformers.tokens import IGNORED, Tokens, tokenise

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["EvaluationSet", "evaluation_sets", "halves", "named_sets"]

_QUESTION = ("prompt", "choices", "answer")


@dataclass(frozen=True, eq=False)
class EvaluationSet:
    """Rows of one evaluation set.

    Parameters
    ----------
    tokens
        The rows ``[rows, length]``.
    unit
        The number of the document or of the question that each row is of, int64 ``[rows]``.
    right
        Whether it is the right answer to a question, bool ``[rows]``; of a document all are.
    """

    tokens: Tokens
    unit: NDArray[np.int64]
    right: NDArray[np.bool_]

    @classmethod
    def of_documents(cls, tokens: Tokens) -> EvaluationSet:
        """Return the set of rows of documents, ``[rows, length]``."""
        return cls(tokens, tokens.document, np.ones(len(tokens), dtype=bool))

    def targets(self, number: int) -> Tensor:
        """Return the targets of its rows as the metrics take them, long ``[rows, 3]``, if it is the set ``number``."""
        columns = np.stack([np.full(len(self.unit), number), self.unit, self.right], axis=1)
        return torch.from_numpy(columns.astype(np.int64))


def evaluation_sets(
    data: Any, tokenizer: PreTrainedTokenizerBase | None, max_length: int, *, choices: bool
) -> dict[str | None, EvaluationSet]:
    """Return evaluation sets by their names, or one under ``None``.

    Parameters
    ----------
    data
        What ``read_documents`` takes, or a dict of such by name.
    tokenizer, max_length
        See ``tokenise``.
    choices
        Whether they are questions: rows with a ``prompt``, a list of ``choices``, and the ``answer``, which is the
        number of the right one, from 0, or its text.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If they cannot be used.
    """
    return {name: _read(one, tokenizer, max_length, choices, called) for name, one, called in named_sets(data)}


def named_sets(data: Any) -> list[tuple[str | None, Any, str]]:
    """Return the name of each evaluation set, ``None`` of a single one, with its data and what messages call it.

    Raises
    ------
    InvalidValueError
        If there is none.

    Examples
    --------
    >>> named_sets("eval.jsonl"), named_sets({"buyer a": "a.jsonl"})
    ([(None, 'eval.jsonl', 'eval_dataset')], [('buyer a', 'a.jsonl', "eval_dataset['buyer a']")])
    """
    if not isinstance(data, Mapping):
        return [(None, data, "eval_dataset")]
    if not data:
        raise InvalidValueError("eval_dataset is an empty dict: give at least one set.")
    return [(str(name), one, f"eval_dataset[{name!r}]") for name, one in data.items()]


def halves(one: EvaluationSet) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which rows are of every second document or question, and which of the others are right, ``[rows]`` each.

    Raises
    ------
    InvalidValueError
        If there is only one.
    """
    order = np.unique(one.unit, return_inverse=True)[1]
    if order.max() == 0:
        raise InvalidValueError(
            f"with access='partial' half of {one.tokens.name} is taken for the reference set, but there is a single "
            f"document: give more, or a reference_dataset."
        )
    return order % 2 == 0, (order % 2 == 1) & one.right


def _read(
    data: Any, tokenizer: PreTrainedTokenizerBase | None, max_length: int, choices: bool, name: str
) -> EvaluationSet:
    if not choices:
        return EvaluationSet.of_documents(tokenise(read_documents(data, name=name), tokenizer, max_length))
    questions = list(_questions(data, name))
    texts = [
        [(prompt, False), (_continued(prompt, choice), True)] for prompt, options, _ in questions for choice in options
    ]
    unit = [number for number, (_, options, _) in enumerate(questions) for _ in options]
    right = [place == answer for _, options, answer in questions for place in range(len(options))]
    documents = Documents(name, texts=texts)
    tokens = tokenise(documents, tokenizer, max_length)
    # A document that is cut would be answered without the beginning of its prompt.
    if len(tokens) != len(texts) or tokenise(documents, tokenizer, sys.maxsize).lengths.max() > max_length:
        raise InvalidValueError(
            f"{name} has a question that is longer than max_length, {max_length} tokens, with one of its choices: give "
            f"a larger max_length, or drop that question."
        )
    if tokenizer is not None and tokenizer.eos_token_id is not None:  # only the answer itself counts
        last = torch.arange(len(tokens)), torch.from_numpy(tokens.lengths) - 1
        ends = tokens.input_ids[last] == tokenizer.eos_token_id
        tokens.labels[last] = torch.where(ends, IGNORED, tokens.labels[last])
    return EvaluationSet(tokens, np.array(unit), np.array(right))


def _questions(data: Any, name: str) -> Iterator[tuple[str, list[str], int]]:
    """Yield the prompt, the choices and the number of the right one of each question."""
    table = (
        read_table(Path(data), name) if isinstance(data, str | os.PathLike) else columns_in(data, {*_QUESTION}, name)
    )
    lacking = [column for column in _QUESTION if column not in table]
    if lacking:
        raise InvalidValueError(
            f"{name} has no column {lacking[0]!r}, but metric 'choice_accuracy' is of questions: give rows with "
            f"prompt, choices and answer, or choose another metric."
        )
    for at, (prompt, given, answer) in enumerate(zip(*(table[column] for column in _QUESTION), strict=True)):
        choices = given.tolist() if hasattr(given, "tolist") else given
        texts = (
            isinstance(choices, list | tuple) and len(choices) > 1 and all(isinstance(c, str) and c for c in choices)
        )
        if not (isinstance(prompt, str) and prompt and texts):
            raise InvalidValueError(
                f"row {at} of {name} has the prompt {in_short(prompt)} and the choices {in_short(choices)}, but text "
                f"and a list of two texts or more are needed: convert them."
            )
        number = choices.index(answer) if answer in choices else answer
        if not isinstance(number, Integral) or not 0 <= int(number) < len(choices):
            raise InvalidValueError(
                f"row {at} of {name} has the answer {in_short(answer)}, which is none of its {len(choices)} choices: "
                f"give the number of the right one, from 0, or its text."
            )
        yield prompt, list(choices), int(number)


def _continued(prompt: str, choice: str) -> str:
    """Return a choice as it follows its prompt: after a space, unless there is one."""
    return choice if prompt[-1].isspace() or choice[0].isspace() else f" {choice}"
