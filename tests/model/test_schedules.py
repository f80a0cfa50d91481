"""Schedules of the learning rate and clipped gradients, against a loop of torch's own."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from problems import breast_cancer, early_stopped
from torch import nn

from unshap_plugin import Recipe, UnlearningGame
from unshap_plugin.errors import AccessError
from unshap_plugin.losses import cross_entropy
from unshap_plugin.model.optimizers import StackedOptimizer
from unshap_plugin.model.schedules import SCHEDULES, factors

WARMUPS = st.one_of(st.integers(0, 60), st.floats(0, 1, exclude_max=True))


@given(
    st.sampled_from(sorted(SCHEDULES)),
    WARMUPS,
    st.lists(st.integers(1, 50), min_size=1, max_size=4),
    st.integers(0, 49),
)
def test_factors_are_shares_and_each_training_has_its_own(schedule, warmup, steps, step):
    found = factors(schedule, warmup, torch.tensor(steps), step)
    assert found.dtype == torch.float64
    assert bool(((found >= 0) & (found <= 1)).all())
    for k, total in enumerate(steps):
        assert torch.equal(factors(schedule, warmup, torch.tensor([total]), step)[0], found[k])


@given(st.sampled_from(["linear", "cosine"]), WARMUPS, st.integers(1, 50))
def test_the_rate_rises_then_falls_and_ends_near_zero(schedule, warmup, total):
    rates = torch.cat([factors(schedule, warmup, torch.tensor([total]), step) for step in range(total)])
    top = int(rates.argmax())
    assert bool((rates[: top + 1].diff() > 0).all())
    assert bool((rates[top:].diff() < 0).all())
    rest = total - (math.ceil(warmup * total) if isinstance(warmup, float) else warmup)
    if rest > 0:
        assert float(rates.max()) == 1.0
        expected = 1 / rest if schedule == "linear" else (1 - math.cos(math.pi / rest)) / 2
        assert float(rates[-1]) == pytest.approx(expected)


def linear(step, warmup, total):
    return step / warmup if step < warmup else (total - step) / (total - warmup)


def cosine(step, warmup, total):
    return step / warmup if step < warmup else math.cos(math.pi / 2 * (step - warmup) / (total - warmup)) ** 2


@pytest.mark.parametrize(
    ("schedule", "warmup", "first", "factor"),
    [("linear", 0, 0, linear), ("linear", 4, 4, linear), ("cosine", 0.25, 5, cosine)],
)
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_training_is_that_of_torch_schedulers_and_clipping(schedule, warmup, first, factor, optimizer):
    (x, y), _ = breast_cancer()
    x, y = torch.as_tensor(x), torch.as_tensor(y)
    torch.manual_seed(0)
    start = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    options = {"weight_decay": 0.1}
    recipe = Recipe(
        optimizer, lr=0.1, epochs=4, batch_size=8, options=options, schedule=schedule, warmup=warmup, clip=0.4
    )
    trained = recipe.train(start, cross_entropy, x, y, seed=3)
    plain = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    plain.load_state_dict(start.state_dict())
    kind = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[optimizer]
    theirs = kind(plain.parameters(), lr=0.1, **options)
    scheduler = torch.optim.lr_scheduler.LambdaLR(theirs, lambda step: factor(step, first, 20))
    norms = []
    for order in recipe.orders(40, seed=3):
        for batch in torch.as_tensor(order).split(8):
            theirs.zero_grad()
            nn.functional.cross_entropy(plain(x[batch]), y[batch]).backward()
            norms.append(float(nn.utils.clip_grad_norm_(plain.parameters(), 0.4)))
            theirs.step()
            scheduler.step()
    assert min(norms) < 0.4 < max(norms), "some are clipped, some are not"
    for one, other in zip(trained.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-10)


def test_the_default_is_a_constant_rate_without_clipping():
    (x, y), _ = breast_cancer()
    x, y = torch.as_tensor(x), torch.as_tensor(y)
    start = nn.Linear(6, 2).double()
    plain, same = (
        Recipe(epochs=2, batch_size=9, **said).train(start, cross_entropy, x, y).weight
        for said in ({}, {"schedule": "constant", "warmup": 0, "clip": None})
    )
    loose = Recipe(epochs=2, batch_size=9, clip=1e9).train(start, cross_entropy, x, y).weight
    assert torch.equal(plain, same)
    assert torch.equal(plain, loose)


@pytest.mark.parametrize("threads", [1, 2])
def test_copies_are_clipped_as_each_alone(threads):
    generator = torch.Generator().manual_seed(0)
    gradients = torch.randn(3, 70_001, generator=generator) * torch.tensor([1e-4, 1.0, 5.0])[:, None]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        stacked = StackedOptimizer("sgd", torch.zeros_like(gradients), 1.0, {})
        stacked.gradient.copy_(gradients)
        stacked.clip(0.7)
        for k, gradient in enumerate(gradients):
            alone = StackedOptimizer("sgd", torch.zeros(1, len(gradient)), 1.0, {})
            alone.gradient.copy_(gradient)
            alone.clip(0.7)
            assert torch.equal(alone.gradient[0], stacked.gradient[k])
            p = nn.Parameter(torch.zeros_like(gradient))
            p.grad = gradient.clone()
            nn.utils.clip_grad_norm_([p], 0.7)
            torch.testing.assert_close(stacked.gradient[k], p.grad, rtol=1e-4, atol=0)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(stacked.gradient[0], gradients[0]), "shorter than the bound"


@pytest.mark.parametrize("setting", [{"schedule": "linear"}, {"warmup": 2}, {"clip": 1.0}])
def test_replay_refuses_what_it_does_not_follow(setting):
    known = early_stopped(hidden=4)
    [(name, value)] = setting.items()
    fit = Recipe("adam", epochs=3, init=known.recipe.init, **setting)
    problem = early_stopped(hidden=4, fit=fit)
    with pytest.raises(AccessError, match=f"at a constant rate without clipping, but the recipe has {name}={value!r}"):
        UnlearningGame(problem, "replay")
    utilities = UnlearningGame(problem, "retrain")(np.eye(40, dtype=bool)[:2])
    assert np.isfinite(utilities).all()
