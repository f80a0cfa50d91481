"""Amounts in cents, and their division by largest remainders."""

from __future__ import annotations

from decimal import Context, Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unshap_plugin.errors import InvalidTypeError, InvalidValueError
from unshap_plugin.results.money import amount_of, cents_of, divide

weights = st.lists(st.floats(0, 1e300), min_size=1, max_size=12).filter(any)
cents = st.integers(0, 10**20 - 1)


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (10_000, 1_000_000),
        ("10000.00", 1_000_000),
        ("10000.5", 1_000_050),
        (Decimal("0.010"), 1),
        (0.1, 10),
        (1e4, 1_000_000),
        (np.int64(3), 300),
        (np.float64(2.5), 250),
        ("1e3", 100_000),
        (10**18 - 1, 10**20 - 100),
    ],
)
def test_amounts_are_read_by_their_digits(amount, expected):
    assert cents_of("total", amount, zero=False) == expected


@pytest.mark.parametrize("amount", [True, None, [1], 1j, b"3"])
def test_what_is_no_amount_is_refused(amount):
    with pytest.raises(InvalidTypeError, match=r"total is .*, but an amount of money above 0, such as 10000"):
        cents_of("total", amount, zero=False)


@pytest.mark.parametrize(
    "amount", ["", "ten", "10,000", "nan", "-inf", np.nan, np.inf, -5, "-0.01", 0, Decimal("NaN"), Decimal("sNaN")]
)
def test_amounts_that_nobody_can_pay_are_refused(amount):
    with pytest.raises(InvalidValueError, match=r"total is .*, but an amount of money above 0, such as 10000"):
        cents_of("total", amount, zero=False)


@pytest.mark.parametrize("amount", ["10.005", 0.1 + 0.2, Decimal("1e-999999"), 10**18, 1e300, Decimal("9.9e999999")])
def test_amounts_of_no_whole_cents_are_refused(amount):
    with pytest.raises(InvalidValueError, match="but whole cents, and less than 10"):
        cents_of("total", amount, zero=False)


def test_a_floor_may_be_zero():
    assert cents_of("floor", 0, zero=True) == 0
    with pytest.raises(InvalidValueError, match="an amount of money of at least 0"):
        cents_of("floor", -1, zero=True)


@given(cents)
def test_cents_and_amounts_are_the_same_whatever_the_precision(count):
    with localcontext(Context(prec=3)):
        amount = amount_of(count)
        assert cents_of("total", amount, zero=True) == count
    assert Fraction(amount) == Fraction(count, 100)
    assert amount.as_tuple().exponent == -2


def largest_remainders(total, shares, names):
    """As it stands in books."""
    quotas = [total * share / sum(shares) for share in shares]
    paid = [int(quota) for quota in quotas]
    while sum(paid) < total:
        k = max(
            (k for k in range(len(shares)) if paid[k] == int(quotas[k])),
            key=lambda k: (quotas[k] % 1, shares[k], [-ord(c) for c in names[k]]),
        )
        paid[k] += 1
    return paid


@given(cents, weights)
def test_division_is_that_of_fractions(total, shares):
    names = [f"{k:02}" for k in range(len(shares))]
    assert divide(total, shares, names) == largest_remainders(total, [Fraction(one) for one in shares], names)


@given(cents, weights, st.randoms(use_true_random=False))
def test_division_adds_up_is_monotone_and_does_not_go_by_order(total, shares, random):
    names = [str(k) for k in range(len(shares))]
    paid = divide(total, shares, names)
    assert sum(paid) == total
    for a, one in zip(shares, paid, strict=True):
        assert abs(one - Fraction(total) * Fraction(a) / sum(map(Fraction, shares))) < 1
        assert a > 0 or one == 0
        assert all(one >= other for b, other in zip(shares, paid, strict=True) if a > b)
        assert all(abs(one - other) <= 1 for b, other in zip(shares, paid, strict=True) if a == b)
    order = random.sample(range(len(shares)), len(shares))
    assert divide(total, [shares[k] for k in order], [names[k] for k in order]) == [paid[k] for k in order]


def test_a_cent_among_equals_goes_by_name():
    assert divide(100, [1.0, 1.0, 1.0], ["cairn", "acme", "bolt"]) == [33, 34, 33]
    assert divide(5, [5e-324, 5e-324], ["b", "a"]) == [2, 3]
