"""The losses by name: against torch's, and of no rows."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import grad, vmap

from unshap_plugin.losses import LOSSES, losses_of

TORCH = {
    "cross_entropy": F.cross_entropy,
    "mse": F.mse_loss,
    "binary_cross_entropy_with_logits": F.binary_cross_entropy_with_logits,
    "binary_cross_entropy": F.binary_cross_entropy,
    "nll_loss": F.nll_loss,
}
CLASSES = ("cross_entropy", "nll_loss")


def sample(name, rows, k, seed=0):
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(rows, k, generator=generator, dtype=torch.float64)
    outputs = {"binary_cross_entropy": z.sigmoid(), "nll_loss": z.log_softmax(dim=1)}.get(name, z)
    if name in CLASSES:
        return outputs, torch.randint(0, k, (rows,), generator=generator)
    return outputs, torch.rand(rows, k, generator=generator, dtype=torch.float64)


def test_every_loss_has_a_twin():
    assert set(TORCH) == set(LOSSES)


@pytest.mark.parametrize("name", LOSSES)
@given(rows=st.integers(0, 5), k=st.integers(1, 4), seed=st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_it_is_torchs_for_any_number_of_rows_and_outputs(name, rows, k, seed):
    outputs, targets = sample(name, rows, k, seed)
    losses = LOSSES[name](outputs, targets)
    expected = TORCH[name](outputs, targets, reduction="none")
    expected = expected if expected.ndim == 1 else expected.mean(dim=1)
    assert losses.shape == (rows,)
    torch.testing.assert_close(losses, expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("shape", [(0, 1), (0, 3), (0,)])
def test_no_rows_have_no_losses_and_no_gradient(name, shape):
    if name in CLASSES and len(shape) == 1:
        shape = (0, 2)  # they need an output for every class
    outputs = torch.zeros(shape, requires_grad=True)
    targets = torch.zeros(0, dtype=torch.long if name in CLASSES else torch.float32)
    losses = LOSSES[name](outputs, targets)
    assert losses.shape == (0,)
    losses.sum().backward()
    assert outputs.grad.shape == shape
    assert losses_of(LOSSES[name], torch.zeros(4, *shape), targets).shape == (4, 0)


@pytest.mark.parametrize("name", CLASSES)
def test_shares_of_classes_are_targets_too(name):
    outputs, labels = sample(name, 6, 3)
    shares = F.one_hot(labels, 3).double()
    torch.testing.assert_close(LOSSES[name](outputs, shares), LOSSES[name](outputs, labels), atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", LOSSES)
def test_batched_gradients_are_those_of_the_loop(name):
    outputs, targets = sample(name, 5, 2)
    stacked = torch.stack([outputs, outputs.flip(0)])
    gradient = grad(lambda o: LOSSES[name](o, targets).sum())
    torch.testing.assert_close(vmap(gradient)(stacked), torch.stack([gradient(one) for one in stacked]))


def test_probabilities_of_zero_and_one_have_a_finite_loss_and_gradient():
    p = torch.tensor([[0.0], [1.0], [0.0], [1.0]], requires_grad=True)
    losses = LOSSES["binary_cross_entropy"](p, torch.tensor([0.0, 1.0, 1.0, 0.0]))
    (first,) = torch.autograd.grad(losses.sum(), p, create_graph=True)
    assert torch.isfinite(losses).all()
    assert torch.isfinite(first).all()
    assert (losses[:2] < 1e-6).all()
    assert (losses[2:] > 15).all()
