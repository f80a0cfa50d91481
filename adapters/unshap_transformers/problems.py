"""The problem of valuation below the values of sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor, nn

from unshap_plugin import ValuationProblem
from unshap_plugin.errors import InvalidTypeError, InvalidValueError
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_transformers.adapters import initial_state
from unshap_transformers.checks import check_length
from unshap_transformers.classifiers import check_kind, classified
from unshap_transformers.language import language
from unshap_transformers.parts import Asked
from unshap_transformers.training import computing_of, recipe_of

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
    label_column: str | None = None,
    eval_dataset: Any,
    reference_dataset: Any = None,
    access: Literal["full", "partial"] = "full",
    args: Any = None,
    initial_adapter: Any = None,
    metric: str = "log_likelihood",
    max_length: int | None = None,
    trained_rows: int | None = None,
) -> ModuleProblem:
    """Return the problem what each source of a language model's or a text classifier's training text was worth to it.

    Games, audits, tuning and stores take it as any other. Its rows are blocks of tokens, or the texts of a classifier.

    Parameters
    ----------
    model
        A causal language model or a classifier of text (``AutoModelForSequenceClassification``) of transformers, or a
        ``PeftModel`` of one with the adapter of LoRA that was trained on all sources. It is left alone: a copy of what
        was trained is worked with, which shares the memory of the rest.
    processing_class
        Its tokenizer; ``None`` where all data are ``input_ids``.
    train_dataset
        What was trained on, in any form that ``read_documents`` takes, for classifiers ``read_labelled``; with partial
        access, what of it is at hand.
    source_column
        The column that says of which source a document is; a folder says it by itself. ``None``, for classifiers:
        every row is one.
    label_column
        For classifiers: the column of the labels, which are names in ``config.label2id`` or numbers.
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
        unlearning. Its ``activation_checkpointing`` (or
        ``gradient_checkpointing``) and ``bf16`` are followed in both.
    initial_adapter
        What training started from: a model, a state dict, or the folder of an adapter. ``None``: the given adapter
        with its second matrices at zero, as LoRA starts, which is the base model: that of the coalition of nobody.
    metric
        ``log_likelihood`` (of a token, in nats), ``neg_perplexity``, ``token_accuracy``; or ``choice_accuracy`` of
        evaluation sets of questions, with ``prompt``, ``choices`` and ``answer``, by the likelihood of the choices. Of
        classifiers ``log_likelihood`` (of a label) or ``accuracy``.
    max_length
        Tokens of a row, by default as many as the model reads, up to 1,024. A document of a language model is cut into
        rows, and a text of a classifier is cut off.
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
            f"model is a {type(model).__name__}, but a causal language model or a classifier of text of transformers, "
            f"or a PeftModel of one, is needed."
        )
    check_kind(model, label_column)
    asked = Asked(
        processing_class=processing_class,
        train_dataset=train_dataset,
        source_column=source_column,
        eval_dataset=eval_dataset,
        reference_dataset=reference_dataset,
        split=access == "partial",
        metric=metric,
        max_length=_length(model, max_length, processing_class),
        computing=computing_of(args),
    )
    parts = language(model, asked) if label_column is None else classified(model, label_column, asked)
    start = initial_state(model, initial_adapter)
    problem = ValuationProblem(
        parts.module,
        parts.train,
        parts.test,
        loss=parts.loss,
        metric=parts.metric,
        groups=parts.groups,
        reference=parts.reference,
        access=access,
        fit=None if args is None else recipe_of(args, _checked_start(start)),
        trained_rows=trained_rows,
    )
    assert isinstance(problem, ModuleProblem)
    problem.notes = (*problem.notes, *parts.notes)
    return problem


def _length(model: nn.Module, max_length: int | None, tokenizer: PreTrainedTokenizerBase | None) -> int:
    config: Any = getattr(model, "config", None)
    positions = getattr(config, "max_position_embeddings", None)
    if max_length is None:
        return min(positions or _LENGTH, getattr(tokenizer, "model_max_length", _LENGTH), _LENGTH)
    check_length(max_length, positions)
    return max_length


def _checked_start(start: dict[str, Tensor] | None) -> dict[str, Tensor]:
    if start is None:
        raise InvalidValueError(
            "the model is no PeftModel, so that nothing says what its parameters were before the training of args: "
            "give the model that it started from as initial_adapter."
        )
    return {f"model.{name}": p for name, p in start.items()}
