"""Convolutions of many copies as products with patches, against one convolution after the other."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from unshap_plugin.model import stacked_layers
from unshap_plugin.model.stacked_layers import stacked_layer

NARROW = [
    nn.Conv2d(1, 8, 3, padding=1),
    nn.Conv2d(3, 16, (3, 2), stride=(2, 1), padding=(0, 1), bias=False),
    nn.Conv2d(4, 9, 1),
]
OTHERS = [
    nn.Conv2d(1, 8, 3, dilation=2),
    nn.Conv2d(2, 8, 3, groups=2),
    nn.Conv2d(2, 8, 3, padding="same"),
    nn.Conv2d(5, 8, 3),
    nn.Conv2d(1, 2, 5),
]


@pytest.mark.parametrize("layer", NARROW + OTHERS, ids=str)
@pytest.mark.parametrize("needed", [False, True], ids=["data", "activations"])
def test_copies_are_convolved_as_each_alone(layer, needed, monkeypatch):
    draw, m, rows = torch.Generator().manual_seed(0), 3, 32
    own = {name: torch.randn(m, *p.shape, generator=draw, requires_grad=True) for name, p in layer.named_parameters()}
    x = torch.randn(m * rows, layer.in_channels, 7, 6, generator=draw, requires_grad=needed)
    used, patches = [], stacked_layers._convolved_patches
    monkeypatch.setattr(stacked_layers, "_convolved_patches", lambda *a: used.append(a) or patches(*a))
    found = stacked_layer(layer)(layer, own, x, m, False)
    assert bool(used) == (layer in NARROW and not needed)
    how = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation, "groups": layer.groups}
    parts = [F.conv2d(x[k * rows : (k + 1) * rows], *[p[k] for p in own.values()], **how) for k in range(m)]
    torch.testing.assert_close(found, torch.cat(parts), atol=1e-4, rtol=1e-5)
    weights = torch.randn(found.shape, generator=draw)
    wanted = [*own.values(), *([x] if needed else [])]
    gradients = torch.autograd.grad((found * weights).sum(), wanted)
    expected = torch.autograd.grad((torch.cat(parts) * weights).sum(), wanted)
    for a, b in zip(gradients, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-4)
    one = stacked_layer(layer)(layer, {name: p[1:2] for name, p in own.items()}, x[rows : 2 * rows], 1, False)
    torch.testing.assert_close(one, found[rows : 2 * rows], atol=1e-4, rtol=1e-5)
