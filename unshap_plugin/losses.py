"""Losses per row: ``loss(outputs [rows, ...], targets [rows, ...]) -> [rows]``."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from unshap_plugin.errors import InvalidTypeError, UnknownNameError
from unshap_plugin.numerics.filling import filled
from unshap_plugin.numerics.softmax import log_softmax

__all__ = [
    "LOSSES",
    "Loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "losses_of",
    "mse",
    "nll_loss",
    "resolve_loss",
]

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the softmax cross entropy of each row, ``[rows]``.

    Parameters
    ----------
    outputs
        Logits ``[rows, classes]``.
    targets
        Class indices ``[rows]``, or probabilities ``[rows, classes]``.

    Raises
    ------
    IndexError, RuntimeError
        By torch, if there is no such class or the shapes differ, which a problem is refused for.

    Examples
    --------
    >>> cross_entropy(torch.zeros(2, 4), torch.tensor([0, 3]))
    tensor([1.3863, 1.3863])
    """
    log_p = log_softmax(outputs)
    if targets.is_floating_point():
        return -(log_p * targets).sum(dim=1)
    return F.nll_loss(log_p, targets, reduction="none")


def mse(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the squared error of each row, averaged over its outputs, ``[rows]``.

    Parameters
    ----------
    outputs, targets
        ``[rows, ...]``, as many numbers of each.

    Raises
    ------
    RuntimeError
        By torch, if there are not as many of each.

    Examples
    --------
    >>> mse(torch.tensor([[1.0], [2.0]]), torch.tensor([1.0, 4.0]))
    tensor([0., 4.])
    """
    return _mean_of_rows((outputs - targets.reshape(outputs.shape)).square())


def binary_cross_entropy_with_logits(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the logistic loss of each row, averaged over its outputs, ``[rows]``.

    Parameters
    ----------
    outputs
        Logits ``[rows, ...]``.
    targets
        As many numbers from 0 to 1, ``[rows, ...]``.

    Raises
    ------
    RuntimeError
        By torch, if there are not as many of each.

    Examples
    --------
    >>> binary_cross_entropy_with_logits(torch.zeros(2, 1), torch.tensor([0, 1]))
    tensor([0.6931, 0.6931])
    """
    targets = targets.reshape(outputs.shape).to(outputs.dtype)
    return _mean_of_rows(F.binary_cross_entropy_with_logits(outputs, targets, reduction="none"))


def binary_cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the logistic loss of each row, averaged over its outputs, ``[rows]``.

    Probabilities count as at least the round-off of their dtype away from 0 and 1, where the loss has no derivatives.

    Parameters
    ----------
    outputs
        Probabilities ``[rows, ...]``.
    targets
        As many numbers from 0 to 1, ``[rows, ...]``.

    Raises
    ------
    RuntimeError
        By torch, if there are not as many of each.

    Examples
    --------
    >>> binary_cross_entropy(torch.tensor([[0.5], [1.0]]), torch.tensor([0, 1])).round(decimals=4)
    tensor([0.6931, 0.0000])
    """
    targets, eps = targets.reshape(outputs.shape).to(outputs.dtype), torch.finfo(outputs.dtype).eps
    p = outputs.clamp(min=eps, max=1 - eps)
    return _mean_of_rows(-(targets * p.log() + (1 - targets) * torch.log1p(-p)))


def nll_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the cross entropy of each row, ``[rows]``.

    Parameters
    ----------
    outputs
        Log-probabilities ``[rows, classes]``.
    targets
        Class indices ``[rows]``, or probabilities ``[rows, classes]``.

    Raises
    ------
    IndexError, RuntimeError
        By torch, if there is no such class or the shapes differ, which a problem is refused for.

    Examples
    --------
    >>> nll_loss(torch.tensor([[0.25, 0.75]]).log(), torch.tensor([1]))
    tensor([0.2877])
    """
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

    Parameters
    ----------
    loss
        A name, one of ``LOSSES``, or a callable ``(outputs, targets) -> [rows]``.

    Raises
    ------
    UnknownNameError
        If there is no loss of that name.
    InvalidTypeError
        If ``loss`` is neither a name nor callable.

    Examples
    --------
    >>> resolve_loss("mse") is mse is resolve_loss(mse)
    True
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
    """Return the losses ``[m, rows]`` of the outputs of many models.

    A loss is one of rows, whichever model answered them: all are asked for in one call.

    Parameters
    ----------
    loss
        ``(outputs, targets) -> [rows]``.
    outputs
        ``[m, rows, ...]``.
    targets
        ``[rows, ...]`` for all models.
    rows_per_copy
        The targets are ``[m, rows, ...]`` instead.
    fill
        Whether the rows are filled up (``filled``), so that no bit depends on the number of models.

    Raises
    ------
    Exception
        Whatever the loss raises of outputs and targets that do not match; a problem says so before.

    Examples
    --------
    >>> losses_of(mse, torch.tensor([[[1.0], [2.0]], [[0.0], [0.0]]]), torch.tensor([[1.0], [1.0]]))
    tensor([[0., 1.],
            [1., 1.]])
    """
    m, rows = outputs.shape[:2]
    targets = targets if rows_per_copy else targets.expand(m, *targets.shape)
    if fill:
        outputs, targets = filled(outputs, 1), filled(targets, 1)
    return loss(outputs.flatten(0, 1), targets.flatten(0, 1)).reshape(outputs.shape[:2])[:, :rows]
