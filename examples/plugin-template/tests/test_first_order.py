"""Tests that any method should have: that it is found, that it does what it says, and that both ways agree."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import unshap_first_order
from sklearn.datasets import load_iris
from torch import nn
from unshap_conformance import parametrize_with_checks, unlearner_subject

from unshap_plugin import UnlearningGame, ValuationProblem, shapley_values
from unshap_plugin.plugin import UnlearnerSpec
from unshap_plugin.plugins.registry import find_unlearner, resolve_unlearner


@pytest.fixture
def problem() -> ValuationProblem:
    """Sixty flowers in three groups, and a small network trained on them."""
    x, y = load_iris(return_X_y=True)
    x, order = (x - x.mean(axis=0)) / x.std(axis=0), np.random.default_rng(0).permutation(150)
    x, y = torch.as_tensor(x[order]), torch.as_tensor(y[order])
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[:60]), y[:60]).backward()
        optimizer.step()
    players = np.arange(60) % 3
    return ValuationProblem(model, (x[:60], y[:60]), (x[60:], y[60:]), metric="log_likelihood", groups=players)


@parametrize_with_checks([unlearner_subject("first_order")])
def test_it_conforms(check: Callable[[], None]) -> None:
    """The contracts of all unlearners, on small real problems."""
    check()


def test_it_is_found() -> None:
    """The name leads here."""
    assert find_unlearner("first_order").provider.distribution == "unshap-first-order"


def test_the_update_is_that_of_the_paper(problem: ValuationProblem) -> None:
    """Computed once more by hand, for the rows of one player."""
    keep = np.array([[True, False, True]])
    models = resolve_unlearner("first_order", {"rate": 0.003}).unlearn(problem, keep, 0)
    rows = torch.as_tensor(problem.player_of_row == 1)
    leaf = {name: p.clone().requires_grad_() for name, p in problem.engine.theta0.items()}
    loss = nn.functional.cross_entropy(
        torch.func.functional_call(problem.model, leaf, problem.x[rows]), problem.y[rows], reduction="sum"
    )
    for name, gradient in zip(leaf, torch.autograd.grad(loss, list(leaf.values())), strict=True):
        torch.testing.assert_close(models.state[name][0], (leaf[name] + 0.003 * gradient).detach(), atol=1e-12, rtol=0)


def test_batched_equals_one_by_one(problem: ValuationProblem) -> None:
    """The fast way has its slow twin."""
    [spec] = unshap_first_order.unshap_unlearners()
    slow = UnlearnerSpec.from_function(unshap_first_order.first_order, source=spec.source)
    everything = np.array([[bool(k & 1), bool(k & 2), bool(k & 4)] for k in range(8)])
    fast_values, slow_values = (UnlearningGame(problem, one.make())(everything) for one in (spec, slow))
    np.testing.assert_allclose(fast_values, slow_values, atol=1e-10)


def test_values_come_out(problem: ValuationProblem) -> None:
    """The whole way, over all coalitions."""
    result = shapley_values(UnlearningGame(problem, "first_order"), "exact")
    np.testing.assert_allclose(result.values.sum(), result.utility_all - result.utility_none, atol=1e-12)
    assert result.versions["unshap-first-order"] == "0.1.0"
