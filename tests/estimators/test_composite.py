"""Direct estimates composed with covariates: the model of Fay and Herriot, its twin, and what must hold of any."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unshap_plugin.estimators import Composite, Stratified
from unshap_plugin.estimators.base import Estimate
from unshap_plugin.estimators.composite import composed


def areas(seed, n=60, tau=0.3, noise=1.0, slope=2.0):
    """True values, direct estimates of them, and a covariate."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    truth = 1 + slope * x + tau * rng.normal(size=n)
    errors = noise * rng.uniform(0.5, 1.5, size=n)
    return truth, Estimate(truth + errors * rng.normal(size=n), errors, np.full(n, 30.0)), x[:, None]


def by_matrices(direct, covariates, grid):
    """The same by the matrices of the mixed model, each ``[n, n]``."""
    y, n = direct.values, len(direct.values)
    x = np.column_stack([np.ones(n), (covariates - covariates.mean(axis=0)) / covariates.std(axis=0)])
    noise = np.diag(direct.std_errors**2)
    logs, means, variances = [], [], []
    for tau in grid:
        both = noise + tau**2 * np.eye(n)
        precise = np.linalg.inv(both)
        information = x.T @ precise @ x
        beta = np.linalg.solve(information, x.T @ precise @ y)
        rest = y - x @ beta
        logs.append(-(np.linalg.slogdet(both)[1] + np.linalg.slogdet(information)[1] + rest @ precise @ rest) / 2)
        shrink = tau**2 * precise
        means.append(x @ beta + shrink @ rest)
        left = (np.eye(n) - shrink) @ x
        variances.append(np.diag(shrink @ noise + left @ np.linalg.inv(information) @ left.T))
    weight = np.exp(np.array(logs) - max(logs)) * np.gradient(grid)
    weight /= weight.sum()
    mean = weight @ np.array(means)
    spread = weight @ (np.array(variances) + (np.array(means) - mean) ** 2)
    return mean + (y.sum() - mean.sum()) / n, np.sqrt(spread)


def test_it_is_the_mixed_model():
    _, direct, x = areas(0)
    found = composed(direct, x)
    low = 1e-2 * np.sqrt((direct.std_errors**2).mean())
    grid = np.concatenate([[0.0], np.geomspace(low, 4 * direct.values.std(), 80)])
    values, errors = by_matrices(direct, x, grid)
    np.testing.assert_allclose(found.values, values, rtol=1e-9)
    np.testing.assert_allclose(found.std_errors, errors, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tau", "slope", "most"), [(0.3, 2.0, 0.35), (5.0, 2.0, 1.1), (0.3, 0.0, 0.35), (5.0, 0.0, 1.1)]
)
def test_covariates_help_where_they_tell_something_and_cost_nothing_where_not(tau, slope, most):
    before, after, covered = [], [], []
    for seed in range(40):
        truth, direct, x = areas(seed, tau=tau, slope=slope)
        found = composed(direct, x)
        before.append(((direct.values - truth) ** 2).mean())
        after.append(((found.values - truth) ** 2).mean())
        covered.append((np.abs(found.values - truth) <= 1.96 * found.std_errors).mean())
    assert np.mean(after) < most * np.mean(before)
    assert 0.92 < np.mean(covered) < 0.98


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(6, 40), shift=st.floats(-5, 5), scale=st.floats(0.1, 10))
def test_values_keep_their_sum_and_follow_units_and_order(seed, n, shift, scale):
    _, direct, x = areas(seed, n)
    found = composed(direct, x)
    assert found.values.sum() == pytest.approx(direct.values.sum(), rel=1e-9, abs=1e-9)
    assert (found.std_errors > 0).all()
    order = np.random.default_rng(seed).permutation(n)
    moved = Estimate(
        (shift + scale * direct.values)[order], scale * direct.std_errors[order], direct.degrees_of_freedom
    )
    again = composed(moved, 3 - 2 * x[order])  # whose units do not matter
    np.testing.assert_allclose(again.values, shift + scale * found.values[order], rtol=1e-6, atol=1e-6 * scale)
    np.testing.assert_allclose(again.std_errors, scale * found.std_errors[order], rtol=1e-6)


def test_columns_are_composed_each_by_itself_and_exact_ones_stay():
    _, one, x = areas(1)
    _, other, _ = areas(2)
    exact = np.zeros(60)
    both = Estimate(
        np.stack([one.values, other.values, one.values], axis=1),
        np.stack([one.std_errors, other.std_errors, exact], axis=1),
        np.full((60, 3), 30.0),
    )
    found = composed(both, x)
    np.testing.assert_array_equal(found.values[:, 0], composed(one, x).values)
    np.testing.assert_array_equal(found.values[:, 1], composed(other, x).values)
    np.testing.assert_array_equal(found.values[:, 2], one.values)
    np.testing.assert_array_equal(found.std_errors[:, 2], exact)


def test_covariates_that_say_nothing_are_left_out():
    _, direct, x = areas(3)
    found = composed(direct, np.column_stack([x, np.ones(60)]))
    np.testing.assert_array_equal(found.values, composed(direct, x).values)


def test_without_covariates_it_is_stratified():
    def game(coalitions):
        return np.sin(coalitions @ np.arange(9.0))

    ours, theirs = Composite(9, 60, 3).run(game), Stratified(9, 60, 3).run(game)
    np.testing.assert_array_equal(ours.values, theirs.values)
    np.testing.assert_array_equal(ours.std_errors, theirs.std_errors)
