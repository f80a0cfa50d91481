"""Losses per row: ``loss(outputs [rows, ...], targets [rows, ...]) -> [rows]``."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from unshap_plugin.errors import InvalidTypeError, InvalidValueError, UnknownNameError
from unshap_plugin.filling import filled
from unshap_plugin.softmax import log_softmax

__all__ = ["LOSSES", "Loss", "check_loss", "losses_of", "resolve_loss"]

#: By how much probabilities and their logarithms may be beyond their bounds.
_ROUND_OFF = 1e-6

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Softmax cross entropy of logits ``[rows, classes]`` with class indices ``[rows]`` or probabilities."""
    log_p = log_softmax(outputs)
    if targets.is_floating_point():
        return -(log_p * targets).sum(dim=1)
    return F.nll_loss(log_p, targets, reduction="none")


def mse(outputs: Tensor, targets: Tensor) -> Tensor:
    """Squared error, averaged over the output dimensions of a row."""
    return _mean_of_rows((outputs - targets.reshape(outputs.shape)).square())


def binary_cross_entropy_with_logits(outputs: Tensor, targets: Tensor) -> Tensor:
    """Logistic loss of logits with targets in [0, 1], averaged over the output dimensions of a row."""
    targets = targets.reshape(outputs.shape).to(outputs.dtype)
    return _mean_of_rows(F.binary_cross_entropy_with_logits(outputs, targets, reduction="none"))


def binary_cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Logistic loss of probabilities with targets in [0, 1], averaged over the output dimensions of a row.

    Probabilities count as at least the round-off of their dtype away from 0 and 1, where the loss has no derivatives.
    """
    targets, eps = targets.reshape(outputs.shape).to(outputs.dtype), torch.finfo(outputs.dtype).eps
    p = outputs.clamp(min=eps, max=1 - eps)
    return _mean_of_rows(-(targets * p.log() + (1 - targets) * torch.log1p(-p)))


def nll_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy of log-probabilities ``[rows, classes]`` with class indices ``[rows]`` or probabilities."""
    if targets.ndim > 1:
        return -(targets * outputs).sum(dim=1)
    return F.nll_loss(outputs, targets, reduction="none")


def _mean_of_rows(losses: Tensor) -> Tensor:
    """Return the mean of each row, ``[rows]``, of which there may be none."""
    return losses.reshape(len(losses), math.prod(losses.shape[1:])).mean(dim=1)


LOSSES: dict[str, Loss] = {
    "cross_entropy": cross_entropy,
    "mse": mse,
    "binary_cross_entropy_with_logits": binary_cross_entropy_with_logits,
    "binary_cross_entropy": binary_cross_entropy,
    "nll_loss": nll_loss,
}


def resolve_loss(loss: str | Loss) -> Loss:
    """Return the loss of that name, or the callable itself.

    Raises
    ------
    UnknownNameError
        If there is no loss of that name.
    InvalidTypeError
        If ``loss`` is neither a name nor callable.
    """
    if isinstance(loss, str):
        if loss not in LOSSES:
            raise UnknownNameError("loss", loss, LOSSES)
        return LOSSES[loss]
    if not callable(loss):
        raise InvalidTypeError(
            f"loss is a {type(loss).__name__}, but a name ({', '.join(LOSSES)}) or a callable "
            f"(outputs, targets) -> [rows] is needed."
        )
    return loss


def losses_of(
    loss: Loss, outputs: Tensor, targets: Tensor, *, rows_per_copy: bool = False, fill: bool = True
) -> Tensor:
    """Return the losses ``[m, rows]`` of outputs ``[m, rows, ...]`` of many models.

    The targets are ``[rows, ...]`` for all of them, or with ``rows_per_copy`` ``[m, rows, ...]``.

    A loss is one of rows, whichever model answered them: all are asked for in one call. With ``fill`` the rows are
    filled up (``filled``), so that no bit depends on the number of models.

    Examples
    --------
    >>> import torch
    >>> losses_of(mse, torch.tensor([[[1.0], [2.0]], [[0.0], [0.0]]]), torch.tensor([[1.0], [1.0]]))
    tensor([[0., 1.],
            [1., 1.]])
    """
    m, rows = outputs.shape[:2]
    targets = targets if rows_per_copy else targets.expand(m, *targets.shape)
    if fill:
        outputs, targets = filled(outputs, 1), filled(targets, 1)
    return loss(outputs.flatten(0, 1), targets.flatten(0, 1)).reshape(outputs.shape[:2])[:, :rows]


