"""The estimators against the definition, and their standard errors against the truth."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations
from math import factorial
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from unshap_plugin import UnlearningGame, shapley_values
from unshap_plugin.errors import BudgetError, InvalidTypeError, InvalidValueError, UnknownNameError
from unshap_plugin.estimators import METHODS, Exact, Permutation, Stratified, running


def table_game(table):
    """A game given as its utilities by bit mask (player i is bit i)."""
    table = np.asarray(table, dtype=np.float64)
    weights = 1 << np.arange(int(np.log2(len(table))))
    return lambda coalitions: table[coalitions @ weights]


def by_permutations(v, n):
    """The definition: the mean contribution over all orders. ``v`` maps bit masks to utilities."""
    values = [0.0 if not isinstance(v[0], Fraction) else Fraction(0)] * n
    for order in permutations(range(n)):
        mask = 0
        for player in order:
            values[player] += v[mask | 1 << player] - v[mask]
            mask |= 1 << player
    return [value / factorial(n) for value in values]


tables = st.integers(1, 5).flatmap(lambda n: st.lists(st.integers(-1000, 1000), min_size=2**n, max_size=2**n))


@given(tables)
@settings(deadline=None, max_examples=60)
def test_exact_is_the_mean_over_all_permutations(table):
    n = (len(table)).bit_length() - 1
    expected = by_permutations([Fraction(one) for one in table], n)
    result = Exact(n, None, 0).run(table_game(table))
    np.testing.assert_allclose(result.values, [float(one) for one in expected], rtol=0, atol=1e-9)
    assert (result.std_errors == 0).all()


@given(tables, st.integers(0, 100))
@settings(deadline=None, max_examples=60)
def test_permutation_values_sum_to_the_difference_of_the_ends(table, seed):
    n = len(table).bit_length() - 1
    result = Permutation(n, 200, seed).run(table_game(table))
    np.testing.assert_allclose(result.values.sum(), table[-1] - table[0], rtol=0, atol=1e-8)


@given(st.lists(st.integers(-100, 100), min_size=2, max_size=6))
@settings(deadline=None, max_examples=30)
def test_additive_games_are_exact_without_error(weights):
    n = len(weights)
    result = Permutation(n, 100, 0).run(lambda c: c @ np.array(weights, dtype=float))
    np.testing.assert_allclose(result.values, weights, atol=1e-9)
    np.testing.assert_allclose(result.std_errors, 0, atol=1e-9)


def test_exact_on_a_real_game_equals_a_brute_force_sum_over_permutations(five_providers):
    game = UnlearningGame(five_providers, "newton")
    result = shapley_values(game, "exact")
    masks = (np.arange(32)[:, None] >> np.arange(5) & 1).astype(bool)
    expected = by_permutations(list(UnlearningGame(five_providers, "newton")(masks)), 5)
    np.testing.assert_allclose(result.values, expected, rtol=0, atol=1e-12)
    assert list(result.players) == list("abcde")
    assert result.evaluations == 32
    np.testing.assert_allclose(result.values.sum(), result.utility_all - result.utility_none, atol=1e-12)


def test_the_dual_game_has_the_same_values(five_providers):
    game = UnlearningGame(five_providers, "newton")
    total = game(np.ones((1, 5), dtype=bool))
    exact = Exact(5, None, 0).run(game)
    dual = Exact(5, None, 0).run(lambda c: total - game(~c))
    np.testing.assert_allclose(exact.values, dual.values, rtol=0, atol=1e-12)


@pytest.mark.slow
def test_intervals_cover_the_exact_values_at_their_nominal_rate(five_providers):
    game = UnlearningGame(five_providers, "newton")
    exact = shapley_values(game, "exact").values
    seeds = 400
    covered = np.zeros((seeds, 5))
    for seed in range(seeds):
        low, high = shapley_values(game, "permutation", budget=2 + 8 * 30, seed=seed).interval(0.95)
        covered[seed] = (low <= exact) & (exact <= high)
    # Four standard deviations of a binomial with the nominal rate, both ways, player by player.
    slack = 4 * np.sqrt(0.95 * 0.05 / seeds)
    assert (np.abs(covered.mean(axis=0) - 0.95) < slack).all(), covered.mean(axis=0)


@pytest.mark.slow
def test_standard_errors_are_the_spread_over_seeds(five_providers):
    game = UnlearningGame(five_providers, "newton")
    runs = [shapley_values(game, "permutation", budget=2 + 8 * 20, seed=seed) for seed in range(300)]
    spread = np.std([run.values for run in runs], axis=0, ddof=1)
    claimed = np.sqrt(np.mean([run.std_errors**2 for run in runs], axis=0))
    np.testing.assert_allclose(claimed, spread, rtol=0.2)


def test_antithetic_pairs_reverse_each_other():
    method = Permutation(6, 50, 0)
    method.tell(ends := method.ask(), np.zeros(len(ends)))
    coalitions = method.ask()
    chains = coalitions.reshape(-1, 5, 6)
    for first, second in zip(chains[::2], chains[1::2], strict=True):
        assert np.array_equal(first.sum(axis=1), np.arange(1, 6))
        assert np.array_equal(second, ~first[::-1])


@pytest.mark.parametrize("n", [2, 5, 40])
@pytest.mark.parametrize("budget", [None, 400])
def test_the_budget_is_kept_and_nearly_used(n, budget):
    asked = 0
    method = Permutation(n, budget, 0)
    while len(coalitions := method.ask()):
        asked += len(coalitions)
        method.tell(coalitions, coalitions.sum(axis=1).astype(float))
    limit = budget or 5_000
    assert asked == method.total <= limit
    assert limit - asked < 2 * (n - 1)


def test_one_player_takes_all():
    for method in METHODS:
        result = method(1, None, 0).run(table_game([2.0, 5.0]))
        assert result.values.tolist() == [3.0], method
        assert result.std_errors.tolist() == [0.0], method


def test_vector_utilities_are_valued_column_by_column():
    table = np.random.default_rng(0).normal(size=(16, 3))
    game = lambda c: table[c @ (1 << np.arange(4))]  # noqa: E731
    for method in METHODS:
        many = method(4, 500, 0).run(game)
        for t in range(3):
            one = method(4, 500, 0).run(table_game(table[:, t]))
            np.testing.assert_allclose(many.values[:, t], one.values, rtol=0, atol=1e-14)
            np.testing.assert_allclose(many.std_errors[:, t], one.std_errors, rtol=0, atol=1e-14)


def test_an_excluded_coalition_drops_the_pairs_it_touches():
    rng = np.random.default_rng(0)
    table = rng.normal(size=32)
    broken = table.copy()
    broken[0b00101] = np.nan
    result = Permutation(5, 4000, 0).run(table_game(broken))
    assert np.isfinite(result.values).all()
    assert (result.degrees_of_freedom < 4000 // 8 - 1).any()
    exact = Exact(5, None, 0).run(table_game(table)).values
    touched = [0, 2]  # players never on either side of the hole keep all their pairs
    assert (result.degrees_of_freedom[touched] < result.degrees_of_freedom.max() + 1).all()
    assert np.abs(result.values - exact).max() < 1.0


def test_intervals_are_those_of_students_t(five_providers):
    result = shapley_values(UnlearningGame(five_providers, "newton"), "permutation", budget=50)
    low, high = result.interval(0.9)
    pairs = (50 - 2) // 8
    np.testing.assert_allclose(high - result.values, stats.t.ppf(0.95, pairs - 1) * result.std_errors)
    np.testing.assert_allclose(result.values - low, high - result.values)


BAD = [
    (
        dict(budget=17, estimator="permutation"),
        BudgetError,
        r"budget=17 is too small: one permutation of 5 players takes 6 .* two antithetic pairs, 18",
    ),
    (dict(budget=5), BudgetError, r"budget=5 is too small: .* two coalitions and their complements, 6 evaluations"),
    (dict(estimator="exact", budget=31), BudgetError, r"budget=31 is too small: .*needs all 32 evaluations"),
    (
        dict(estimator="permutatoin"),
        UnknownNameError,
        r"unknown estimator 'permutatoin' \(did you mean 'permutation'\?\)",
    ),
    (dict(estimator=3), InvalidTypeError, r"estimator is a int"),
    (dict(budget=100.5), InvalidTypeError, r"budget is 100.5"),
    (dict(seed=-1), InvalidValueError, r"seed is -1"),
]


@pytest.mark.parametrize(("kwargs", "error", "message"), BAD)
def test_bad_input(five_providers, kwargs, error, message):
    with pytest.raises(error, match=message):
        shapley_values(UnlearningGame(five_providers, "newton"), **kwargs)


def test_exact_refuses_more_than_twenty_players_before_any_work(problem):
    game = UnlearningGame(problem, "newton")
    with pytest.raises(
        BudgetError, match=r"there are 40 players and at most 20 are possible: use estimator='stratified'"
    ):
        shapley_values(game, "exact")
    assert game.evaluations == 1, "the coalition of everybody is known"


@pytest.mark.parametrize("method", [Stratified, Permutation, Exact])
def test_the_size_of_blocks_changes_no_bit(method):
    worth = np.random.default_rng(0).normal(size=(256, 1))

    def game(coalitions):
        return np.tanh(worth[np.packbits(coalitions, axis=1)[:, 0], 0])

    whole = method(8, 256, 4).run(game)
    for size in (2, 14, 1000):
        other = method(8, 256, 4)
        other.block = size
        found = other.run(game)
        for name in ("values", "std_errors", "degrees_of_freedom"):
            assert np.array_equal(getattr(whole, name), getattr(found, name))


@pytest.mark.parametrize(
    ("seconds", "sizes"),
    [
        (0.1, [2, *(16 << k for k in range(9)), 14]),
        (3.0, [2, *(2 << k for k in range(12))]),  # twice as many take no longer, so more are better
    ],
)
def test_more_is_asked_for_where_it_comes_fast(monkeypatch, seconds, sizes):
    now, asked = [0.0], []
    monkeypatch.setattr(running, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def game(coalitions):
        asked.append(len(coalitions))
        now[0] += seconds
        return coalitions.sum(axis=1).astype(float)

    Exact(13, None, 0).run(game)
    assert asked == sizes
