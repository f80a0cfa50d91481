"""Influence functions: one linear response for every player, added up."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import breast_cancer, coalitions, early_stopped
from scipy.stats import spearmanr
from torch import nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem
from unshap_plugin.errors import InvalidValueError
from unshap_plugin.losses import cross_entropy, mse
from unshap_plugin.model.engine import Engine
from unshap_plugin.second_order.curvature import GeneralCurvature
from unshap_plugin.second_order.objective import Objective
from unshap_plugin.unlearners import Influence, influence

NOBODY = np.zeros((1, 40), dtype=bool)


def moved(problem, matrix, **chosen):
    models = Influence(**chosen).unlearn(problem, matrix, 0)
    return problem.engine.flatten(models.state) - problem.engine.flatten(problem.engine.stack(1))


@pytest.mark.parametrize("hidden", [0, 4])
def test_forgetting_is_the_sum_over_the_players(hidden):
    problem = early_stopped(hidden=hidden)
    alone = moved(problem, ~np.eye(40, dtype=bool))
    matrix = coalitions(20, 40)
    expected = torch.as_tensor(~matrix).double() @ alone
    torch.testing.assert_close(moved(problem, matrix), expected, atol=1e-11, rtol=0)
    torch.testing.assert_close(moved(problem, NOBODY)[0], alone.sum(dim=0), atol=1e-11, rtol=0)


def test_it_is_the_derivative_of_the_optimum(five_providers):
    """Against the optimum itself, with the rows of one provider weighted a little less."""
    problem = five_providers
    x, y, engine = problem.x, problem.y, problem.engine
    small = 1e-3
    for player in range(5):
        weights = torch.ones(80, dtype=torch.float64)
        weights[torch.as_tensor(problem.player_of_row == player)] -= small
        model = nn.Linear(20, 3).double()
        model.load_state_dict(problem.model.state_dict())
        optimizer = torch.optim.LBFGS(model.parameters(), max_iter=500, tolerance_grad=1e-13, tolerance_change=1e-18)

        def closure(model=model, optimizer=optimizer, weights=weights):
            optimizer.zero_grad()
            value = (weights * cross_entropy(model(x), y)).sum() + model.weight.square().sum() / 2
            value.backward()
            return value

        optimizer.step(closure)
        change = torch.cat([p.detach().flatten() for p in model.parameters()]) - engine.flatten(engine.stack(1))[0]
        matrix = np.ones((1, 5), dtype=bool)
        matrix[0, player] = False
        # The derivative moves the free bias along the direction in which the outputs do not change by nothing.
        got = moved(problem, matrix, damping=0.0)[0]
        torch.testing.assert_close(small * got, change, atol=2e-2 * float(change.norm()), rtol=0)


@pytest.mark.parametrize("outputs", ["cross_entropy", "mse"])
def test_products_are_those_with_the_explicit_matrix(outputs):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    x = torch.randn(11, 4, dtype=torch.float64)
    y = torch.randint(0, 3, (11,)) if outputs == "cross_entropy" else torch.randn(11, 3, dtype=torch.float64)
    loss = cross_entropy if outputs == "cross_entropy" else mse
    engine, looped = Engine(net, loss), Engine(net, loss)
    looped.batched = False
    everything = torch.ones(1, 11, dtype=torch.float64)
    matrix = GeneralCurvature(engine, x, y)(engine.stack(1), everything)[2][0]
    vectors = torch.randn(6, engine.n_parameters, dtype=torch.float64)
    for one in (engine, looped):
        got = GeneralCurvature(one, x, y).multiply(vectors)
        torch.testing.assert_close(got, vectors @ matrix, atol=1e-11, rtol=0)
    assert engine.batched


@pytest.mark.parametrize("hidden", [0, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_conjugate_gradients_equal_cholesky(monkeypatch, hidden, dtype):
    """With one damping for both: without the matrix it is estimated more roughly."""
    matrix = coalitions(12, 40)
    direct = moved(early_stopped(dtype, hidden=hidden), matrix, damping=3.0)
    monkeypatch.setattr(influence, "DIRECT", 0)
    monkeypatch.setattr(influence, "DIRECT_HEAD", 0)
    monkeypatch.setattr(influence, "_BYTES", 1)  # one vector at a time
    if not hidden:  # where nothing is raised
        torch.testing.assert_close(
            moved(early_stopped(dtype, hidden=hidden), matrix, damping=3.0),
            direct,
            atol=5e-3 * float(direct.norm(dim=1).max()),
            rtol=0,
        )
        return
    # The direct way raises the damping until the true Hessian is definite; the same damping for both then.
    problem = early_stopped(dtype, hidden=hidden)
    monkeypatch.setattr(influence, "_TOLERANCE", 1e-6)
    iterative = moved(problem, matrix, damping=30.0)
    monkeypatch.setattr(influence, "DIRECT", 10**6)
    direct = moved(early_stopped(dtype, hidden=hidden), matrix, damping=30.0)
    torch.testing.assert_close(iterative, direct, atol=2e-3 * float(direct.norm(dim=1).max()), rtol=0)


def test_a_network_of_fifty_thousand_parameters_in_float32():
    (x, y), test = breast_cancer(rows=60, tests=60, features=30)
    torch.manual_seed(0)
    start = nn.Sequential(nn.Linear(30, 200), nn.Tanh(), nn.Linear(200, 210), nn.Tanh(), nn.Linear(210, 2))
    recipe = Recipe("adam", lr=0.002, epochs=10, batch_size=16, init=start)
    x32 = torch.as_tensor(x, dtype=torch.float32)
    model = recipe.train(start, cross_entropy, x32, torch.as_tensor(y))
    players = np.repeat(np.arange(6), 10)
    problem = ValuationProblem(model, (x, y), test, metric="log_likelihood", groups=players, fit=recipe)
    assert problem.engine.n_parameters > 48_000
    engine = problem.engine
    alone = moved(problem, ~np.eye(6, dtype=bool), damping=5.0)
    assert alone.dtype == torch.float32
    losses = GeneralCurvature(engine, problem.x, problem.y)
    objective = Objective(engine, problem.x, problem.y, losses, recipe)
    objective.centre_roughly(5.0, losses.multiply)
    rows = torch.as_tensor(problem.player_of_row == np.arange(6)[:, None]).float()
    right = engine.flatten(engine.gradients(engine.stack(6), rows, problem.x, problem.y)) - objective.correction / 6
    left = losses.multiply(alone) + (objective.l2 + objective.proximal) * alone - right
    assert (left.norm(dim=1) <= 5e-3 * right.norm(dim=1)).all(), "the systems are solved"
    models = Influence(damping=5.0).unlearn(problem, ~np.eye(6, dtype=bool), 0)
    given_losses = cross_entropy(problem.outputs(problem.model, problem.x), problem.y)
    for player, outputs in enumerate(models.outputs(problem.x)):
        own = torch.as_tensor(problem.player_of_row == player)
        assert cross_entropy(outputs, problem.y)[own].sum() > given_losses[own].sum(), "what is forgotten is known less"


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 100.0))
def test_two_disjoint_forget_sets_add_up(seed, damping):
    one, other, _ = np.array(np.random.default_rng(seed).multinomial(1, [0.3, 0.3, 0.4], size=40).T, dtype=bool)
    matrix = ~np.stack([one, other, one | other])
    parts = moved(PROBLEM, matrix, damping=damping)
    torch.testing.assert_close(parts[0] + parts[1], parts[2], atol=1e-11, rtol=1e-9)


PROBLEM = early_stopped()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Linear cannot be retrained for many coalitions at once")
def test_it_is_good_for_small_forget_sets_and_better_than_nothing_for_large_ones(five_providers):
    given_utility = five_providers.given_utility
    data = (five_providers.x, five_providers.y), (five_providers.x_test, five_providers.y_test)
    rows = ValuationProblem(five_providers.model, *data, metric="log_likelihood", fit=five_providers.recipe)
    one = ~np.eye(80, dtype=bool)[::4]
    retrained, ours = (UnlearningGame(rows, name)(one) for name in ("retrain", "influence"))
    assert spearmanr(ours, retrained)[0] > 0.95
    matrix = coalitions(60, 5)
    retrained, newton, ours = (
        UnlearningGame(five_providers, name)(matrix) for name in ("retrain", "newton", "influence")
    )
    errors = [np.abs(utility - retrained).mean() for utility in (newton, ours, given_utility)]
    assert errors[0] < errors[1] < errors[2]


def test_settings_out_of_range():
    with pytest.raises(InvalidValueError, match=r"damping is -1.0, but a finite number of at least 0"):
        Influence(damping=-1.0)
