"""The problem of valuation below the values of sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unshap_plugin import ValuationProblem
from unshap_plugin.errors import InvalidTypeError, InvalidValueError, UnknownNameError
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_transformers.adapters import initial_state
from unshap_transformers.checks import check_length, check_sources, check_vocabulary, overlap
from unshap_transformers.documents import read_documents
from unshap_transformers.evaluation import EvaluationSet, evaluation_sets, halves
from unshap_transformers.metrics import METRICS, token_metric
from unshap_transformers.model import CausalLM, TokenLoss
from unshap_transformers.tokens import IGNORED, Tokens, tokenise
from unshap_transformers.training import recipe_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["source_problem"]

#: The most tokens of a row, where nothing else is said and the model can read more.
_LENGTH = 1024


def source_problem(
    model: nn.Module,
    *,
    processing_class: PreTrainedTokenizerBase | None = None,
    train_dataset: Any,
    source_column: str | None = None,
    eval_dataset: Any,
    reference_dataset: Any = None,
    access: Literal["full", "partial"] = "full",
    args: Any = None,
    initial_adapter: Any = None,
    metric: str = "log_likelihood",
    max_length: int | None = None,
    trained_rows: int | None = None,
) -> ModuleProblem:
    """Return the problem what each source of a language model's training text was worth to it.

    Games, audits, tuning and stores take it as any other. Its rows are blocks of tokens.

    Parameters
    ----------
    model
        A causal language model of transformers, or a ``PeftModel`` with the adapter of LoRA that was trained on all
        sources. It is left alone: a copy of what was trained is worked with, which shares the memory of the rest.
    processing_class
        Its tokenizer; ``None`` where all data are ``input_ids``.
    train_dataset
        What was trained on, in any form that ``read_documents`` takes; with partial access, what of it is at hand.
    source_column
        The column that says of which source a document is; a folder says it by itself.
    eval_dataset
        The text on which utility is measured, in the same forms, or a dict of several by name (a buyer each): then
        every source has a value for each.
    reference_dataset
        Text that was not trained on, which some methods look at. With partial access and without one, every second
        document of the evaluation sets is taken for it, and the others are evaluated.
    access
        ``"full"``: ``train_dataset`` holds all that was trained on. ``"partial"``: there was more.
    args
        The ``TrainingArguments`` of the training, or a ``Recipe``: for retraining, and for the size of the steps of
        unlearning. Gradient checkpointing, which changes no number, is not followed.
    initial_adapter
        What training started from: a model, a state dict, or the folder of an adapter. ``None``: the given adapter
        with its second matrices at zero, as LoRA starts, which is the base model: that of the coalition of nobody.
    metric
        ``log_likelihood`` (of a token, in nats), ``neg_perplexity``, ``token_accuracy``; or ``choice_accuracy`` of
        evaluation sets of questions, with ``prompt``, ``choices`` and ``answer``, by the likelihood of the choices.
    max_length
        Tokens of a row, by default as many as the model reads, up to 1,024.
    trained_rows
        How many rows the model was trained on, with partial access.

    Raises
    ------
    InvalidTypeError, InvalidValueError, UnknownNameError
        If something cannot be used, before any work.

    Examples
    --------
    >>> from unshap_transformers.example import stdlib  # doctest: +SKIP
    >>> example = stdlib(rows=10, base_rows=400)  # doctest: +SKIP
    >>> source_problem(example.model, **example.data()).n_players  # doctest: +SKIP
    6
    """
    if not isinstance(model, nn.Module) or not callable(getattr(model, "get_input_embeddings", None)):
        raise InvalidTypeError(
            f"model is a {type(model).__name__}, but a causal language model of transformers, or a PeftModel of one, "
            f"is needed."
        )
    if metric not in METRICS:
        raise UnknownNameError("metric", metric, METRICS)
    max_length = _length(model, max_length)
    train = tokenise(read_documents(train_dataset, source_column), processing_class, max_length)
    check_sources(train)
    choices = metric == "choice_accuracy"
    sets = evaluation_sets(eval_dataset, processing_class, max_length, choices=choices)
    reference = None
    if reference_dataset is not None:
        reference = tokenise(read_documents(reference_dataset, name="reference_dataset"), processing_class, max_length)
    evaluated = [one.tokens for one in sets.values()]
    everything = [train, *evaluated, *([] if reference is None else [reference])]
    for tokens in everything:
        check_vocabulary(tokens, model.get_input_embeddings().num_embeddings)
    length = max(tokens.input_ids.shape[1] for tokens in everything)
    module = CausalLM(model, length)
    start = initial_state(model, initial_adapter)
    fit = None if args is None else recipe_of(args, _checked_start(start))
    test, others, notes = _test(sets, length, split=access == "partial" and reference is None)
    if reference is not None:
        others = _rows(reference, length), torch.zeros(len(reference), 3, dtype=torch.long)
    learned = (train.labels[:, 1:] != IGNORED).sum(dim=1)
    problem = ValuationProblem(
        module,
        (_rows(train, length), torch.zeros(len(train), 3, dtype=torch.long)),
        test,
        loss=TokenLoss(float(learned.double().mean())),
        metric=token_metric(metric, None if None in sets else [str(name) for name in sets]),
        groups=train.source,
        reference=others,
        access=access,
        fit=fit,
        trained_rows=trained_rows,
    )
    assert isinstance(problem, ModuleProblem)
    said = [note for tokens in everything for note in tokens.notes]
    said += [note for tokens in evaluated for note in overlap(train, tokens)]
    problem.notes = (*problem.notes, *said, *notes)
    return problem


def _length(model: nn.Module, max_length: int | None) -> int:
    config: Any = getattr(model, "config", None)
    positions = getattr(config, "max_position_embeddings", None)
    if max_length is None:
        return min(positions or _LENGTH, _LENGTH)
    check_length(max_length, positions)
    return max_length


def _checked_start(start: dict[str, Tensor] | None) -> dict[str, Tensor]:
    if start is None:
        raise InvalidValueError(
            "the model is no PeftModel, so that nothing says what its parameters were before the training of args: "
            "give the model that it started from as initial_adapter."
        )
    return {f"model.{name}": p for name, p in start.items()}


def _rows(tokens: Tokens, length: int) -> dict[str, Tensor]:
    """Return rows as the module takes them, filled up to one length."""
    missing = length - tokens.input_ids.shape[1]
    return {
        "input_ids": F.pad(tokens.input_ids, (0, missing), value=int(tokens.input_ids[0, 0])),
        "labels": F.pad(tokens.labels, (0, missing), value=IGNORED),
    }


_Pair = tuple[dict[str, Tensor], Tensor]


def _test(sets: dict[str | None, EvaluationSet], length: int, *, split: bool) -> tuple[_Pair, _Pair | None, list[str]]:
    """Return the test rows, those of the reference set where it is split off, and what was done."""
    rows = [_rows(one.tokens, length) for one in sets.values()]
    x = {name: torch.cat([part[name] for part in rows]) for name in rows[0]}
    y = torch.cat([one.targets(number) for number, one in enumerate(sets.values())])
    if not split:
        return (x, y), None, []
    tested, others = (torch.from_numpy(np.concatenate(part)) for part in zip(*map(halves, sets.values()), strict=True))
    note = (
        f"there is no reference_dataset: every second document or question of eval_dataset, {int(others.sum())} rows "
        f"in all, is taken for it, and the other {int(tested.sum())} rows are evaluated"
    )
    reference = {name: part[others] for name, part in x.items()}, torch.zeros_like(y[others])
    return ({name: part[tested] for name, part in x.items()}, y[tested]), reference, [note]
