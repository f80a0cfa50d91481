"""What is known of coalitions: a dictionary's answers, in little memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from unshap_plugin import UnlearningGame, ValuationProblem
from unshap_plugin.coalitions import coalitions_of, keys_of
from unshap_plugin.evaluation.remembered import Remembered
from unshap_plugin.game import BLOCK

PLAYERS = 9
CODES = st.lists(st.integers(0, 2**PLAYERS - 1), unique=True, max_size=20)


@pytest.mark.parametrize("shape", [(), (1,), (3,)])
@settings(max_examples=30)
@given(batches=st.lists(CODES, max_size=5), asked=CODES)
def test_it_answers_as_a_dictionary_does(shape, batches, asked):
    everybody = np.full(shape, -1.0)
    known, twin = Remembered(PLAYERS, everybody), {2**PLAYERS - 1: everybody}

    def keys(codes):
        return keys_of((np.array(codes, dtype=int)[:, None] >> np.arange(PLAYERS) & 1).astype(bool))

    for number, codes in enumerate(batches):  # what was known is replaced
        utilities = np.arange(len(codes))[:, None] + 100 * number + np.ones((len(codes), int(np.prod(shape))))
        utilities[::3] = np.nan
        known.add(keys(codes), utilities.reshape(len(codes), *shape))
        twin |= dict(zip(codes, utilities.reshape(len(codes), *shape), strict=True))
    assert len(known) == len(twin)
    assert known.missing(keys(asked * 2)) == keys([code for code in asked if code not in twin])
    assert known.excluded == sum(bool(np.isnan(one).any()) for one in twin.values())
    for codes in ([*twin], [*twin][::-1], []):
        found = known.of(keys(codes))
        assert found.shape == (len(codes), *shape)
        assert np.array_equal(found, np.array([twin[code] for code in codes]).reshape(found.shape), equal_nan=True)
    coalitions, utilities = known.all()
    assert keys_of(coalitions) == keys([*twin])
    assert np.array_equal(utilities, np.array([*twin.values()]), equal_nan=True)


def test_what_it_gives_away_is_not_its_own():
    known = Remembered(2, np.array(3.0))
    known.all()[1][:] = 0
    known.of(keys_of(np.ones((1, 2), dtype=bool)))[:] = 0
    assert known.all()[1].tolist() == [3.0]


@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_keys_are_coalitions(n, seed):
    matrix = np.random.default_rng(seed).random((7, n)) < 0.5
    assert np.array_equal(coalitions_of(keys_of(matrix), n), matrix)
    assert coalitions_of([], n).shape == (0, n)


def test_an_evaluation_that_is_interrupted_leaves_what_was_known():
    known = Remembered(8, np.array(3.0))
    with pytest.raises(ValueError, match="shape"):
        known.add([b"a", b"b"], np.ones(3))
    assert len(known) == 1
    assert known.missing([b"a"]) == [b"a"]


def test_a_coalition_takes_little_memory():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 2)), rng.normal(size=200)
    game = UnlearningGame(ValuationProblem(Ridge().fit(x, y), (x, y), (x[:5], y[:5])), "linear_exact")
    coalitions = rng.random((20_000, 200)) < 0.5
    game(coalitions[:2])
    tracemalloc.start()
    game(coalitions)
    stays, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A key takes 64 bytes, its place in a dictionary about 130, its utility 8 to 16.
    assert stays < 250 * len(coalitions)
    # At work there are also the list of all keys and that of those that are missing, and some coalitions by byte.
    assert peak < 400 * len(coalitions) + 2 * BLOCK * 200