def check_loss(loss: Loss, outputs: Tensor, targets: Tensor) -> None:
    """Raise ``InvalidValueError`` unless ``loss`` gives one number per row for these outputs and targets.

    Shapes that broadcast silently (outputs ``[rows, 1]`` against targets ``[rows]``) and class labels that the
    model has no output for are what this is for: both train or score without an error and mean nothing.
    """
    rows = len(targets)
    name = next((name for name, known in LOSSES.items() if loss is known), "the loss")
    shapes = f"outputs {list(outputs.shape)} and targets {list(targets.shape)}"
    if len(outputs) != rows:
        raise InvalidValueError(
            f"the model gave {shapes} for {rows} rows, but one output per row is needed: check its forward."
        )
    if loss in (cross_entropy, nll_loss):
        if outputs.ndim != 2:
            raise InvalidValueError(
                f"{name} needs outputs of shape [rows, classes], but the model gave {shapes}: use a model with one "
                f"output per class, or another loss, such as 'mse' for numbers."
            )
        if targets.ndim == 1:
            if targets.is_floating_point():
                raise InvalidValueError(
                    f"{name} needs integer class labels [rows] or probabilities [rows, classes], but targets "
                    f"are {targets.dtype} of shape {list(targets.shape)}: {_of_numbers(targets, outputs.shape[1])}."
                )
            low, high, count = int(targets.min()), int(targets.max()), outputs.shape[1]
            if low < 0 or high >= count:
                raise InvalidValueError(
                    f"the model has {count} output{'' if count == 1 else 's'}, but the labels go from {low} to {high}: "
                    f"{_of_labels(low, high, count)}."
                )
        elif targets.shape != outputs.shape:
            raise InvalidValueError(f"{name} needs targets [rows] or of the shape of the outputs, but got {shapes}.")
    elif loss in LOSSES.values() and outputs.numel() != targets.numel():
        raise InvalidValueError(
            f"this loss compares each output with a target of its own, but got {shapes}: the model must return "
            f"[rows, k] for targets [rows, k] (or [rows] where k is 1)."
        )
    if loss in (binary_cross_entropy, binary_cross_entropy_with_logits) and not ((targets >= 0) & (targets <= 1)).all():
        several = ", of which there may be two; use loss='cross_entropy' and an output for each where there are more"
        raise InvalidValueError(
            f"{name} needs targets from 0 to 1, but they go from {float(targets.min()):g} to "
            f"{float(targets.max()):g}: encode the classes as 0 and 1{several if len(targets.unique()) > 2 else ''}."
        )
    least, most = float(outputs.min()), float(outputs.max())
    if loss is binary_cross_entropy and not (least > -_ROUND_OFF and most < 1 + _ROUND_OFF):
        raise InvalidValueError(
            f"{name} needs probabilities, but the outputs go from {least:g} to {most:g}: end the model in a sigmoid if "
            f"it was trained so, or use loss='binary_cross_entropy_with_logits'."
        )
    if loss is nll_loss and most > _ROUND_OFF:
        raise InvalidValueError(
            f"{name} needs log-probabilities, but the outputs go from {least:g} to {most:g}: end the model in a "
            f"log-softmax if it was trained so, or use loss='cross_entropy'."
        )
    try:
        losses = loss(outputs, targets)
    except Exception as error:
        raise InvalidValueError(
            f"the loss cannot be computed from {shapes} ({error}): use a loss that matches the model's outputs."
        ) from error
    if not isinstance(losses, Tensor):
        raise InvalidTypeError(f"the loss returned a {type(losses).__name__}, but a tensor [rows] is needed.")
    if tuple(losses.shape) != (rows,):
        raise InvalidValueError(
            f"the loss returned shape {list(losses.shape)} for {rows} rows, but one number per row is needed "
            f"(reduction='none', averaged over the outputs of a row)."
        )


def _of_numbers(targets: Tensor, count: int) -> str:
    """Return what to do about targets that are floating, of a model with so many outputs."""
    two = bool(((targets == 0) | (targets == 1)).all())
    if count == 1:
        return f"use loss={'binary_cross_entropy_with_logits' if two else 'mse'!r}"
    if two or bool((targets == targets.round()).all()):
        return "convert them to integers"
    return "use a model with one output, and loss='mse'"


def _of_labels(low: int, high: int, count: int) -> str:
    """Return what to do about labels that a model with so many outputs does not have."""
    if count > 1:
        return f"number the classes from 0 to {count - 1}" + ("" if low < 0 else f", or use {high + 1} outputs")
    two = "loss='binary_cross_entropy_with_logits'" + ("" if low >= 0 and high <= 1 else " for two, numbered 0 and 1")
    return f"use an output for each class, or {two}, or loss='mse' for numbers"
