"""Intervals of ranks: those of plain loops, and how often they hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_results import made
from scipy import stats

from unshap_plugin.errors import InvalidTypeError, InvalidValueError


def naive(result, level):
    """Count who lies above and below for sure."""
    n, best, worst = len(result), [], []
    quantile = [stats.t.ppf(1 - (1 - level) / n / 2, df) for df in result.degrees_of_freedom]
    slack = 1e-9 * max(*np.abs(result.values), abs(result.utility_all))
    ends = [
        (-np.inf, np.inf) if np.isnan(se) else (v - q * se, v + q * se)
        for v, se, q in zip(result.values, result.std_errors, quantile, strict=True)
    ]
    for low, high in ends:
        best.append(1 + sum(other[0] > high + slack for other in ends))
        worst.append(n - sum(other[1] < low - slack for other in ends))
    return best, worst


@given(
    st.lists(
        st.tuples(
            st.one_of(st.integers(-3, 3).map(float), st.floats(-3, 3)),
            st.sampled_from([0.0, 0.01, 0.3, 2.0, np.nan]),
            st.sampled_from([1.0, 7.5, np.inf]),
        ),
        min_size=1,
        max_size=9,
    ),
    st.sampled_from([0.5, 0.9, 0.95]),
)
def test_they_are_those_of_a_plain_loop_and_hold_the_rank(players, level):
    result = made(*np.array(players).T)
    best, worst = result.rank_intervals(level)
    assert (best.tolist(), worst.tolist()) == naive(result, level)
    rank = result.to_frame()["rank"].to_numpy()
    assert (worst >= rank).all()
    assert (best <= stats.rankdata(-result.values, method="max")).all()
    wider = result.rank_intervals((1 + level) / 2)
    assert (wider[0] <= best).all()
    assert (wider[1] >= worst).all()
    assert best.dtype == worst.dtype == np.int64


def test_equal_values_share_their_ranks_and_round_off_separates_nobody():
    best, worst = made([0.1 + 0.2, 0.3, 1.0, -1.0]).rank_intervals()
    assert best.tolist() == [2, 2, 1, 4]
    assert worst.tolist() == [3, 3, 1, 4]


def test_a_value_without_a_standard_error_may_have_any_rank():
    best, worst = made([3.0, 2.0, 1.0], [0.01, np.nan, 0.01]).rank_intervals()
    assert best.tolist() == [1, 1, 2]
    assert worst.tolist() == [2, 3, 3]


def test_columns_are_ranked_each_for_itself():
    rng = np.random.default_rng(0)
    values, errors = rng.normal(size=(6, 3)), rng.random((6, 3)) / 3
    both = made(values, errors, 9.0).rank_intervals()
    for k in range(3):
        one = made(values[:, k], errors[:, k], 9.0).rank_intervals()
        for end in (0, 1):
            np.testing.assert_array_equal(both[end][:, k], one[end])


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("together", [False, True], ids=["independent", "of a known sum"])
def test_all_ranks_hold_at_once_as_often_as_is_said(tied, together):
    """Over 400 draws of the values of twelve players with 15 degrees of freedom, at .9."""
    rng = np.random.default_rng(1)
    truth = np.array([3.0, 2.9, 2.8, 2.0, 1.9, 1.0, 0.9, 0.8, 0.0, -0.1, -1.0, -1.1])
    if tied:
        truth = np.round(truth)
    first, last = stats.rankdata(-truth, method="min"), stats.rankdata(-truth, method="max")
    se, df, held, width = 0.15, 15, 0, []
    for _ in range(400):
        noise = rng.normal(size=12)
        if together:
            noise = (noise - noise.mean()) / np.sqrt(1 - 1 / 12)
        estimated = se * np.sqrt(rng.chisquare(df, 12) / df)
        best, worst = made(truth + se * noise, estimated, df).rank_intervals(0.9)
        held += bool((best <= first).all() and (worst >= last).all())
        width.append((worst - best).mean())
    assert held / 400 >= 0.9
    assert np.mean(width) < 7, "they say something"


def test_a_level_outside_0_and_1_is_refused():
    with pytest.raises(InvalidValueError, match="level is 95"):
        made([1.0]).rank_intervals(95)
    with pytest.raises(InvalidTypeError, match="level is '95%'"):
        made([1.0]).rank_intervals("95%")
