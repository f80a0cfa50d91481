"""The games, and their exact values by two algorithms that share nothing."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unshap_conformance.games import GAMES, Game, by_name, from_function, random_game
from unshap_conformance.semivalues import by_permutations, by_subsets, check_semivalue, label

from unshap_plugin.errors import InvalidTypeError, InvalidValueError, UnknownNameError

SEMIVALUES = ["shapley", "banzhaf", "leave_one_out", ("beta", 1, 1), ("beta", 4, 1), ("beta", 0.5, 3)]

#: Values that are found in textbooks, or follow from one line of thought.
KNOWN = {
    "additive": ["1", "-2", "1/3", "4", "5/7"],  # its weights
    "glove": ["1/6", "1/6", "2/3"],
    "unanimity": ["1/2", "0", "1/2", "0"],
    "majority": ["1/5"] * 5,
    "airport": ["1/4", "11/12", "17/12", "77/12"],  # each stretch of the runway is shared by those who need it
    "weighted_voting": ["5/12", "1/4", "1/4", "1/12"],
    "constant": ["0"] * 4,
    "zero": ["0"] * 3,
    "one_player": ["5"],
    "two_players": ["14/3", "1/3"],
}


@pytest.mark.parametrize("semivalue", SEMIVALUES, ids=str)
@pytest.mark.parametrize("game", GAMES, ids=lambda game: game.name)
def test_the_two_algorithms_agree(game, semivalue):
    assert by_subsets(game.utilities, semivalue) == by_permutations(game.utilities, semivalue)


@given(
    st.integers(1, 5).flatmap(lambda n: st.lists(st.fractions(max_denominator=50), min_size=2**n, max_size=2**n)),
    st.sampled_from(SEMIVALUES),
)
@settings(deadline=None, max_examples=60)
def test_the_two_algorithms_agree_on_any_game(utilities, semivalue):
    assert by_subsets(tuple(utilities), semivalue) == by_permutations(utilities, semivalue)


@pytest.mark.parametrize("name", KNOWN)
def test_textbook_values(name):
    (game,) = by_name(name)
    assert by_subsets(game.utilities) == tuple(map(Fraction, KNOWN[name]))


def test_textbook_values_of_other_semivalues():
    voting = from_function("voting", 3, lambda players: int(sum((3, 2, 1)[player] for player in players) >= 4))
    assert by_subsets(voting.utilities, "banzhaf") == (Fraction(3, 4), Fraction(1, 4), Fraction(1, 4))
    assert by_subsets(voting.utilities, "leave_one_out") == (1, 0, 0)
    # Kwon & Zou 2022, equation (5), by hand: for two players, alpha / (alpha + beta) of the weight is on the empty set.
    (two,) = by_name("two_players")
    first = Fraction(4, 5) * (4 - 1) + Fraction(1, 5) * (6 + Fraction(1, 3))
    assert by_subsets(two.utilities, ("beta", 4, 1))[0] == first
    for game in GAMES:
        assert by_subsets(game.utilities, ("beta", 1, 1)) == by_subsets(game.utilities)


def test_values_sum_to_what_all_bring():
    for game in GAMES:
        assert sum(by_subsets(game.utilities)) == game.total


def test_there_is_a_game_for_every_family():
    names = [game.name for game in GAMES]
    assert len(set(names)) == len(names)
    assert {game.n_players for game in GAMES} == {1, 2, 3, 4, 5, 6}
    assert any(game.utilities[0] for game in GAMES)
    (null, pairs, copies) = by_name("null_player", "symmetric_players", "duplicated_players")
    assert null.null_players == (1,)
    assert pairs.symmetric_pairs == ((1, 3),)
    assert copies.symmetric_pairs == ((0, 3), (1, 4))
    (falling, negative) = by_name("non_monotone", "negative")
    assert falling.utilities[-1] < max(falling.utilities)
    assert all(value < 0 for value in by_subsets(negative.utilities))
    assert random_game(4, 1) == random_game(4, 1) != random_game(4, 2)


def test_a_game_is_called_with_boolean_rows():
    (game,) = by_name("airport")
    coalitions = np.array([[False] * 4, [True, False, True, False], [True] * 4])
    utilities = game(coalitions)
    assert utilities.dtype == np.float64
    assert utilities.tolist() == [0.0, 4.0, 9.0]
    assert game(np.zeros((0, 4), dtype=bool)).shape == (0,)
    utilities[:] = 7.0  # whoever writes to the answer does not write to the game
    assert game(coalitions).tolist() == [0.0, 4.0, 9.0]
    with pytest.raises(InvalidTypeError, match=r"dtype int64, but a boolean matrix is needed"):
        game(coalitions.astype(np.int64))
    with pytest.raises(InvalidValueError, match=r"shape \[3, 3\], but \[m, 4\] is needed"):
        game(coalitions[:, :3])
    with pytest.raises(InvalidValueError, match=r"shape \[4\]"):
        game(coalitions[0])


def test_games_made_of_games():
    (game,) = by_name("random_4_1")
    rows = (np.arange(16)[:, None] >> np.arange(4) & 1).astype(bool)
    other = random_game(4, 9)
    np.testing.assert_allclose(game.plus(other)(rows), game(rows) + other(rows), rtol=0, atol=1e-12)
    np.testing.assert_allclose(game.times(Fraction(5, 2))(rows), 2.5 * game(rows), rtol=0, atol=1e-12)
    np.testing.assert_allclose(game.shifted(Fraction(7))(rows), game(rows) + 7, rtol=0, atol=1e-12)
    np.testing.assert_allclose(game.dual()(rows), game(rows[-1:]) - game(~rows), rtol=0, atol=1e-12)
    order = [2, 0, 3, 1]
    before = np.zeros_like(rows)
    before[:, order] = rows
    assert np.array_equal(game.renamed(order)(rows), game(before))
    for semivalue in SEMIVALUES:
        values = by_subsets(game.utilities, semivalue)
        renamed = by_subsets(game.renamed(order).utilities, semivalue)
        assert renamed == tuple(values[player] for player in order)


BAD = [
    (lambda: Game("g", 7, (Fraction(0),) * 128), InvalidValueError, r"has 7 players, but 1 to 6 are needed"),
    (lambda: Game("g", 2, (Fraction(0),) * 3), InvalidValueError, r"has 3 utilities, but 4 are needed"),
    (lambda: by_subsets((Fraction(0),) * 3), InvalidValueError, r"there are 3 utilities, but 2\*\*n of them"),
    (lambda: by_permutations([Fraction(0)]), InvalidValueError, r"there are 1 utilities"),
    (lambda: check_semivalue("shapely"), UnknownNameError, r"'shapely' \(did you mean 'shapley'\?\)"),
    (lambda: check_semivalue(("beta", 0, 1)), InvalidValueError, r"both above 0"),
    (lambda: by_name("gloves"), UnknownNameError, r"'gloves' \(did you mean 'glove'\?\)"),
]


@pytest.mark.parametrize(("make", "error", "message"), BAD)
def test_bad_input(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_labels():
    assert [label(semivalue) for semivalue in SEMIVALUES[:3]] == ["Shapley", "Banzhaf", "leave-one-out"]
    assert label(("beta", 4, 0.5)) == "Beta(4, 0.5)"
