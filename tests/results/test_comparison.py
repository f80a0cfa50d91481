"""Comparisons: whose values differ by more than their errors explain, and what is said where that means little."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_results import made
from scipy import stats

from unshap_plugin import UnlearningGame, shapley_values
from unshap_plugin.errors import InvalidTypeError, InvalidValueError
from unshap_plugin.results.comparison import holm


def test_differences_are_tested_as_welch_does():
    """Against scipy's test of two samples, of which the values are means."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(6, 12)), rng.normal(0.8, 2.0, size=(6, 7))
    one, other = (
        made(x.mean(axis=1), x.std(axis=1, ddof=1) / np.sqrt(x.shape[1]), x.shape[1] - 1.0) for x in (first, second)
    )
    found = one.compare(dataclasses.replace(other, seed=1), level=0.9)
    expected = stats.ttest_ind(first, second, axis=1, equal_var=False)
    np.testing.assert_allclose(found.p_values, expected.pvalue, rtol=1e-9)
    for k in range(6):
        interval = stats.ttest_ind(first[k], second[k], equal_var=False).confidence_interval(0.9)
        np.testing.assert_allclose([found.low[k], found.high[k]], interval, rtol=1e-9)
    np.testing.assert_array_equal(found.differs, found.adjusted < 0.1)
    assert found.spearman == pytest.approx(stats.spearmanr(one.values, other.values)[0])


def naive_holm(p):
    """Reject from the smallest on, each at its level: the least level at which that happens."""
    tested = sorted(one for one in p if not np.isnan(one))
    m = len(tested)
    return [
        np.nan if np.isnan(one) else max(min(1.0, (m - k) * tested[k]) for k in range(m) if tested[k] <= one)
        for one in p
    ]


@given(st.lists(st.one_of(st.floats(0, 1), st.just(np.nan)), max_size=10))
def test_adjusted_ones_are_holms(p):
    adjusted = holm(np.array(p, dtype=float))
    np.testing.assert_allclose(adjusted, naive_holm(p), rtol=1e-12)
    assert all(np.isnan(one) or one <= other for one, other in zip(p, adjusted, strict=True))


def test_players_are_matched_by_name():
    one = made([1.0, 2.0, 3.0], [0.1, 0.2, 0.3], [4.0, 5.0, 6.0], players="abc")
    other = made([3.5, 1.5, 2.5], [0.3, 0.1, 0.2], [6.0, 4.0, 5.0], players="cab", seed=1)
    found = one.compare(other)
    assert found.players == tuple("abc")
    np.testing.assert_array_equal(found.others, [1.5, 2.5, 3.5])
    np.testing.assert_array_equal(found.differences, [-0.5, -0.5, -0.5])
    np.testing.assert_allclose(found.std_errors, np.sqrt(2) * one.std_errors)
    back = other.compare(one)
    np.testing.assert_array_equal(back.differences, [0.5, 0.5, 0.5])
    np.testing.assert_allclose(np.sort(back.p_values), np.sort(found.p_values))
    np.testing.assert_array_equal(np.sort(found.low), np.sort(-back.high))


def test_nobody_is_named_wrongly_more_often_than_is_said_and_large_differences_are_found():
    """Over 400 pairs of results of ten players with eight degrees of freedom, of which the last differs."""
    rng, wrong, found = np.random.default_rng(0), 0, 0
    truth = np.arange(10.0)
    change = np.where(truth == 9, 1.5, 0.0)
    for _ in range(400):
        pair = [
            made(truth + shift + 0.2 * rng.normal(size=10), 0.2 * np.sqrt(rng.chisquare(8, 10) / 8), 8.0, seed=seed)
            for seed, shift in enumerate((0.0, change))
        ]
        differs = pair[0].compare(pair[1]).differs
        wrong += bool(differs[:9].any())
        found += bool(differs[9])
    assert wrong / 400 <= 0.06
    assert found / 400 >= 0.8


