"""Performance measures on stacked outputs, higher is better.

A metric scores many models at once: ``score(outputs [m, rows, ...], targets [rows, ...]) -> [m]``, or ``[m, t]`` when
it measures ``t`` things (several metrics, or one number per test point).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from unshap_plugin.errors import InvalidTypeError, InvalidValueError, UnknownNameError
from unshap_plugin.losses import Loss

__all__ = ["METRICS", "Metric", "MetricLike", "default_metric", "resolve_metric"]

Score: TypeAlias = Callable[[Tensor, Tensor], Tensor]
MetricLike: TypeAlias = "str | Metric | Callable[[Tensor, Tensor], Any] | Mapping[str, MetricLike]"


@dataclass(frozen=True)
class Metric:
    """A named performance measure on stacked outputs.

    Parameters
    ----------
    name
        What results call it.
    score
        ``(outputs [m, rows, ...], targets [rows, ...]) -> [m]`` or ``[m, t]``, higher is better.
    parts
        The names of the ``t`` columns, where they have names.
    """

    name: str
    score: Score
    parts: tuple[str, ...] = ()


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Share of rows whose largest output (for one output: its sign, as a logit) is the label."""
    if outputs.ndim == 2 or outputs.shape[-1] == 1:
        _check_binary("accuracy", outputs, targets)
        hits = (outputs.reshape(len(outputs), -1) > 0) == (targets.reshape(-1) > 0.5)
    else:
        _check_classes("accuracy", outputs, targets)
        labels = targets.argmax(dim=-1) if targets.ndim > 1 else targets
        hits = outputs.argmax(dim=-1) == labels
    return hits.double().mean(dim=1)


def log_likelihood(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean log-likelihood of the labels under logits ``[m, rows, classes]`` (one output: a logistic model)."""
    if outputs.ndim == 2 or outputs.shape[-1] == 1:
        _check_binary("log_likelihood", outputs, targets)
        logits = outputs.reshape(len(outputs), -1).double()
        labels = targets.reshape(-1).double().expand_as(logits)
        return -F.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(dim=1)
    _check_classes("log_likelihood", outputs, targets)
    log_p = outputs.double().log_softmax(dim=-1)
    if targets.ndim > 1:
        return (log_p * targets).sum(dim=-1).mean(dim=1)
    return log_p[:, torch.arange(len(targets), device=targets.device), targets].mean(dim=1)


def neg_mean_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Minus the mean squared error."""
    errors = outputs.double() - targets.double().reshape(outputs.shape[1:])
    return -errors.square().reshape(len(outputs), -1).mean(dim=1)


def r2(outputs: Tensor, targets: Tensor) -> Tensor:
    """Share of the variance of the targets that is explained (1 is perfect, 0 answers the mean)."""
    variance = (targets.double() - targets.double().mean(dim=0)).square().mean()
    if variance == 0:
        raise InvalidValueError(
            "metric 'r2' needs test targets that differ, but all are equal: use 'neg_mean_squared_error'."
        )
    return 1 + neg_mean_squared_error(outputs, targets) / variance


def neg_loss(loss: Loss) -> Score:
    """Minus the mean training loss, for any loss."""

    def score(outputs: Tensor, targets: Tensor) -> Tensor:
        return torch.stack([-loss(row.double(), _as_double(targets)).mean() for row in outputs])

    return score


METRICS: dict[str, Score] = {
    "accuracy": accuracy,
    "log_likelihood": log_likelihood,
    "neg_mean_squared_error": neg_mean_squared_error,
    "r2": r2,
}


def default_metric(task: str | None) -> str:
    """Return the name of the metric that is the utility where none is named."""
    return {"classification": "log_likelihood", "regression": "neg_mean_squared_error"}.get(task or "", "neg_loss")


def resolve_metric(metric: MetricLike, loss: Loss) -> Metric:
    """Return the metric of that name, of that callable ``(outputs, targets) -> float or [t]``, or of a dict of them.

    ``"neg_loss"`` is minus the mean of the problem's own loss.

    Raises
    ------
    UnknownNameError
        If there is no metric of that name.
    InvalidTypeError
        If it is none of the above.
    """
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, str):
        if metric == "neg_loss":
            return Metric("neg_loss", neg_loss(loss))
        if metric not in METRICS:
            raise UnknownNameError("metric", metric, [*METRICS, "neg_loss"])
        return Metric(metric, METRICS[metric])
    if isinstance(metric, Mapping):
        if not metric:
            raise InvalidValueError("metric is an empty dict, but at least one metric is needed.")
        return _several({str(name): resolve_metric(one, loss) for name, one in metric.items()})
    if callable(metric):
        return Metric(getattr(metric, "__name__", type(metric).__name__), _one_by_one(metric))
    raise InvalidTypeError(
        f"metric is a {type(metric).__name__}, but a name ({', '.join(METRICS)}, neg_loss), a callable "
        f"(outputs, targets) -> number, or a dict of them is needed."
    )


def _check_binary(name: str, outputs: Tensor, targets: Tensor) -> None:
    if targets.numel() != outputs[0].numel() or not ((targets == 0) | (targets == 1)).all():
        raise InvalidValueError(
            f"metric {name!r} needs class labels, for one output 0 and 1, but the targets {list(targets.shape)} are "
            f"other numbers: use 'r2' or 'neg_mean_squared_error' for regression."
        )


def _check_classes(name: str, outputs: Tensor, targets: Tensor) -> None:
    if targets.ndim > 1:
        shares = targets.shape == outputs.shape[1:] and bool((targets >= 0).all())
        fits = shares and bool(((targets.sum(dim=-1) - 1).abs() < 1e-3).all())
    else:
        fits = not targets.is_floating_point() and 0 <= int(targets.min()) <= int(targets.max()) < outputs.shape[-1]
    if not fits:
        raise InvalidValueError(
            f"metric {name!r} needs class labels 0..{outputs.shape[-1] - 1} or shares that sum to 1, but the targets "
            f"{list(targets.shape)} are something else: use a metric that matches them."
        )


def _several(metrics: dict[str, Metric]) -> Metric:
    def score(outputs: Tensor, targets: Tensor) -> Tensor:
        columns = []
        for name, metric in metrics.items():
            column = metric.score(outputs, targets)
            if column.ndim != 1:
                raise InvalidValueError(
                    f"metric {name!r} gave shape {list(column.shape[1:])} per model, but in a dict each metric must "
                    f"give one number: pass a vector-valued metric on its own."
                )
            columns.append(column.double())
        return torch.stack(columns, dim=1)

    return Metric("+".join(metrics), score, tuple(metrics))


def _one_by_one(metric: Callable[[Tensor, Tensor], Any]) -> Score:
    def score(outputs: Tensor, targets: Tensor) -> Tensor:
        scores = [torch.as_tensor(metric(row, targets), dtype=torch.float64, device=outputs.device) for row in outputs]
        if len({one.shape for one in scores}) != 1:
            raise InvalidValueError("the metric gave different shapes for different models, but one shape is needed.")
        return torch.stack(scores)

    return score


def _as_double(targets: Tensor) -> Tensor:
    return targets.double() if targets.is_floating_point() else targets
