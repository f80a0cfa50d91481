"""Layers with one copy of their parameters per coalition, as batched products.

The copies are folded into the rows: ``m`` copies of ``rows`` rows are ``[m * rows, ...]``, those of the first copy
first. What has no parameters works on such rows as on any others.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unshap_plugin.numerics.filling import batch_invariant_matmul

__all__ = ["STACKED", "StackedLayer", "stacked_layer"]

#: One product for all copies is faster than one for each where these give few columns.
_FEW_OUTPUTS = 16
#: Convolutions of at most so many channels are products with patches.
_FEW_CHANNELS = 4
#: ``(layer, parameters and buffers [m, ...] or [...], input, m, shared) -> [m * rows, ...]``.
StackedLayer: TypeAlias = Callable[[Any, dict[str, Tensor], Tensor, int, bool], Tensor]


def stacked_layer(layer: nn.Module) -> StackedLayer | None:
    """Return how a layer works with stacked parameters, or ``None`` where that is not known.

    Examples
    --------
    >>> layer = nn.Linear(3, 2)
    >>> own = {name: p.detach().expand(4, *p.shape) for name, p in layer.named_parameters()}
    >>> stacked_layer(layer)(layer, own, torch.zeros(5, 3), 4, True).shape
    torch.Size([20, 2])
    """
    form = STACKED.get(type(layer))
    if form is None or "forward" in vars(layer) or list(layer.children()):
        return None
    if isinstance(layer, nn.modules.batchnorm._BatchNorm) and (layer.training or layer.running_mean is None):
        return None
    if isinstance(layer, nn.Embedding) and not (layer.padding_idx is None and layer.max_norm is None):
        return None
    if isinstance(layer, nn.Embedding) and (layer.sparse or layer.scale_grad_by_freq):
        return None
    return None if getattr(layer, "padding_mode", "zeros") != "zeros" else form


def _linear(layer: nn.Linear, own: dict[str, Tensor], x: Tensor, m: int, shared: bool) -> Tensor:
    rows = x.reshape(-1, x.shape[-1]) if shared else x.reshape(m, -1, x.shape[-1])
    weight, bias = _copies(own["weight"], m), own.get("bias")
    if shared and layer.out_features <= _FEW_OUTPUTS:
        out = batch_invariant_matmul(weight, rows.T)
        out = (out if bias is None else out + _copies(bias, m)[:, :, None]).mT
    else:
        rows = rows.expand(m, -1, -1)
        out = rows @ weight.mT if bias is None else torch.baddbmm(_copies(bias, m)[:, None], rows, weight.mT)
    return out.reshape((m * len(x) if shared else len(x)), *x.shape[1:-1], layer.out_features)


def _convolution(layer: Any, own: dict[str, Tensor], x: Tensor, m: int, shared: bool) -> Tensor:
    """Convolve channels of all copies at once, as groups."""
    if not shared and _is_narrow(layer, x):
        return _convolved_patches(layer, own, x, m)
    convolve = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[x.ndim - 2]
    weight, bias = _copies(own["weight"], m).flatten(0, 1), own.get("bias")
    bias = None if bias is None else _copies(bias, m).flatten()
    groups = layer.groups
    if shared and groups == 1:
        out = convolve(x, weight, bias, layer.stride, layer.padding, layer.dilation)
    else:
        beside = x.repeat(1, m, *[1] * (x.ndim - 2)) if shared else _beside(x, m)
        out = convolve(beside, weight, bias, layer.stride, layer.padding, layer.dilation, groups * m)
    return out.unflatten(1, (m, -1)).transpose(0, 1).flatten(0, 1)


def _is_narrow(layer: Any, x: Tensor) -> bool:
    """Tell whether patches are better multiplied: there few channels make poor groups.

    With one to four channels that takes half to a seventh of the time, gradients of the weights included. Gradients of
    the input would take longer; the first layer of a network needs none. Patches are at most four times as large as
    what comes out.
    """
    plain = isinstance(layer, nn.Conv2d) and layer.groups == 1 and set(layer.dilation) == {1}
    narrow = layer.in_channels <= _FEW_CHANNELS and prod(layer.weight.shape[1:]) <= 4 * layer.out_channels
    return plain and narrow and not x.requires_grad and not isinstance(layer.padding, str)


def _convolved_patches(layer: nn.Conv2d, own: dict[str, Tensor], x: Tensor, m: int) -> Tensor:
    """Convolve ``[m * rows, channels, height, width]`` by products with the patches under the kernel."""
    (down, across), (tall, wide) = layer.stride, layer.kernel_size
    top, left = (int(size) for size in layer.padding)
    windows = F.pad(x, (left, left, top, top)).unfold(2, tall, down).unfold(3, wide, across)
    height, width = windows.shape[2:4]
    patches = windows.permute(0, 1, 4, 5, 2, 3).reshape(m, len(x) // m, -1, height * width)
    out = _copies(own["weight"], m).flatten(2)[:, None] @ patches
    if (bias := own.get("bias")) is not None:
        out = out + _copies(bias, m)[:, None, :, None]
    return out.reshape(len(x), -1, height, width)


def _beside(x: Tensor, m: int) -> Tensor:
    """Return rows ``[m * rows, channels, ...]`` with the copies beside each other, ``[rows, m * channels, ...]``."""
    return x.unflatten(0, (m, -1)).transpose(0, 1).flatten(1, 2)


def _batch_norm(layer: Any, own: dict[str, Tensor], x: Tensor, m: int, shared: bool) -> Tensor:
    mean, variance = (_per_channel(own[name], m, x.ndim) for name in ("running_mean", "running_var"))
    rows = x.expand(m, *x.shape) if shared else x.unflatten(0, (m, -1))
    scaled = (rows - mean) * (variance + layer.eps).rsqrt()
    if layer.affine:
        scaled = scaled * _per_channel(own["weight"], m, x.ndim) + _per_channel(own["bias"], m, x.ndim)
    return scaled.flatten(0, 1)


def _layer_norm(layer: nn.LayerNorm, own: dict[str, Tensor], x: Tensor, m: int, shared: bool) -> Tensor:
    scaled = F.layer_norm(x, layer.normalized_shape, None, None, layer.eps)
    rows = scaled.expand(m, *x.shape) if shared else scaled.unflatten(0, (m, -1))
    missing = [1] * (x.ndim - len(layer.normalized_shape))
    for name, join in (("weight", torch.mul), ("bias", torch.add)):
        if name in own:
            p = _copies(own[name], m)
            rows = join(rows, p.reshape(m, *missing, *p.shape[1:]))
    return rows.flatten(0, 1)


def _group_norm(layer: nn.GroupNorm, own: dict[str, Tensor], x: Tensor, m: int, shared: bool) -> Tensor:
    scaled = F.group_norm(x, layer.num_groups, None, None, layer.eps)
    rows = scaled.expand(m, *x.shape) if shared else scaled.unflatten(0, (m, -1))
    rows = rows * _per_channel(own["weight"], m, x.ndim) + _per_channel(own["bias"], m, x.ndim)
    return rows.flatten(0, 1)


def _embedding(layer: nn.Embedding, own: dict[str, Tensor], x: Tensor, m: int, shared: bool) -> Tensor:
    rows = x.expand(m, *x.shape) if shared else x.unflatten(0, (m, -1))
    first = layer.num_embeddings * torch.arange(m, device=x.device)
    index = rows + first.reshape(m, *[1] * x.ndim)
    return F.embedding(index.flatten(0, 1), _copies(own["weight"], m).flatten(0, 1))


def _copies(p: Tensor, m: int) -> Tensor:
    """Return a parameter as ``[m, *shape]``: frozen ones come without copies, marked by a size of one."""
    return p.expand(m, *p.shape[1:])


def _per_channel(p: Tensor, m: int, ndim: int) -> Tensor:
    """Return numbers per channel in the shape that multiplies ``[m, rows, channels, ...]``."""
    return p.reshape(len(p), 1, -1, *[1] * (ndim - 2)).expand(m, *[-1] * ndim)


#: The layers whose parameters may come in copies.
STACKED: dict[type[nn.Module], StackedLayer] = {
    nn.Linear: _linear,
    **dict.fromkeys((nn.Conv1d, nn.Conv2d, nn.Conv3d), _convolution),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d), _batch_norm),
    nn.LayerNorm: _layer_norm,
    nn.GroupNorm: _group_norm,
    nn.Embedding: _embedding,
}
