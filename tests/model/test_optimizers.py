"""One optimiser for many copies, against one for each."""

from __future__ import annotations

import pytest
import torch

from unshap_plugin.model.optimizers import OPTIMIZERS, StackedOptimizer

OPTIONS = {
    "adam": {"betas": (0.8, 0.99)},
    "adamw": {"weight_decay": 0.1},
    "sgd": {"momentum": 0.9, "nesterov": True},
}


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_steps_are_those_of_each_copy_alone(name, dtype):
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(5, 37, generator=generator, dtype=dtype)
    gradients = [torch.randn(5, 37, generator=generator, dtype=dtype) for _ in range(20)]
    stacked = StackedOptimizer(name, start, 0.05, OPTIONS[name])
    for gradient in gradients:
        stacked.gradient.copy_(gradient)
        stacked.step()
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    for k in range(5):
        one = torch.nn.Parameter(start[k].clone())
        plain = OPTIMIZERS[name]([one], lr=0.05, **OPTIONS[name])
        alone = StackedOptimizer(name, start[k : k + 1], 0.05, OPTIONS[name])
        for gradient in gradients:
            one.grad = gradient[k].clone()
            plain.step()
            alone.gradient.copy_(gradient[k : k + 1])
            alone.step()
        torch.testing.assert_close(stacked.current[k], one.detach(), atol=tolerance, rtol=tolerance)
        assert torch.equal(stacked.current[k], alone.current[0])
    assert not torch.equal(stacked.current, start)
