"""Batch norm and dropout: unlearned as they predict, retrained as they train."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import torch
from problems import UNLEARNERS, breast_cancer, coalitions
from torch import nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem
from unshap_plugin.losses import cross_entropy
from unshap_plugin.plugins.registry import resolve_unlearner

GROUPS = np.array(list("abcdefgh") * 5)
FULL = np.ones((1, 8), dtype=bool)
#: Gradients of batches and of loops differ by round-off, which Adam amplifies where they are small.
TOLERANCE = 1e-6


def mlp():
    return nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4, 2))


def convolutional():
    return nn.Sequential(
        nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 2, 2, padding=1), nn.BatchNorm2d(2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(8, 2),
    )  # fmt: skip


def made(network):
    (x, y), test = breast_cancer()
    torch.manual_seed(0)
    start = network().double()
    recipe = Recipe("adam", lr=0.03, epochs=3, batch_size=10, init=start)
    model = recipe.train(start, cross_entropy, torch.as_tensor(x), torch.as_tensor(y))
    reference = breast_cancer(seed=5)[1][0][:20] + 0.01
    return ValuationProblem(
        model, (x, y), test, metric="log_likelihood", groups=GROUPS, reference=reference, fit=recipe
    )


def unlearn(problem, name, matrix):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*cannot be retrained for many coalitions at once")
        return resolve_unlearner(name, None).unlearn(problem, matrix, 3)


@pytest.fixture(scope="module", params=[mlp, convolutional])
def problems(request):
    """A problem, and one whose engine takes the loop."""
    fast, slow = made(request.param), made(request.param)
    slow.engine.batched = False
    return fast, slow


@pytest.mark.parametrize("name", UNLEARNERS)
def test_batch_norm_and_dropout(name, problems):
    fast, slow = problems
    before = copy.deepcopy(fast.model.state_dict())
    matrix = np.vstack([FULL, ~FULL, coalitions(5, 8)])
    a, b = unlearn(fast, name, matrix), unlearn(slow, name, matrix)
    assert fast.engine.batched, "the fast path fell back to the loop"
    assert all(torch.isfinite(p).all() for p in a.state.values())
    outputs = a.outputs(fast.x_test)
    assert torch.isfinite(outputs).all()
    torch.testing.assert_close(a.engine.flatten(a.state), b.engine.flatten(b.state), atol=TOLERANCE, rtol=TOLERANCE)
    torch.testing.assert_close(outputs, b.outputs(slow.x_test), atol=TOLERANCE, rtol=TOLERANCE)
    for key, value in a.state.items():
        assert torch.equal(value[0], before[key]), "all kept: the given model"
    assert any(not torch.equal(one, value[0]) for value in a.state.values() for one in value[1:])
    assert np.array_equal(UnlearningGame(fast, resolve_unlearner(name, None))(FULL)[0], fast.given_utility)
    assert all(torch.equal(value, before[key]) for key, value in fast.model.state_dict().items())
    assert not any(layer.training for layer in fast.model.modules())
    buffers = [key for key, value in before.items() if key in dict(fast.model.named_buffers())]
    assert len(buffers) == 3
    if name == "retrain":  # which takes the statistics of its own rows
        assert not torch.equal(a.state[buffers[0]][2], before[buffers[0]])
    else:
        assert not set(buffers) & set(a.state)


def test_retraining_is_the_plain_training_of_each_coalition(problems):
    problem, _ = problems
    matrix = coalitions(4, 8, seed=2)
    state = unlearn(problem, "retrain", matrix).state
    for k, keep in enumerate(problem.retained(matrix).numpy()):
        model = copy.deepcopy(problem.model)
        model.load_state_dict(problem.recipe.init)
        model.train()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
        with torch.random.fork_rng():
            torch.manual_seed(3)
            for order in problem.recipe.orders(40, 3):
                for batch in torch.as_tensor(order[keep[order]]).split(10):
                    optimizer.zero_grad()
                    nn.functional.cross_entropy(model(problem.x[batch]), problem.y[batch]).backward()
                    optimizer.step()
        for key, value in state.items():
            torch.testing.assert_close(value[k], model.state_dict()[key], atol=1e-8, rtol=1e-8)
