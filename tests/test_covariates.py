"""First-order marginals of an unlearner as covariates of values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from problems import coalitions
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from unshap_plugin import UnlearningGame, ValuationProblem, covariates, shapley_values
from unshap_plugin.covariates import LEAST_PLAYERS, has_marginals, marginal_covariates
from unshap_plugin.unlearners import Newton

ROWS = 60


def rows_of_breast_cancer(model=None, groups=None, **kwargs):
    x, y = load_breast_cancer(return_X_y=True)
    x = StandardScaler().fit_transform(x)[:, :8]
    y = y.copy()
    y[:ROWS:6] = 1 - y[:ROWS:6]
    fitted = (LogisticRegression(C=0.1) if model is None else model).fit(x[:ROWS], y[:ROWS])
    return ValuationProblem(fitted, (x[:ROWS], y[:ROWS]), (x[300:500], y[300:500]), groups=groups, **kwargs)


def regression():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    y = x @ [1.0, -2.0, 0.5] + 0.3 * rng.normal(size=40)
    return ValuationProblem(Ridge(alpha=2.0).fit(x[:20], y[:20]), (x[:20], y[:20]), (x[20:], y[20:]))


def test_of_a_squared_loss_they_are_exact_in_the_parameters():
    problem = regression()
    everybody = np.ones((1, 20), dtype=bool)
    found = Newton().marginals(problem, everybody)[0]
    engine = problem.engine
    test = torch.full((1, 20), -1 / 20, dtype=engine.dtype)
    slope = engine.flatten(engine.gradients(engine.stack(1), test, problem.x_test, problem.y_test))[0]
    without = engine.flatten(Newton().unlearn(problem, ~np.eye(20, dtype=bool), 0).state)
    expected = (engine.flatten(engine.stack(1)) - without) @ slope
    np.testing.assert_allclose(found, expected.double().numpy(), rtol=2e-3, atol=1e-5)


def test_they_are_near_the_differences_of_utilities_inside_and_outside():
    problem = rows_of_breast_cancer()
    game = UnlearningGame(problem, "newton")
    for coalition in coalitions(200, ROWS, seed=1)[[3, 11, 19, 42]]:
        if not 25 <= coalition.sum() <= 50:
            continue
        others = coalition ^ np.eye(ROWS, dtype=bool)
        [here], there = game(coalition[None]), game(others)
        added = np.where(coalition, here - there, there - here)
        found = Newton().marginals(problem, coalition[None])[0]
        assert np.corrcoef(found, added)[0, 1] > 0.95
        assert np.polyfit(found, added, 1)[0] == pytest.approx(1, abs=0.3)


def test_those_of_groups_are_sums_over_their_rows():
    groups = np.repeat(np.arange(ROWS // 2), 2)
    own = coalitions(5, ROWS // 2)
    by_row = Newton().marginals(rows_of_breast_cancer(), np.repeat(own, 2, axis=1))
    by_group = Newton().marginals(rows_of_breast_cancer(groups=groups), own)
    np.testing.assert_allclose(by_group, by_row[:, ::2] + by_row[:, 1::2], rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_they_make_the_values_of_rows_better():
    problem = rows_of_breast_cancer()
    truth = shapley_values(UnlearningGame(problem, "newton"), "permutation", 60_000, seed=9).values
    off = {
        name: np.mean(
            [
                ((shapley_values(UnlearningGame(problem, "newton"), name, 4 * ROWS, seed).values - truth) ** 2).sum()
                for seed in range(3)
            ]
        )
        for name in ("stratified", "composite")
    }
    assert off["composite"] < off["stratified"] / 2


@pytest.mark.parametrize(("tests", "at_most"), [(200, 128), (5_000, 32)])
def test_so_many_coalitions_at_a_time_as_rows_of_training_and_of_test_allow(tests, at_most, monkeypatch):
    x, y = load_breast_cancer(return_X_y=True)
    x = StandardScaler().fit_transform(x)[:, :8]
    test = np.resize(np.arange(300, 500), tests)
    problem = ValuationProblem(LogisticRegression().fit(x[:ROWS], y[:ROWS]), (x[:ROWS], y[:ROWS]), (x[test], y[test]))
    seen = []

    def noted(game, some):
        seen.append(len(some))
        return np.zeros(some.shape)

    monkeypatch.setattr(covariates, "_marginals", noted)
    marginal_covariates(UnlearningGame(problem, "newton"), 12_000, seed=0)
    assert sum(seen) == 1_200, "a tenth of the budget"
    assert at_most * 0.7 < max(seen) <= at_most


def test_auto_takes_them_and_says_why():
    result = shapley_values(UnlearningGame(rows_of_breast_cancer(), "newton"), budget=300)
    assert result.estimator == "composite"
    assert "marginal contributions to first order" in result.reasons["estimator"]
    assert result.values.sum() == pytest.approx(float(result.utility_all - result.utility_none), abs=1e-12)
    again = shapley_values(UnlearningGame(rows_of_breast_cancer(), "newton", chunk=3), budget=300)
    np.testing.assert_array_equal(result.values, again.values)
    np.testing.assert_array_equal(result.std_errors, again.std_errors)


@pytest.mark.parametrize(
    ("problem", "unlearner"),
    [
        (lambda: rows_of_breast_cancer(groups=np.arange(ROWS) % 10), "newton"),
        (lambda: rows_of_breast_cancer(RandomForestClassifier(5, random_state=0)), "retrain"),
        (lambda: rows_of_breast_cancer(access="partial"), "gradient_ascent"),
        (lambda: rows_of_breast_cancer(), "retrain"),
    ],
    ids=["few players", "no parameters", "partial", "no marginals"],
)
def test_games_without_them_are_stratified(problem, unlearner):
    game = UnlearningGame(problem(), unlearner)
    assert not has_marginals(game)


def test_covariates_come_from_the_seed():
    game = UnlearningGame(rows_of_breast_cancer(), "newton")
    one, same, other = (marginal_covariates(game, 4_000, seed) for seed in (1, 1, 2))
    assert one.shape == (ROWS, 4)
    assert game.n_players >= LEAST_PLAYERS
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert np.corrcoef(one.sum(axis=1), other.sum(axis=1))[0, 1] > 0.95
