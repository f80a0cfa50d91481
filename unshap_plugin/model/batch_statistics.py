"""Batch norm in training mode, with one copy of its parameters and statistics per coalition."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["normalised", "of_the_batch"]


def of_the_batch(layer: nn.Module) -> bool:
    """Tell whether a layer is a batch norm that normalises by the statistics of the batch and keeps those of many."""
    known = type(layer) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    return known and layer.training and layer.running_mean is not None


def normalised(layer: nn.Module, own: dict[str, Tensor], x: Tensor, m: int, shared: bool, present: Tensor) -> Tensor:
    """Return rows normalised by the statistics of each copy's batch, and take those into its running ones.

    Parameters
    ----------
    layer
        The batch norm.
    own
        Its parameters and buffers, ``[m, ...]`` each (parameters that are frozen ``[1, ...]``). The buffers are changed
        in place, as torch does.
    x
        Rows ``[rows, channels, ...]`` that all copies share, or ``[m * rows, channels, ...]``.
    m
        Number of copies.
    shared
        Whether the rows are shared.
    present
        Which rows are in the batch of each copy, bool ``[m, rows]``. The statistics are those of these rows alone. A
        copy without any keeps its statistics; what becomes of rows that are absent means nothing.

    Returns
    -------
    Tensor
        ``[m * rows, channels, ...]``.

    Examples
    --------
    >>> layer = nn.BatchNorm1d(1, affine=False)
    >>> own = {name: buffer.expand(2, *buffer.shape).clone() for name, buffer in layer.named_buffers()}
    >>> x, present = torch.tensor([[1.0], [3.0], [9.0]]), torch.tensor([[True, True, False], [False, True, True]])
    >>> normalised(layer, own, x, 2, True, present).reshape(2, 3)[present].round().tolist()
    [-1.0, 1.0, -1.0, 1.0]
    >>> own["running_mean"].flatten().tolist(), own["num_batches_tracked"].tolist()
    ([0.20000000298023224, 0.6000000238418579], [1, 1])
    """
    rows = x.expand(m, *x.shape) if shared else x.unflatten(0, (m, -1))
    values = rows.reshape(*rows.shape[:3], -1)  # [m, rows, channels, values]
    count = present.sum(dim=1) * values.shape[3]
    weights = present.to(x.dtype) / count.clamp(min=1)[:, None]
    scaled, mean, variance = _Standardised.apply(values, weights, layer.eps)  # type: ignore[no-untyped-call]
    _update(layer, own, mean, variance, count)
    if "weight" in own:
        scaled = torch.addcmul(own["bias"][:, None, :, None], scaled, own["weight"][:, None, :, None])
    return scaled.reshape(m * rows.shape[1], *x.shape[1:])


class _Standardised(torch.autograd.Function):
    """Values ``[m, rows, channels, values]`` less their weighted mean, over their weighted standard deviation.

    The weights ``[m, rows]`` are those of one number. Written out, the derivatives take half the passes over the values
    that those of each operation would. Returned are also the means and the variances, ``[m, channels]``, which have no
    derivatives.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, weights: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        mean = _summed(weights, values.sum(dim=3))
        centred = values - mean[:, None, :, None]
        variance = _summed(weights, torch.linalg.vector_norm(centred, dim=3).square())
        scale = (variance + eps).rsqrt()
        scaled = centred.mul_(scale[:, None, :, None])
        ctx.save_for_backward(scaled, weights, scale)
        ctx.mark_non_differentiable(mean, variance)
        return scaled, mean, variance

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        scaled, weights, scale = ctx.saved_tensors
        by_mean = gradient.sum(dim=(1, 3))[:, None] * weights[..., None]  # [m, rows, channels]
        by_variance = (gradient * scaled).sum(dim=(1, 3))[:, None] * weights[..., None]
        found = torch.addcmul(gradient - by_mean[..., None], scaled, by_variance[..., None], value=-1)
        return found.mul_(scale[:, None, :, None]), None, None


def _summed(weights: Tensor, values: Tensor) -> Tensor:
    """Return the sums of ``[m, rows, channels]`` with weights ``[m, rows]``, ``[m, channels]``."""
    return (weights[:, None] @ values).squeeze(1)


def _update(layer: nn.Module, own: dict[str, Tensor], mean: Tensor, variance: Tensor, count: Tensor) -> None:
    """Move the running statistics of the copies whose batch is not empty, the variance without its bias."""
    own["num_batches_tracked"] += count > 0
    cumulative = 1 / own["num_batches_tracked"].clamp(min=1).to(mean.dtype)
    share = torch.where(count > 0, cumulative if layer.momentum is None else layer.momentum, 0).to(mean.dtype)[:, None]
    unbiased = variance * (count / (count - 1).clamp(min=1)).to(mean.dtype)[:, None]
    own["running_mean"].lerp_(mean, share)
    own["running_var"].lerp_(unbiased, share)
