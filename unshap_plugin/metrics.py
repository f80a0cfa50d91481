"""Performance measures on stacked outputs, higher is better.

A metric scores many models at once: ``score(outputs [m, rows, ...], targets [rows, ...]) -> [m]``, or ``[m, t]`` when
it measures ``t`` things (several metrics, or one number per test point).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from unshap_plugin.errors import InvalidTypeError, InvalidValueError, UnknownNameError
from unshap_plugin.losses import Loss, cross_entropy
from unshap_plugin.scoring.measures import accuracy, log_likelihood, neg_loss, neg_mean_squared_error, r2
from unshap_plugin.scoring.scorers import Answers, is_scorer, named_scorer, score_with

__all__ = ["METRICS", "Metric", "MetricLike", "default_metric", "likelihoods", "look_up_with", "resolve_metric"]

Score: TypeAlias = Callable[..., Tensor]
MetricLike: TypeAlias = "str | Metric | Callable[..., Any] | Mapping[str, MetricLike]"


@dataclass(frozen=True)
class Metric:
    """A named performance measure on stacked outputs.

    Parameters
    ----------
    name
        What users and results call it.
    score
        ``(outputs [m, rows, ...], targets [rows, ...]) -> [m]`` or ``[m, t]``, higher is better. An argument ``loss``
        is given the training loss, ``(outputs, targets) -> [rows]``.
    parts
        The names of the ``t`` columns, where they have names.
    task
        ``"classification"`` or ``"regression"``: what it is for; ``None``: for both. Where it is for classification,
        ``score`` is given logits, whatever the model returns (see ``to_logits``); else the outputs as they are.
    default
        Whether it is the utility where none is named: of each task, and of none, one built-in metric is.

    Raises
    ------
    InvalidTypeError, UnknownNameError
        If the score cannot be called, or there is no such task.

    Examples
    --------
    >>> def spread(outputs, targets):
    ...     return -(outputs.flatten(1) - targets).abs().amax(dim=1)
    >>> worst = Metric("worst", spread, task="regression")
    >>> worst.score(torch.tensor([[1.0, 3.0], [2.0, 2.0]]), torch.tensor([1.0, 2.0]))
    tensor([-1., -1.])
    """

    name: str
    score: Score
    parts: tuple[str, ...] = ()
    task: Literal["classification", "regression"] | None = None
    default: bool = False

    def __post_init__(self) -> None:
        if not callable(self.score):
            raise InvalidTypeError(
                f"the score of metric {self.name!r} is a {type(self.score).__name__}, but a callable "
                f"(outputs, targets) -> [m] is needed."
            )
        if self.task not in (None, "classification", "regression"):
            raise UnknownNameError("task", self.task, ["classification", "regression"])


#: The built-in metrics. To add one: its function, and a line here.
METRICS: tuple[Metric, ...] = (
    Metric("log_likelihood", log_likelihood, task="classification", default=True),
    Metric("accuracy", accuracy, task="classification"),
    Metric("neg_mean_squared_error", neg_mean_squared_error, task="regression", default=True),
    Metric("r2", r2, task="regression"),
    Metric("neg_loss", neg_loss, default=True),
)

_find: Callable[[str], Metric]


def look_up_with(find: Callable[[str], Metric]) -> None:
    """Say how metrics are found by name: the plugins, which offer some, lie above this module, and say so.

    Parameters
    ----------
    find
        Returns the metric of a name, or raises ``UnknownNameError``.

    Examples
    --------
    >>> from unshap_plugin.plugins.registry import find_metric
    >>> look_up_with(lambda name, find=find_metric: find(name).offer)  # as it is
    """
    global _find
    _find = find


def default_metric(answers: Answers) -> Metric:
    """Return the metric that is the utility where none is named, for models with such outputs.

    The accuracy where a classifier makes choices, of which there is no likelihood; else the default of the task.

    Parameters
    ----------
    answers
        What the outputs are.

    Examples
    --------
    >>> [default_metric(Answers(task)).name for task in ("classification", "regression", None)]
    ['log_likelihood', 'neg_mean_squared_error', 'neg_loss']
    """
    if answers.task == "classification" and not answers.probable:
        return next(one for one in METRICS if one.score is accuracy)
    return next(one for one in METRICS if one.default and one.task == answers.task)


def resolve_metric(metric: MetricLike | None, loss: Loss, answers: Answers | None = None) -> Metric:
    """Return a metric that needs nothing but outputs and targets.

    Parameters
    ----------
    metric
        A name, also of a plugin's metric or of a scikit-learn scorer (``"f1_macro"``); a ``Metric``; a callable
        ``(outputs, targets) -> number or [t]``; a scikit-learn scorer; or a dict of these. ``None``: the default.
    loss
        The training loss, for those that want it.
    answers
        What the outputs are, which the scorers of scikit-learn need to know.

    Raises
    ------
    UnknownNameError
        If there is no metric of that name.
    InvalidTypeError, InvalidValueError
        If it is none of the above.

    Examples
    --------
    >>> from unshap_plugin.losses import cross_entropy
    >>> resolve_metric({"hits": "accuracy", "f1": "f1_macro"}, cross_entropy, Answers("classification")).parts
    ('hits', 'f1')
    """
    answers = answers or Answers()
    metric = default_metric(answers) if metric is None else metric
    if isinstance(metric, Metric):
        return _fitted(metric, loss, answers)
    if isinstance(metric, str):
        try:
            return _fitted(_find(metric), loss, answers)
        except UnknownNameError:
            scorer = named_scorer(metric)
            if scorer is None:
                raise
            return Metric(metric, score_with(scorer, answers), task=answers.task)
    if isinstance(metric, Mapping):
        if not metric:
            raise InvalidValueError("metric is an empty dict, but at least one metric is needed.")
        several = {str(name): resolve_metric(one, loss, answers) for name, one in metric.items()}
        return Metric("+".join(several), _Several(several), tuple(several))
    if is_scorer(metric):
        return Metric(getattr(metric, "__name__", repr(metric)), score_with(metric, answers), task=answers.task)
    if callable(metric):
        return Metric(getattr(metric, "__name__", type(metric).__name__), _OneByOne(metric))
    raise InvalidTypeError(
        f"metric is a {type(metric).__name__}, but a name ({', '.join(one.name for one in METRICS)}), a callable "
        f"(outputs, targets) -> number, a scorer of scikit-learn, or a dict of these is needed."
    )


def _fitted(metric: Metric, loss: Loss, answers: Answers) -> Metric:
    """Return the metric with the loss that it asks for, and of outputs as they are."""
    metric = _given_loss(metric, loss)
    if metric.task != "classification" or answers.outputs == "logits":
        return metric
    return replace(metric, score=_OfAnswers(metric, answers))


@dataclass(frozen=True)
class _OfAnswers:
    """The scores of a metric that is one of logits, for outputs that may be others."""

    metric: Metric
    answers: Answers

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        likely = self.metric.score is log_likelihood
        scores = self.metric.score(self.answers.logits(outputs, self.metric.name, values=not likely), targets)
        if self.answers.outputs == "values" and likely:
            raise InvalidValueError(
                f"metric {self.metric.name!r} needs probabilities, but the outputs of the model were taken for values: "
                f"use 'accuracy' or 'neg_mean_squared_error', or say outputs='probabilities' or 'logits'."
            )
        return scores


def likelihoods(metric: Metric) -> list[str]:
    """Return the names of what a metric measures that are likelihoods of classes, which are as low as one likes.

    Parameters
    ----------
    metric
        One that ``resolve_metric`` returned.

    Examples
    --------
    >>> from unshap_plugin.losses import cross_entropy
    >>> likelihoods(resolve_metric({"hits": "accuracy", "ll": "log_likelihood"}, cross_entropy))
    ['ll']
    """
    if isinstance(metric.score, _Several):
        return [name for name, one in metric.score.metrics.items() if likelihoods(one)]
    if isinstance(metric.score, _OfAnswers):
        return likelihoods(metric.score.metric)
    score = metric.score
    by_loss = (
        isinstance(score, functools.partial) and score.func is neg_loss and score.keywords["loss"] is cross_entropy
    )
    return [metric.name] if score is log_likelihood or by_loss or metric.name == "neg_log_loss" else []


def _given_loss(metric: Metric, loss: Loss) -> Metric:
    """Return the metric with the loss that it asks for."""
    try:
        wanted = "loss" in inspect.signature(metric.score).parameters
    except (TypeError, ValueError):  # no signature can be read
        wanted = False
    if not wanted:
        return metric
    return replace(metric, score=functools.partial(metric.score, loss=loss))


@dataclass(frozen=True)
class _Several:
    """The score of several metrics, a column each."""

    metrics: Mapping[str, Metric]

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        columns = []
        for name, metric in self.metrics.items():
            column = metric.score(outputs, targets)
            if column.ndim != 1:
                raise InvalidValueError(
                    f"metric {name!r} gave shape {list(column.shape[1:])} per model, but in a dict each metric must "
                    f"give one number: pass a vector-valued metric on its own."
                )
            columns.append(column.double())
        return torch.stack(columns, dim=1)


@dataclass(frozen=True)
class _OneByOne:
    """The score of a callable that takes one model at a time."""

    metric: Callable[[Tensor, Tensor], Any]

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        each = [self.metric(row, targets) for row in outputs]
        scores = [torch.as_tensor(one, dtype=torch.float64, device=outputs.device) for one in each]
        if len({one.shape for one in scores}) != 1:
            raise InvalidValueError("the metric gave different shapes for different models, but one shape is needed.")
        return torch.stack(scores)
