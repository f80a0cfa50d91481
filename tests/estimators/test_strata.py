"""How pairs are divided and drawn."""

from __future__ import annotations

from math import comb

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from unshap_plugin.estimators.semivalue import semivalue_of
from unshap_plugin.estimators.sizes import sizes_of
from unshap_plugin.estimators.strata import MANY, divide, pairs_in_all, two_of_each


def shapley(n):
    return sizes_of(np.full(n, 1 / n))


@given(st.integers(2, 80), st.integers(2, 400))
@settings(deadline=None, max_examples=200)
def test_all_pairs_are_dealt_and_every_size_has_its_stratum(n, pairs):
    pairs = min(pairs, pairs_in_all(shapley(n)))
    strata = divide(shapley(n), pairs)
    assert np.concatenate([one.sizes for one in strata]).tolist() == [*range(1, n // 2 + 1)]
    assert sum(one.drawn for one in strata) == pairs
    for one in strata:
        assert min(2, one.population) <= one.drawn <= one.population
        if len(one.sizes) == 1:
            size = int(one.sizes[0])
            assert one.population == min(MANY, comb(n, size) // (1 + (2 * size == n)))


def test_shares_are_those_of_neyman():
    n, pairs = 40, 2000
    strata = divide(shapley(n), pairs)
    open_ones = [one for one in strata if not one.finished]
    weight = np.array(
        [shapley(n).mass[s - 1] * np.sqrt(1 / s + 1 / (n - s)) for s in (int(one.sizes[0]) for one in open_ones)]
    )
    drawn = np.array([one.drawn for one in open_ones])
    np.testing.assert_allclose(drawn, drawn.sum() * weight / weight.sum(), atol=1)


@given(st.integers(2, 60), st.integers(2, 300))
@settings(deadline=None, max_examples=50)
def test_who_gets_more_pairs_in_all_has_those_of_before(n, pairs):
    pairs = min(pairs, pairs_in_all(shapley(n)) - 1)
    if pairs >= two_of_each(shapley(n)):
        few, more = divide(shapley(n), pairs), divide(shapley(n), pairs + 1)
        assert sorted(after.drawn - before.drawn for before, after in zip(few, more, strict=True))[-2:] in ([0, 1], [1])


def test_sizes_share_a_stratum_where_pairs_are_few():
    assert len(divide(shapley(100), 100)) == 50
    shared = divide(shapley(100), 99)
    assert len(shared) < 25
    assert min(one.drawn for one in shared) >= 2


def test_sizes_that_count_nothing_get_no_pairs():
    lower = sizes_of(np.array([0.5, 0.5, 0, 0, 0, 0, 0, 0]))
    assert [one.sizes.tolist() for one in divide(lower, 20)] == [[1], [2]]
    assert pairs_in_all(lower) == 8 + 28
    middle = sizes_of(semivalue_of("banzhaf", 1000).weights)
    strata = divide(middle, 2000)
    assert strata[0].sizes[0] > 300
    assert strata[-1].sizes[-1] == 500
    assert sum(one.drawn for one in strata) == 2000
