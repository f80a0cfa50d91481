"""What the built-in metrics measure: functions of stacked outputs ``[m, rows, ...]`` and targets ``[rows, ...]``."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from unshap_plugin.errors import InvalidValueError
from unshap_plugin.losses import Loss, losses_of
from unshap_plugin.numerics.softmax import log_sigmoid, log_softmax

__all__ = ["accuracy", "log_likelihood", "neg_loss", "neg_mean_squared_error", "r2"]


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
    if outputs.shape[-1] == 2:
        return _log_likelihood_of_two(outputs.double(), targets)
    log_p = log_softmax(outputs.double())
    if targets.ndim > 1:
        return (log_p * targets).sum(dim=-1).mean(dim=1)
    return log_p[:, torch.arange(len(targets), device=targets.device), targets].mean(dim=1)


def _log_likelihood_of_two(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the same for two classes, by the one number between their logits: half the work."""
    gap = outputs[..., 1] - outputs[..., 0]
    if targets.ndim == 1:
        return log_sigmoid(torch.where(targets == 1, gap, -gap)).mean(dim=1)
    return (log_sigmoid(gap) * targets.sum(dim=1) - gap * targets[:, 0]).mean(dim=1)


def neg_mean_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Minus the mean squared error."""
    errors = outputs.double() - targets.double().reshape(outputs.shape[1:])
    return -errors.square().reshape(len(outputs), -1).mean(dim=1)


def r2(outputs: Tensor, targets: Tensor) -> Tensor:
    """Share of the variance of the targets that is explained (1 is perfect, 0 answers the mean).

    Of several outputs it is the share of their variance together, scikit-learn's ``multioutput="variance_weighted"``.
    """
    variance = (targets.double() - targets.double().mean(dim=0)).square().mean()
    if bool((targets == targets[:1]).all()) or variance == 0:  # equal numbers need not equal their mean
        raise InvalidValueError(
            "metric 'r2' needs test targets that differ, but all are equal: use 'neg_mean_squared_error'."
        )
    return 1 + neg_mean_squared_error(outputs, targets) / variance


def neg_loss(outputs: Tensor, targets: Tensor, loss: Loss) -> Tensor:
    """Minus the mean training loss, for any loss."""
    targets = targets.double() if targets.is_floating_point() else targets
    return -losses_of(loss, outputs.double(), targets).mean(dim=1)


def _check_binary(name: str, outputs: Tensor, targets: Tensor) -> None:
    if targets.numel() != outputs[0].numel() or not ((targets == 0) | (targets == 1)).all():
        raise InvalidValueError(
            f"metric {name!r} needs class labels, for one output 0 and 1, but the targets {list(targets.shape)} are "
            f"other numbers: use 'r2' or 'neg_mean_squared_error' for regression, or 'neg_loss'."
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
            f"{list(targets.shape)} are something else: use a metric that matches them, such as 'neg_loss'."
        )
