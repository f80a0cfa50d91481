"""Results that know no utility of nobody: leave-one-out values."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from unshap_plugin import ValuationResult, semivalues


class Game:
    n_players = 3
    players = ("a", "b", "c")

    def __call__(self, coalitions):
        return coalitions @ np.array([3.0, 1.0, -1.0])


def test_ranks_comparisons_and_payments_are_those_of_exact_values():
    result = semivalues(Game(), "loo")
    assert np.isnan(result.utility_none)
    best, worst = result.rank_intervals()
    np.testing.assert_array_equal(best, [1, 2, 3])
    np.testing.assert_array_equal(worst, [1, 2, 3])
    assert not result.compare(result).differs.any()
    assert list(result.payouts(100).payments) == [Decimal(75), Decimal(25), Decimal(0)]
    again = ValuationResult.from_json(result.to_json())
    np.testing.assert_array_equal(again.to_frame()["rank_high"], [1, 2, 3])


def test_pictures_say_which_value_they_show():
    for kind, label in (
        ("banzhaf", "Banzhaf value"),
        ("loo", "Leave-one-out value"),
        ([0, 1, 0], "Semivalue of weights"),
    ):
        assert semivalues(Game(), kind).plot().get_xlabel().startswith(label)