def test_exact_values_differ_or_do_not():
    same = made([0.3, -0.1]).compare(made([0.1 + 0.2, -0.1]))
    assert same.p_values.tolist() == [1, 1]
    assert not same.differs.any()
    assert same.notes == ()
    other = made([0.3, -0.1]).compare(made([0.3, -0.2], missing=0.1))
    assert other.differs.tolist() == [False, True]
    assert other.low[1] == other.high[1] == pytest.approx(0.1)
    assert repr(other) == "Comparison(1 of 2 players differs beyond the errors (95%, Holm): 1; Spearman 1.000)"


def test_two_seeds_of_one_game_differ_in_nothing_and_another_game_is_named(five_providers):
    game = UnlearningGame(five_providers, "newton")
    first, second = (shapley_values(game, "permutation", 60, seed) for seed in (0, 1))
    found = first.compare(second)
    assert found.notes == ()
    assert repr(found).startswith("Comparison(none of 5 players differs beyond the errors (95%, Holm); Spearman ")
    exact = shapley_values(UnlearningGame(five_providers, "influence"), "exact")
    [note] = first.compare(exact).notes
    assert note.startswith("the games differ in unlearner (newton and influence), settings ({")
    assert "v(none) (" in note
    assert "v(all)" not in note
    assert note.endswith("a difference that exceeds the errors may be theirs.")


def test_one_seed_twice_is_said_and_another_helps():
    one = made([1.0, 2.0], 0.1, 9.0)
    [note] = one.compare(made([1.1, 2.1], 0.1, 9.0, utility_all=one.utility_all)).notes
    assert note == (
        "both were sampled with 'stratified' and the seed 0, so that their errors are not independent, as is assumed: "
        "use another seed for one of them."
    )
    assert one.compare(made([1.1, 2.1], 0.1, 9.0, utility_all=one.utility_all, seed=1)).notes == ()
    assert one.compare(made([1.0, 2.0])).notes == (), "an exact one has no errors"


def test_of_a_value_without_a_standard_error_nothing_is_said():
    one = made([1.0, 2.0, 3.0], [0.1, np.nan, 0.1], 9.0)
    found = one.compare(made([5.0, 6.0, 3.0], 0.1, 9.0, utility_all=one.utility_all, seed=1))
    assert found.differs.tolist() == [True, False, False]
    assert np.isnan([found.p_values[1], found.adjusted[1], found.low[1], found.high[1]]).all()
    assert found.adjusted[0] == 2 * found.p_values[0], "two are tested"
    [note] = found.notes
    assert note.startswith("1 of 3 players have no standard error in one of the results")


def test_a_rank_correlation_that_is_not_defined_is_none():
    assert np.isnan(made([1.0, 1.0]).compare(made([1.0, 2.0])).spearman)
    assert np.isnan(made([1.0]).compare(made([1.0])).spearman)


def test_the_table_has_a_row_per_player():
    frame = (
        made([1.0, 2.0], 0.1, 9.0, players="ab").compare(made([1.0, 9.0], 0.1, 9.0, players="ab", seed=1)).to_frame()
    )
    names = ["value", "other", "difference", "std_error", "ci_low", "ci_high", "p_value", "p_adjusted", "differs"]
    assert list(frame) == ["player", *names]
    assert frame["differs"].tolist() == [False, True]


def test_what_cannot_be_compared_is_refused():
    one = made([1.0, 2.0], players="ab")
    with pytest.raises(InvalidTypeError, match="other is a dict, but a ValuationResult is needed"):
        one.compare({})
    with pytest.raises(InvalidValueError, match="the results are of different players, b, c being in one of them only"):
        one.compare(made([1.0, 2.0], players="ac"))
    with pytest.raises(InvalidValueError, match="the results are of different players, c being in one of them only"):
        one.compare(made([1.0, 2.0, 3.0], players="abc"))
    with pytest.raises(InvalidValueError, match="of different metrics, 'accuracy' and 'log_likelihood'"):
        one.compare(made([1.0, 2.0], players="ab", metric="log_likelihood"))
    with pytest.raises(InvalidValueError, match="compare needs one value per player"):
        one.compare(made(np.ones((2, 2)), players="ab"))
    with pytest.raises(InvalidValueError, match="level is 95"):
        one.compare(one, level=95)
