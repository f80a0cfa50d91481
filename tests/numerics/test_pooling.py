"""Pooling with the channels last, against torch's own with the channels first."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from unshap_plugin.numerics.pooling import max_pooled

LAYERS = [
    nn.MaxPool2d(2),
    nn.MaxPool2d(3, stride=2, padding=1),
    nn.MaxPool2d((2, 1), dilation=2),
    nn.MaxPool2d(2, ceil_mode=True),
]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
@pytest.mark.parametrize("shape", [(5, 3, 9, 7), (3, 9, 7)])
def test_it_is_torchs_pooling_to_the_last_bit(layer, shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).relu().requires_grad_()  # with ties
    found, expected = max_pooled(layer, x), layer(x)
    assert torch.equal(found, expected)
    assert found.is_contiguous()
    weights = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad((found * weights).sum(), x)
    (own,) = torch.autograd.grad((expected * weights).sum(), x)
    torch.testing.assert_close(gradient, own, atol=1e-6, rtol=0)
    assert gradient.is_contiguous()


def test_what_gives_indices_too_is_left_to_torch():
    x = torch.randn(2, 3, 4, 4)
    layer = nn.MaxPool2d(2, return_indices=True)
    found, expected = max_pooled(layer, x), layer(x)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
