"""Whether a loss gives one number per row for the outputs of a model and the targets."""

from __future__ import annotations

from torch import Tensor

from unshap_plugin.errors import InvalidTypeError, InvalidValueError
from unshap_plugin.losses import (
    LOSSES,
    Loss,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    nll_loss,
)

__all__ = ["check_loss"]

#: By how much probabilities and their logarithms may be beyond their bounds.
_ROUND_OFF = 1e-6


def check_loss(loss: Loss, outputs: Tensor, targets: Tensor) -> None:
    """Raise unless a loss gives one number per row for these outputs and targets.

    Shapes that broadcast silently (outputs ``[rows, 1]`` against targets ``[rows]``) and class labels that the
    model has no output for are what this is for: both train or score without an error and mean nothing.

    Parameters
    ----------
    loss
        ``(outputs, targets) -> [rows]``.
    outputs, targets
        ``[rows, ...]`` each.

    Raises
    ------
    InvalidValueError, InvalidTypeError
        If it does not, or returns no tensor.

    Examples
    --------
    >>> import torch
    >>> check_loss(cross_entropy, torch.zeros(2, 3), torch.tensor([0, 2]))
    >>> check_loss(cross_entropy, torch.zeros(2, 3), torch.tensor([0, 3]))
    Traceback (most recent call last):
    ...
    unshap_plugin.errors.InvalidValueError: the model has 3 outputs, but the labels go from 0 to 3: number ...
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
