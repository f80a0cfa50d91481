"""How pairs are divided and drawn."""

from __future__ import annotations

from collections import Counter
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unshap_plugin.estimators.semivalue import semivalue_of
from unshap_plugin.estimators.sizes import sizes_of
from unshap_plugin.estimators.strata import MANY, Stratum, divide, draw, pairs_in_all


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


@pytest.mark.parametrize(
    ("n", "size", "drawn"), [(5, 2, 3), (6, 3, 10), (6, 3, 4), (12, 3, 100), (12, 6, 300), (9, 1, 9)]
)
def test_no_pair_is_drawn_twice(n, size, drawn):
    population = comb(n, size) // (1 + (2 * size == n))
    rows = draw(Stratum(np.array([size]), population, drawn), shapley(n), np.random.default_rng(0))
    assert rows.shape == (drawn, n)
    assert (rows.sum(axis=1) == size).all()
    pairs = {frozenset([row.tobytes(), (~row).tobytes()]) for row in rows}
    assert len(pairs) == drawn


@pytest.mark.parametrize("drawn", [2, 7])
def test_every_pair_is_as_likely(drawn):
    stratum = Stratum(np.array([3]), 10, drawn)
    rng = np.random.default_rng(1)
    count = Counter(row.tobytes() for _ in range(2000) for row in draw(stratum, shapley(6), rng))
    assert len(count) == 10
    share = drawn / 10
    assert all(abs(one / 2000 - share) < 4.5 * np.sqrt(share * (1 - share) / 2000) for one in count.values())


def test_of_several_sizes_each_comes_as_often_as_its_mass_says():
    sizes = draw(Stratum(np.array([2, 3]), MANY, 6000), shapley(6), np.random.default_rng(2)).sum(axis=1)
    assert np.mean(sizes == 2) == pytest.approx(2 / 3, abs=4.5 * np.sqrt(2 / 9 / 6000))


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
