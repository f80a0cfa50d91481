"""Semivalues of games, against enumeration, and what their results say."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import brute
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unshap_conformance.semivalues import by_subsets

from unshap_plugin import UnlearningGame, ValuationResult, semivalues, shapley_values
from unshap_plugin.cautions import left_out
from unshap_plugin.errors import DivergenceError, InvalidValueError, UnknownNameError
from unshap_plugin.estimators.semivalue import semivalue_of

KINDS = {"banzhaf": "banzhaf", "loo": "leave_one_out"}


class Table:
    """A game of five players, or as many as its utilities say, that counts what it is asked for."""

    def __init__(self, utilities):
        self.utilities = np.asarray(utilities, dtype=float)
        self.n_players = len(self.utilities).bit_length() - 1
        self.asked = []

    def __call__(self, coalitions):
        self.asked += coalitions.tolist()
        return self.utilities[coalitions @ (1 << np.arange(self.n_players))]


@given(
    st.integers(1, 5).flatmap(lambda n: st.lists(st.integers(-50, 50), min_size=2**n, max_size=2**n)),
    st.sampled_from(["banzhaf", "loo", ("beta", 1, 1), ("beta", 16, 1), ("beta", 0.5, 3)]),
)
@settings(deadline=None, max_examples=80)
def test_they_are_those_of_rational_arithmetic(utilities, kind):
    expected = by_subsets(tuple(map(Fraction, utilities)), KINDS.get(kind, kind))
    result = semivalues(Table(utilities), kind)
    np.testing.assert_allclose(result.values, [float(one) for one in expected], rtol=0, atol=1e-12 * 100)
    assert (result.std_errors == 0).all()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6).filter(lambda weights: sum(weights) > 0.1), st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_any_weights_are_those_of_the_definition(weights, seed):
    n, weights = len(weights), np.array(weights) / sum(weights)
    game = Table(np.random.default_rng(seed).normal(size=2**n))
    expected = brute.semivalues(lambda keep: game(keep[None])[0], n, lambda size: weights[size] / comb(n - 1, size))
    for estimator in ("exact", "stratified"):
        found = semivalues(game, weights, estimator, budget=2**n + 2)
        np.testing.assert_allclose(found.values, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["banzhaf", ("beta", 4, 1), ("beta", 1, 16)], ids=str)
@pytest.mark.parametrize("n", [1, 2, 7, 400, 3000])
def test_weights_are_one_in_all(kind, n):
    weights = semivalue_of(kind, n).weights
    assert weights.shape == (n,)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1, abs=1e-12)


def test_equal_weights_are_shapley_by_the_same_coalitions():
    game = Table(np.random.default_rng(0).normal(size=256))
    ours = semivalues(game, np.full(8, 1 / 8), "stratified", budget=100, seed=4)
    theirs = shapley_values(game, "stratified", budget=100, seed=4)
    np.testing.assert_allclose(ours.values, theirs.values, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours.std_errors, theirs.std_errors, rtol=1e-9)


def test_leaving_one_out_takes_one_utility_a_player_and_that_of_all(five_providers):
    game = UnlearningGame(five_providers, "newton")
    result = semivalues(game, "loo")
    assert (result.evaluations, result.asked, result.estimator, result.semivalue) == (
        6,
        6,
        "loo",
        "leave-one-out value",
    )
    np.testing.assert_array_equal(result.values, result.utility_all - game(~np.eye(5, dtype=bool)))
    assert np.isnan(result.utility_none)
    assert (result.std_errors == 0).all()
    again = ValuationResult.from_json(result.to_json())
    assert (again.semivalue, repr(again)) == (result.semivalue, repr(result))
    assert "leave-one-out value, log_likelihood, newton, loo" in repr(result)


def test_what_the_game_knows_is_not_evaluated_again(five_providers):
    game = UnlearningGame(five_providers, "newton")
    shapley_values(game)
    assert game.evaluations == 32
    for kind in ("banzhaf", ("beta", 16, 1), "loo", [0.2] * 5):
        result = semivalues(game, kind)
        assert (result.evaluations, game.evaluations) == (32, 32)
        assert np.isnan(result.missing)
        assert not result.biased
        assert not any("sum" in note for note in result.notes)


def test_a_comparison_says_that_the_values_mean_different_things(five_providers):
    game = UnlearningGame(five_providers, "newton")
    compared = shapley_values(game).compare(semivalues(game, "banzhaf"))
    assert compared.notes[0].startswith("a Shapley value is compared with a Banzhaf value")
    assert not any("different games" in note or "compared with" in note for note in compared.notes[1:])
    assert shapley_values(game).compare(shapley_values(game)).notes == ()


def test_vectors_are_valued_column_by_column():
    table = np.random.default_rng(1).normal(size=(64, 2))
    for kind in ("banzhaf", ("beta", 4, 1), "loo"):
        many = semivalues(Table(table), kind, budget=30)
        for t in range(2):
            one = semivalues(Table(table[:, t]), kind, budget=30)
            np.testing.assert_allclose(many.values[:, t], one.values, rtol=0, atol=1e-9)
            np.testing.assert_allclose(many.std_errors[:, t], one.std_errors, rtol=1e-6)


def test_many_players_are_sampled_where_the_weights_are():
    n = 300
    worth = np.linspace(-1, 3, n)
    asked = []

    class Game:
        n_players = n

        def __call__(self, coalitions):
            asked.append(coalitions.sum(axis=1))
            return np.tanh(coalitions @ worth / 150)

    result = semivalues(Game(), "banzhaf", budget=900)
    assert (result.estimator, set(result.reasons)) == ("stratified", {"estimator"})
    sizes = np.concatenate(asked[1:-1])  # without the ends
    assert (np.abs(sizes - n / 2) < 80).all()
    assert np.corrcoef(result.values, worth)[0, 1] > 0.99
    assert semivalues(Game(), ("beta", 16, 1), budget=900).values[-1] > result.values[-1]


def test_exclusions_are_counted_where_no_sum_shows_them():
    table = np.random.default_rng(2).normal(size=32)
    table[3] = np.nan
    with pytest.raises(DivergenceError, match=r"estimator 'exact' needs the utility .*; use a game that excludes none"):
        semivalues(Table(table), "banzhaf")
    assert np.isfinite(semivalues(Table(table), "banzhaf", "stratified", budget=32).values).all()
    kept, known = np.array([[False, False], [True, False]]), np.array([0.0, np.nan])
    note = left_out(kept, known, np.array(np.nan))
    assert "1 of 2 evaluated coalitions were excluded (1 of the 1 that keep 1 player), and the values show now" in note


def test_they_are_no_estimators_of_shapley_values():
    with pytest.raises(UnknownNameError, match=r"semivalues\(game, 'loo'\) has them"):
        shapley_values(Table([0.0, 1.0]), "loo")
    with pytest.raises(InvalidValueError, match=r"estimator 'permutation' has Shapley values only"):
        semivalues(Table([0.0, 1.0]), "banzhaf", "permutation")


def test_tables_of_other_values_than_shapley_say_which():
    game = Table([0.0, 1.0, 2.0, 4.0])
    assert "semivalue" not in shapley_values(game).to_frame()
    frame = semivalues(game, ("beta", 4, 1)).to_frame()
    assert list(frame)[:3] == ["player", "semivalue", "value"]
    assert set(frame["semivalue"]) == {"Beta(4, 1) Shapley value"}

    class Two(Table):
        def __call__(self, coalitions):
            return np.stack([super().__call__(coalitions)] * 2, axis=1)

    frame = semivalues(Two([0.0, 1.0, 2.0, 4.0]), "loo").to_frame()
    assert list(frame)[:4] == ["player", "semivalue", "metric", "value"]
    assert set(frame["semivalue"]) == {"leave-one-out value"}
