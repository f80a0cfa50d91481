"""Pairs in random order, of which every beginning is a stratified sample."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unshap_plugin.estimators import drawing
from unshap_plugin.estimators.drawing import Drawing, subsets
from unshap_plugin.estimators.sizes import sizes_of
from unshap_plugin.estimators.strata import divide, pairs_in_all, two_of_each


def shapley(n):
    return sizes_of(np.full(n, 1 / n))


def pair(row):
    return frozenset([row.tobytes(), (~row).tobytes()])


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_subsets_are_those_of_itertools_in_the_order_of_their_largest_members(n):
    for size in range(1, n + 1):
        listed = sorted(combinations(range(n), size), key=lambda members: members[::-1])
        rows = subsets(n, size, np.arange(comb(n, size)))
        assert [tuple(np.flatnonzero(row)) for row in rows] == listed
        assert not rows[: comb(n - 1, size), -1].any()


@given(st.integers(2, 24), st.integers(2, 200), st.integers(0, 2**64))
@settings(deadline=None, max_examples=60)
def test_no_pair_comes_twice_and_each_size_has_its_share(n, pairs, seed):
    pairs = min(pairs, pairs_in_all(shapley(n)))
    rows, stratum = Drawing(shapley(n), pairs, seed).take(pairs + 5)
    assert rows.shape == (pairs, n)
    assert [one.drawn for one in divide(shapley(n), pairs)] == np.bincount(stratum).tolist()
    for row, k in zip(rows, stratum, strict=True):
        assert row.sum() in divide(shapley(n), pairs)[k].sizes
    if pairs >= two_of_each(shapley(n)):
        assert len(set(map(pair, rows))) == pairs


@pytest.mark.parametrize(("n", "more"), [(7, 63), (30, 400), (90, 300)])
def test_a_sample_that_grows_keeps_what_it_has(n, more):
    rows, stratum = Drawing(shapley(n), more, 5).take(more)
    for few in {two_of_each(shapley(n)), two_of_each(shapley(n)) + 1, (two_of_each(shapley(n)) + more) // 2}:
        smaller = Drawing(shapley(n), few, 5)
        assert smaller.whole <= few
        parts = [smaller.take(1), smaller.take(3), smaller.take(few)]
        assert np.array_equal(np.concatenate([one for one, _ in parts]), rows[:few])
        assert np.array_equal(np.concatenate([one for _, one in parts]), stratum[:few])


@pytest.mark.parametrize("listed", [1 << 16, 4])
def test_every_pair_is_as_likely(listed, monkeypatch):
    monkeypatch.setattr(drawing, "_LISTED", listed)
    count = Counter(
        pair(row) for seed in range(400) for row in Drawing(shapley(6), 16, seed).take(16)[0] if row.sum() == 3
    )
    assert len(count) == 10
    share = sum(count.values()) / 4_000
    assert all(abs(one / 400 - share) < 4.5 * np.sqrt(share * (1 - share) / 400) for one in count.values())


def test_of_populations_without_number_no_pair_comes_twice(monkeypatch):
    monkeypatch.setattr(drawing, "MANY", 10)  # of six players, ten pairs of three: what there is of them
    rows = [row for row in Drawing(shapley(6), 31, 0).take(31)[0] if row.sum() == 3]
    assert len(set(map(pair, rows))) == len(rows) == 10
    assert not any(row[-1] for row in rows)


def test_of_several_sizes_each_comes_as_often_as_its_mass_says():
    few = two_of_each(shapley(100)) - 1
    rows, stratum = zip(*(Drawing(shapley(100), few, seed).take(few) for seed in range(60)), strict=True)
    sizes, strata = np.concatenate(rows).sum(axis=1), np.concatenate(stratum)
    for k, one in enumerate(divide(shapley(100), few)):
        mine = sizes[strata == k]
        assert set(mine) <= set(one.sizes)
        masses = np.where(2 * one.sizes == 100, 1.0, 2.0)
        share = masses / masses.sum()
        seen = np.array([np.mean(mine == size) for size in one.sizes])
        assert (abs(seen - share) <= 4.5 * np.sqrt(share * (1 - share) / len(mine))).all()
