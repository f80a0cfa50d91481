"""Text classifiers of transformers as modules, and what a problem of one is made of."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unshap_plugin.errors import InvalidTypeError, InvalidValueError, UnknownNameError
from unshap_plugin.metrics import Metric
from unshap_plugin.numerics.filling import FULL
from unshap_plugin.scoring.measures import accuracy, log_likelihood
from unshap_transformers.adapters import base_of
from unshap_transformers.checks import check_vocabulary, overlap
from unshap_transformers.encoding import Encoded, encode
from unshap_transformers.evaluation import EvaluationSet, halves, named_sets
from unshap_transformers.labelled import class_numbers, read_labelled
from unshap_transformers.model import SharingModule
from unshap_transformers.parts import Asked, Pair, Parts

__all__ = ["METRICS", "TextClassifier", "check_kind", "classified"]

METRICS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"log_likelihood": log_likelihood, "accuracy": accuracy}
_KIND = "ForSequenceClassification"


class TextClassifier(SharingModule):
    """A classifier of text whose outputs are the scores of the classes, ``[rows, classes]``.

    Parameters
    ----------
    model
        A ``...ForSequenceClassification`` of transformers, or a ``PeftModel`` of one.
    length, checkpointing, bf16
        See ``SharingModule``.
    """

    def __init__(self, model: nn.Module, length: int, *, checkpointing: bool = False, bf16: bool = False) -> None:
        super().__init__(model, length, checkpointing=checkpointing, bf16=bf16)
        self.rows_multiple = FULL  # the head has one product a row
        self._quiet = {"use_cache": False} if _takes(model, "use_cache") else {}

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Return the outputs ``[rows, classes]``.

        Parameters
        ----------
        input_ids
            Tokens, long ``[rows, length]``, filled up on the right.
        attention_mask
            0 where they are filled up, else 1.
        token_type_ids
            Of which part of the row they are.
        """
        parts = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        with self.precision(input_ids):
            scores: Tensor = self.model(input_ids, attention_mask=attention_mask, **parts, **self._quiet).logits
        return scores.float()


def check_kind(model: nn.Module, label_column: str | None) -> None:
    """Raise unless a model is a classifier where there are labels, and none where there are none.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If it is the other one, does not choose one class of several, or is not told what padding is.
    """
    base = base_of(model)
    kind = next((one.__name__ for one in type(base).__mro__ if one.__name__.endswith(_KIND)), None)
    if label_column is None:
        if kind is not None:
            raise InvalidTypeError(
                f"model is a {kind}, a classifier of text: name the column of the labels as label_column."
            )
        return
    if kind is None:
        raise InvalidTypeError(
            f"model is a {type(base).__name__}, which gives no scores of classes: leave label_column out, or load the "
            f"classifier with AutoModelForSequenceClassification."
        )
    config: Any = base.config
    if config.problem_type in ("regression", "multi_label_classification") or config.num_labels < 2:
        raise InvalidValueError(
            f"the model does not choose one class of several (problem_type={config.problem_type!r}, num_labels="
            f"{config.num_labels}): give it to ValuationProblem, with the loss and the metric that are right for it."
        )
    if _padding(base) is None:
        raise InvalidValueError(
            "config.pad_token_id of the model is None, by which a classifier finds the last token of a row: set it to "
            "what it was in training, such as tokenizer.pad_token_id."
        )


