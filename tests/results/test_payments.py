"""Payments: to the cent, by value, never below the floor, and with intervals that hold."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from made_results import made

from unshap_plugin.errors import InvalidTypeError, InvalidValueError, UnknownNameError
from unshap_plugin.results.payments import share_intervals

values = st.lists(st.floats(-1e3, 1e3).map(lambda one: round(one, 6)), min_size=1, max_size=10)


def test_payments_are_in_proportion_to_positive_values():
    paid = made([1.0, -2.0, 3.0, 0.0, 0.0], players="abcde").payouts(1_000)
    assert dict(zip(paid.players, map(str, paid.payments), strict=True)) == {
        "a": "250.00",
        "b": "0.00",
        "c": "750.00",
        "d": "0.00",
        "e": "0.00",
    }
    assert paid.low == paid.high == paid.payments, "exact values leave nothing open"
    assert paid["c"] == 750
    assert (len(paid), paid.total, paid.floor, paid.level) == (5, 1000, 0, 0.95)
    assert repr(paid) == "Payouts(1,000.00 to 5 players; c: 750.00, a: 250.00, b: 0.00, ...)"
    with pytest.raises(UnknownNameError, match="unknown player 'z'"):
        paid["z"]


def test_everybody_gets_the_floor_and_the_rest_goes_by_value():
    result = made([1.0, -2.0, 3.0])
    assert result.payouts("100.00", "10.00").payments == (Decimal("27.50"), Decimal("10.00"), Decimal("62.50"))
    assert result.payouts(30, 10).payments == (10, 10, 10)
    with pytest.raises(InvalidValueError, match=r"floor is 10\.01, but 3 times that is more than the total of 30\.00"):
        result.payouts(30, "10.01")


@settings(max_examples=50)
@given(values, st.integers(1, 10**8), st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_they_add_up_are_monotone_and_do_not_go_by_order(worth, total, floor, random):
    n = len(worth)
    assume(max(worth) > 0)
    assume(n * floor <= total)
    total, floor = Decimal(total) / 100, Decimal(floor) / 100
    errors = [random.random() for _ in worth]
    result = made(worth, errors, 12.0)
    paid = result.payouts(total, floor)
    assert sum(paid.payments) == total
    for i in range(n):
        assert floor <= paid.low[i] <= paid.payments[i] <= paid.high[i] <= total
        assert worth[i] > 0 or paid.payments[i] == floor
        assert all(paid.payments[i] >= paid.payments[j] for j in range(n) if worth[i] > worth[j])
    order = random.sample(range(n), n)
    again = made([worth[k] for k in order], [errors[k] for k in order], 12.0, players=order).payouts(total, floor)
    assert again.payments == tuple(paid.payments[k] for k in order)
    close = Decimal("0.01")  # sums in another order may round to another cent
    assert all(abs(again.low[at] - paid.low[k]) <= close for at, k in enumerate(order))
    assert all(abs(again.high[at] - paid.high[k]) <= close for at, k in enumerate(order))


def test_the_table_adds_up_and_is_written_with_all_cents():
    frame = made([1.0, 1.0, 1.0], 0.1, 9.0).payouts(100).to_frame()
    assert list(frame) == ["player", "value", "payment", "low", "high"]
    assert frame["payment"].sum() == 100
    assert frame[["player", "payment"]].to_csv(index=False, lineterminator="\n") == (
        "player,payment\n0,33.34\n1,33.33\n2,33.33\n"
    )


@pytest.mark.parametrize("worth", [[-1.0, -2.0], [0.0, 0.0], [1.0, 1e-12, -1.0 - 1e-12]])
def test_where_nobody_is_worth_anything_nobody_is_paid(worth):
    result = made(worth, utility_all=np.array(1.0))
    if max(worth) < 1:
        with pytest.raises(InvalidValueError, match="no player has a positive value"):
            result.payouts(100)
    else:
        assert result.payouts(100).payments == (100, 0, 0), "round-off is not paid"


def test_values_that_are_round_off_are_not_paid():
    with pytest.raises(InvalidValueError, match="no player has a positive value"):
        made([3e-17, -3e-17], utility_all=np.array(0.9), utility_none=np.array(0.9)).payouts(100)


def test_vectors_and_other_levels_are_refused():
    with pytest.raises(InvalidValueError, match="payouts needs one value per player"):
        made(np.ones((5, 2))).payouts(1_000)
    with pytest.raises(InvalidValueError, match="level is 2"):
        made([1.0]).payouts(100, level=2)
    with pytest.raises(InvalidTypeError, match="total is None"):
        made([1.0]).payouts(None)


def test_without_standard_errors_the_intervals_are_not_known():
    paid = made([1.0, 2.0], [np.nan, 0.1], 9.0).payouts(300)
    assert paid.payments == (100, 200)
    assert all(end.is_nan() for end in (*paid.low, *paid.high))


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 0.5), st.floats(0, 0.5)), min_size=1, max_size=7),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_no_values_within_their_intervals_have_other_shares(players, efficient, random):
    """Every point of the box, on the plane of the known sum where there is one, has its shares between the ends."""
    worth, down, up = np.array(players).T
    assume(worth.max() > 1e-3)
    low, high = share_intervals(worth, (worth - down, worth + up), efficient=efficient)
    for _ in range(20):
        point = np.array([v + random.choice([-a, b, 0.0, random.uniform(-a, b)]) for v, a, b in players])
        if efficient:  # back onto the plane, along the room that is left
            gap = worth.sum() - point.sum()
            room = (worth + up - point) if gap > 0 else (point - worth + down)
            point = point + (0 if room.sum() == 0 else gap * room / room.sum())
        whole = np.maximum(point, 0).sum()
        if whole > 1e-9:
            share = np.maximum(point, 0) / whole
            assert (share >= low - 1e-6).all()
            assert (share <= high + 1e-6).all()


TRUTHS = {
    "all positive": ([3.0, 2.0, 1.0, 1.0, 0.5], 0.15),
    "two players": ([2.0, 1.0], 0.3),
    "one negative": ([3.0, 2.0, 1.0, 1.0, -1.5], 0.2),
    "some about zero": ([3.0, 2.0, 1.0, 0.1, 0.0, -0.1, -1.0], 0.3),
    "a hundred": ([*np.linspace(-0.2, 2.0, 100)], 0.1),
}


@pytest.mark.parametrize("efficient", [True, False], ids=["of a known sum", "independent"])
@pytest.mark.parametrize("name", TRUTHS)
def test_intervals_cover_as_often_as_is_said(name, efficient):
    """Each payment of exact values, over 600 draws with 20 degrees of freedom."""
    truth, se = np.array(TRUTHS[name][0]), TRUTHS[name][1]
    n, df, runs = len(truth), 20, 600
    exact = np.maximum(truth, 0) / np.maximum(truth, 0).sum()
    rng = np.random.default_rng(0)
    held = np.zeros(n)
    for _ in range(runs):
        noise = rng.normal(size=n)
        if efficient:  # as the errors of Shapley values are, whose sum is known
            noise = (noise - noise.mean()) / np.sqrt(1 - 1 / n)
        estimated = se * np.sqrt(rng.chisquare(df, n) / df)
        result = made(truth + se * noise, estimated, df)
        low, high = share_intervals(result.values, result.interval(), efficient=efficient)
        held += (low - 1e-12 <= exact) & (exact <= high + 1e-12)
    assert (held / runs >= 0.93).all()
    assert (held / runs).mean() >= 0.95 - 0.01
    if efficient and truth.min() > 3 * se:
        assert (held / runs).mean() <= 0.97, "no wider than they need be where nobody is in question"
