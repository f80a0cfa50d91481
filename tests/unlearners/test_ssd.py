"""Selective synaptic dampening: the rule, row by row, and what it was changed for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import coalitions, early_stopped

from unshap_plugin import ValuationProblem
from unshap_plugin.errors import InvalidValueError
from unshap_plugin.losses import cross_entropy
from unshap_plugin.unlearners import SSD

PROBLEM = early_stopped(hidden=4)


def unlearned(problem, matrix, **chosen):
    return problem.engine.flatten(SSD(**chosen).unlearn(problem, matrix, 0).state)


def by_the_book(problem, kept, alpha, lam):
    """The slow twin: one coalition, one row and one parameter at a time."""
    squares = []
    for x, y in zip(problem.x, problem.y, strict=True):
        loss = cross_entropy(problem.model(x[None]), y[None])[0]
        parts = torch.autograd.grad(loss, list(problem.model.parameters()))
        squares.append(torch.cat([p.flatten() for p in parts]).square().numpy())
    forget = [s for s, keep in zip(squares, kept, strict=True) if not keep]
    retain = [s for s, keep in zip(squares, kept, strict=True) if keep]
    result = torch.cat([p.detach().flatten() for p in problem.model.parameters()]).numpy().copy()
    for k in range(len(result)):
        f = np.mean([s[k] for s in forget]) if forget else 0.0
        d = np.mean([s[k] for s in retain]) if retain else 0.0
        factor = min(1.0, lam * d / f) if f > alpha * d else 1.0
        result[k] *= 1 - len(forget) / len(squares) * (1 - factor)
    return result


@pytest.mark.parametrize(("alpha", "lam"), [(1.0, 1.0), (10.0, 1.0), (2.0, 0.5), (0.0, 1.0)])
@pytest.mark.parametrize("hidden", [0, 4])
def test_it_is_the_rule(alpha, lam, hidden):
    problem = early_stopped(hidden=hidden)
    matrix = np.concatenate([coalitions(12, 40), np.zeros((1, 40), dtype=bool)])
    got = unlearned(problem, matrix, alpha=alpha, lam=lam)
    for row, theta in zip(matrix, got, strict=True):
        np.testing.assert_allclose(theta.numpy(), by_the_book(problem, row, alpha, lam), atol=1e-10)


def test_background_and_groups_count():
    data = (PROBLEM.x, PROBLEM.y), (PROBLEM.x_test, PROBLEM.y_test)
    groups = np.array(list("abcde") * 8)
    some = ValuationProblem(PROBLEM.model, *data, groups=groups, valued=["d", "a"])
    kept = ~np.isin(groups, ["d"])
    got = unlearned(some, np.array([[False, True]]))[0]
    np.testing.assert_allclose(got.numpy(), by_the_book(PROBLEM, kept, 1.0, 1.0), atol=1e-10)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 10), st.floats(0, 3))
def test_it_only_shrinks(seed, alpha, lam):
    given_flat = PROBLEM.engine.flatten(PROBLEM.engine.stack(1))
    theta = unlearned(PROBLEM, coalitions(8, 40, seed=seed), alpha=alpha, lam=lam)
    assert (theta.abs() <= given_flat.abs()).all()
    assert (theta * given_flat >= 0).all()


def test_the_published_rule_moves_further_for_one_row_than_for_half_of_them_and_ours_does_not():
    """Why the displacement is scaled and the retained rows are what is compared with."""
    engine = PROBLEM.engine
    squares = torch.cat(list(engine.row_gradients(PROBLEM.x, PROBLEM.y))).square()
    given_flat = engine.flatten(engine.stack(1))

    def published(matrix):
        forget = torch.as_tensor(~matrix).double()
        f, d = forget @ squares / forget.sum(dim=1, keepdim=True), squares.mean(dim=0)
        return torch.where(f > 10 * d, (d / f).clamp(max=1), torch.ones_like(f)) * given_flat

    one = ~np.eye(40, dtype=bool)
    half = np.array([np.random.default_rng(k).permutation(40) < 20 for k in range(40)])
    little, much = ((published(matrix) - given_flat).norm(dim=1).mean() for matrix in (one, half))
    assert little > 0 == much
    little, much = ((unlearned(PROBLEM, matrix) - given_flat).norm(dim=1).mean() for matrix in (one, half))
    assert 0 < little < 0.05 * much


@pytest.mark.parametrize("name", ["alpha", "lam"])
def test_settings_out_of_range(name):
    with pytest.raises(InvalidValueError, match=rf"{name} is -1.0, but a finite number of at least 0"):
        SSD(**{name: -1.0})