def classified(model: nn.Module, label_column: str, asked: Asked) -> Parts:
    """Return what the problem of a classifier is made of; see ``source_problem``.

    Parameters
    ----------
    model
        A classifier of text of transformers, or of PEFT around one.
    label_column
        The column of the labels.
    asked
        The rest.

    Raises
    ------
    InvalidTypeError, InvalidValueError, UnknownNameError
        If something cannot be used.
    """
    if asked.metric not in METRICS:
        raise UnknownNameError("metric", asked.metric, METRICS)
    base = base_of(model)
    config: Any = base.config
    padding = _padding(base)
    assert padding is not None  # see check_kind

    def read(data: Any, name: str, source: str | None = None) -> tuple[Encoded, Tensor]:
        texts = read_labelled(data, label_column, source, name=name)
        known = {str(one): int(number) for one, number in (config.label2id or {}).items()}
        labels = class_numbers(texts.labels, known, config.num_labels, texts.name)
        how = asked.processing_class, asked.max_length
        encoded = encode(texts, *how, padding=padding, parts=_takes(base, "token_type_ids"))
        check_vocabulary(encoded.tokens, model.get_input_embeddings().num_embeddings)  # type: ignore[operator]
        return encoded, torch.from_numpy(labels)

    train = read(asked.train_dataset, "train_dataset", asked.source_column)
    _check_several(train[0])
    sets = named_sets(asked.eval_dataset)
    tested = [read(data, called) for _, data, called in sets]
    others = [] if asked.reference_dataset is None else [read(asked.reference_dataset, "reference_dataset")]
    everything = [train, *tested, *others]
    length = max(one.tokens.input_ids.shape[1] for one, _ in everything)

    def pair(parts: Sequence[tuple[Encoded, Tensor]]) -> Pair:
        rows = [one.rows(length, padding) for one, _ in parts]
        return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}, torch.cat([y for _, y in parts])

    test, reference = pair(tested), pair(others) if others else None
    sizes = [len(y) for _, y in tested]
    notes = [note for one, _ in everything for note in one.tokens.notes]
    notes += [note for one, _ in tested for note in overlap(train[0].tokens, one.tokens)]
    if asked.split and reference is None:
        test, reference, sizes, note = _split(test, [one for one, _ in tested])
        notes.append(note)
    return Parts(
        TextClassifier(model, length, **asked.computing),
        pair([train]),
        test,
        reference,
        "cross_entropy",
        _metric(asked.metric, [name for name, _, _ in sets if name is not None], sizes),
        train[0].tokens.source,
        notes,
    )


def _metric(name: str, sets: Sequence[str], sizes: Sequence[int]) -> Metric:
    if not sets:
        return Metric(name, METRICS[name], task="classification")
    return Metric(name, _OfEach(METRICS[name], sizes), tuple(sets), task="classification")


@dataclass(frozen=True)
class _OfEach:
    """A measure of each of several evaluation sets, which follow each other, a column each."""

    measure: Callable[[Tensor, Tensor], Tensor]
    sizes: Sequence[int]

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        ends = list(itertools.accumulate(self.sizes))
        return torch.stack(
            [
                self.measure(outputs[:, end - size : end], targets[end - size : end]).double()
                for end, size in zip(ends, self.sizes, strict=True)
            ],
            dim=1,
        )


def _takes(model: nn.Module, name: str) -> bool:
    return name in inspect.signature(base_of(model).forward).parameters


def _padding(base: nn.Module) -> int | None:
    config: Any = base.config
    found: int | None = config.get_text_config().pad_token_id
    return found


def _check_several(train: Encoded) -> None:
    source, name = train.tokens.source, train.tokens.name
    if source is not None and len(set(source)) == 1:
        raise InvalidValueError(
            f"all rows of {name} are of the source {str(source[0])!r}, but values compare at least two: give rows of "
            f"another one, or leave source_column out, and every row is one."
        )
    if len(train.tokens) == 1:
        raise InvalidValueError(f"{name} has a single row, but values compare at least two: give more.")


def _split(test: Pair, sets: Sequence[Encoded]) -> tuple[Pair, Pair, list[int], str]:
    """Return every second row of each evaluation set, the others for reference, how many are left, and a note."""
    masks = [halves(EvaluationSet.of_documents(one.tokens)) for one in sets]
    tested, others = (torch.from_numpy(np.concatenate(part)) for part in zip(*masks, strict=True))
    note = (
        f"there is no reference_dataset: every second row of eval_dataset, {int(others.sum())} in all, is taken for "
        f"it, and the other {int(tested.sum())} rows are evaluated"
    )

    def of(rows: Tensor) -> Pair:
        return {name: part[rows] for name, part in test[0].items()}, test[1][rows]

    return of(tested), of(others), [int(one.sum()) for one, _ in masks], note
