"""The softmax over few classes of many rows, across the rows at once."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from unshap_plugin.numerics.filling import FULL

__all__ = ["log_sigmoid", "log_softmax", "softmax"]


def softmax(x: Tensor) -> Tensor:
    """Return the softmax over the last dimension, ``[..., classes]``.

    Torch takes the softmax of a short row by itself; across the rows it is some twenty times faster on a processor.

    Examples
    --------
    >>> import torch
    >>> softmax(torch.tensor([[0.0, 0.0], [0.0, 50.0]]))
    tensor([[5.0000e-01, 5.0000e-01],
            [1.9287e-22, 1.0000e+00]])
    """
    return _rows_first(_rows_last(x).softmax(dim=0), x)


def log_softmax(x: Tensor) -> Tensor:
    """Return the logarithm of ``softmax``, ``[..., classes]``.

    Examples
    --------
    >>> import torch
    >>> log_softmax(torch.tensor([[0.0, 50.0]]))
    tensor([[-50.,   0.]])
    """
    return _rows_first(_rows_last(x).log_softmax(dim=0), x)


def log_sigmoid(x: Tensor) -> Tensor:
    """Return the logarithm of the logistic function of any numbers, the log-probability of one of two classes.

    Examples
    --------
    >>> import torch
    >>> log_sigmoid(torch.tensor([0.0, -50.0]))
    tensor([ -0.6931, -50.0000])
    """
    flat = x.flatten()
    return F.logsigmoid(F.pad(flat, (0, -len(flat) % FULL)))[: len(flat)].reshape(x.shape)


def _rows_last(x: Tensor) -> Tensor:
    """Return ``[..., classes]`` as ``[classes, rows]``, filled up."""
    flat = x.reshape(-1, x.shape[-1])
    return F.pad(flat.T, (0, -len(flat) % FULL))


def _rows_first(found: Tensor, x: Tensor) -> Tensor:
    return found[:, : x[..., 0].numel()].T.reshape(x.shape)
