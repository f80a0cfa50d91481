"""Who works, and how coalitions are shared out, without any process being started."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
from clusters import COALITIONS, game
from hypothesis import given
from hypothesis import strategies as st

from unshap_plugin.evaluation import remote
from unshap_plugin.evaluation.passes import SHARES, Passes
from unshap_plugin.evaluation.remote import Done, Failed, Share, packed, shares_of, work
from unshap_plugin.evaluation.workers import _Local, _Ray


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_shares_are_the_coalitions_in_their_order(m, n, size, seed):
    coalitions = np.random.default_rng(seed).random((m, n)) < 0.5
    shares = [*shares_of(coalitions, size, 3)]
    assert all(1 <= len(share.bits) <= size for share in shares)
    assert np.array_equal(np.concatenate([share.coalitions for share in shares]), coalitions)


class Counted(Passes):
    """Passes of which only the chunk is known, and whether models are stacked."""

    def __init__(self, chunk, stacked):
        self.chunk, self.evaluation = chunk, self
        self.bytes = lambda: 100 if stacked else 1


@given(st.integers(1, 10**5), st.integers(1, 64), st.integers(1, 1024), st.integers(1, 3), st.booleans())
def test_nobody_gets_a_share_more_than_others_where_there_is_enough(m, jobs, chunk, least, stacked):
    size = Counted(chunk, stacked)._size(m, jobs, least)
    shares = -(-m // size)
    each = -(-shares // jobs)
    assert 1 <= each <= SHARES
    # Nobody lacks more than one share that others get.
    assert each * jobs - shares < jobs or size == 1
    if m >= SHARES * SHARES * jobs:
        assert each >= min(least if stacked else max(least, 4), SHARES)


def test_a_worker_that_lacks_the_problem_says_so_and_is_given_it(monkeypatch):
    played = game(n_jobs=1)
    parcel, share = packed(played._passes.evaluation), next(shares_of(COALITIONS, 20, 8))
    monkeypatch.setattr(remote, "_last", {})
    assert work(parcel.name, parcel.software, None, share) is None
    first = work(parcel.name, parcel.software, parcel.content, share)
    second = work(parcel.name, parcel.software, None, share)
    assert isinstance(second, Done)
    for done in (first, second):
        assert np.array_equal(done.utilities, played(COALITIONS[:20]))


def test_another_evaluation_has_another_name():
    played = game(n_jobs=1)
    names = {
        packed(one._passes.evaluation).name for one in (played, played.with_seed(1), played.with_settings(steps=2))
    }
    assert len(names) == 3


def test_processes_are_given_the_problem_only_where_they_lack_it(monkeypatch):
    contents, real = [], joblib.Parallel

    class Watched(real):
        def __call__(self, tasks):
            tasks = list(tasks)
            contents.append([task[1][2] is not None for task in tasks])
            return real(n_jobs=1)(tasks)

    monkeypatch.setattr(joblib, "Parallel", Watched)
    monkeypatch.setattr(remote, "_last", {})
    played = game(n_jobs=1)
    parcel, shares = packed(played._passes.evaluation), [*shares_of(COALITIONS, 30, 30)]
    workers = _Local(2)
    for _ in range(2):
        outcomes = [*workers.outcomes(parcel, workers.lend(parcel), shares)]
        assert np.array_equal(np.concatenate([one.utilities for one in outcomes]), played(COALITIONS))
    sent = [False] * len(shares)
    assert contents == [sent, [True] * len(shares), sent]


def test_what_goes_wrong_in_a_worker_is_told_in_words(monkeypatch):
    parcel = packed(game(n_jobs=1)._passes.evaluation)
    monkeypatch.setattr(remote, "_last", {})
    broken = parcel.content[: len(parcel.content) // 2]
    outcome = work(parcel.name, parcel.software, broken, next(shares_of(COALITIONS, 5, 5)))
    assert isinstance(outcome, Failed)
    assert outcome.why.startswith(("UnpicklingError: ", "EOFError: "))


@pytest.mark.parametrize("players", [1, 7, 8, 9])
def test_a_share_is_as_wide_as_there_are_players(players):
    coalitions = np.eye(players, dtype=bool)
    assert np.array_equal(Share(np.packbits(coalitions, axis=1), players, 1).coalitions, coalitions)


@pytest.mark.parametrize("taken", [1, 3])
def test_what_is_done_on_ray_is_not_cancelled(monkeypatch, taken):
    """Who asks for as many outcomes as there are never asks whether there are more."""
    cancelled = []
    monkeypatch.setitem(
        sys.modules,
        "ray",
        SimpleNamespace(
            remote=lambda function: SimpleNamespace(remote=lambda name, software, lent, share: share),
            get=lambda share: share,
            cancel=cancelled.append,
        ),
    )
    shares = [*shares_of(COALITIONS[:3], 1, 1)]
    outcomes = _Ray().outcomes(packed(game()._passes.evaluation), None, shares)
    assert [next(outcomes) for _ in range(taken)] == shares[:taken]
    outcomes.close()
    assert cancelled == shares[taken:]
