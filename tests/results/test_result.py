"""Results: tables, JSON and pictures."""

from __future__ import annotations

import dataclasses
import itertools
import json

import numpy as np
import pytest
from matplotlib.figure import Figure
from problems import early_stopped

from unshap_plugin import UnlearningGame, ValuationResult, shapley_values
from unshap_plugin.errors import InvalidTypeError, InvalidValueError, UnknownNameError


@pytest.fixture
def result(five_providers):
    return shapley_values(UnlearningGame(five_providers, "newton"), "permutation", budget=100)


def equal(a, b):
    for field in dataclasses.fields(a):
        x, y = getattr(a, field.name), getattr(b, field.name)
        if isinstance(x, np.ndarray | np.generic):
            np.testing.assert_array_equal(x, y, err_msg=field.name)
        else:
            assert x == y, field.name


def test_json_gives_the_same_result_back(result, five_providers):
    equal(result, ValuationResult.from_json(result.to_json()))
    exact = shapley_values(UnlearningGame(five_providers, "newton"), "exact")
    equal(exact, ValuationResult.from_json(exact.to_json()))
    vectors = shapley_values(UnlearningGame(early_stopped(), "newton"), budget=200)
    equal(vectors, ValuationResult.from_json(vectors.to_json()))


def test_json_has_the_intervals_too_for_who_does_not_compute_them(result):
    written, frame = json.loads(result.to_json()), result.to_frame()
    assert written["format"] == "unshap-result/3"
    for name in ("ci_low", "ci_high", "rank", "rank_low", "rank_high"):
        assert written[name] == frame[name].tolist()


def test_values_without_standard_errors_say_so_everywhere(result):
    some = dataclasses.replace(result, std_errors=np.array([0.01, np.nan, 0.02, 0.01, 0.01]))
    equal(some, ValuationResult.from_json(some.to_json()))
    frame = some.to_frame()
    assert frame["ci_low"].isna().tolist() == frame["ci_high"].isna().tolist() == [False, True, False, False, False]
    assert (frame["rank_low"][1], frame["rank_high"][1]) == (1, 5)
    assert some.plot().get_title().endswith("whiskers: 95% intervals, unknown for 1")
    none = dataclasses.replace(result, std_errors=np.full(5, np.nan))
    assert "(no standard error)" in repr(none)
    ax = none.plot()
    assert ax.get_title().endswith("standard errors unknown")
    assert not ax.collections, "no whiskers"
    many = {"players": tuple(range(101)), "values": np.arange(101.0), "degrees_of_freedom": np.ones(101)}
    errors = np.where(np.arange(101) < 3, np.nan, 0.1)
    title = dataclasses.replace(result, **many, std_errors=errors).plot().get_title()
    assert title.endswith("standard errors up to 0.1, median 0.1, unknown for 3")
    assert dataclasses.replace(result, **many, std_errors=errors * np.nan).plot().get_title().endswith("unknown")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a result in the format"),
        ('{"format": "other"}', "is not a result in the format"),
        ('{"format": "unshap-result/3", "values": []}', "lacks or does not know the fields"),
    ],
)
def test_other_json_is_refused(text, message):
    with pytest.raises(InvalidValueError, match=message):
        ValuationResult.from_json(text)


def test_the_table_has_a_row_per_player(result):
    frame = result.to_frame()
    columns = ["player", "value", "std_error", "ci_low", "ci_high", "rank", "rank_low", "rank_high"]
    assert list(frame.columns) == columns
    assert list(frame["player"]) == list("abcde")
    np.testing.assert_array_equal(frame["value"], result.values)
    low, high = result.interval()
    np.testing.assert_array_equal(frame["ci_low"], low)
    np.testing.assert_array_equal(frame["ci_high"], high)
    best, worst = result.rank_intervals()
    np.testing.assert_array_equal(frame["rank_low"], best)
    np.testing.assert_array_equal(frame["rank_high"], worst)
    by_rank = frame.sort_values("rank")["value"].to_numpy()
    assert (np.diff(by_rank) <= 0).all()
    assert sorted(frame["rank"]) == [1, 2, 3, 4, 5]


def test_the_table_of_a_vector_has_a_row_per_player_and_metric():
    result = shapley_values(UnlearningGame(early_stopped(), "newton"), budget=200)
    frame = result.to_frame()
    assert len(frame) == 80
    assert list(frame["metric"].unique()) == ["accuracy", "ll"]
    part = frame[frame["metric"] == "ll"]
    np.testing.assert_array_equal(part["value"], result.values[:, 1])


def test_few_players_are_drawn_as_bars_with_intervals(result):
    ax = result.plot(highlight=["b"], label="noisy")
    bars = {patch.get_y() + patch.get_height() / 2: patch.get_width() for patch in ax.patches}
    order = [label.get_text() for label in ax.get_yticklabels()]
    assert order == [result.players[i] for i in np.argsort(result.values)]
    np.testing.assert_allclose([bars[k] for k in range(5)], np.sort(result.values))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["other", "noisy"]
    assert "log_likelihood" in ax.get_xlabel()
    assert len(ax.collections) == 2, "whiskers of both colours"


@pytest.mark.parametrize("count", [41, 50, 100])
def test_up_to_a_hundred_players_keep_their_names(result, count):
    many = dataclasses.replace(
        result,
        players=tuple(f"provider\n{k}" for k in range(count)),
        values=np.cos(np.arange(count)),
        std_errors=np.full(count, 0.1),
        degrees_of_freedom=np.full(count, 9.0),
    )
    ax = many.plot()
    order = [label.get_text() for label in ax.get_yticklabels()]
    assert order == [f"provider\\n{k}" for k in np.argsort(many.values)]
    ax.figure.canvas.draw()
    heights = [label.get_window_extent() for label in ax.get_yticklabels()]
    assert all(below.y1 <= above.y0 for below, above in itertools.pairwise(heights)), "names overlap"


def test_many_players_are_drawn_as_a_histogram_that_names_the_ends():
    problem = early_stopped(metric="accuracy")
    result = shapley_values(UnlearningGame(problem, "newton"), budget=200)
    many = dataclasses.replace(
        result,
        players=tuple(f"p{k}" for k in range(101)),
        values=np.arange(101.0),
        std_errors=np.array([0.1] * 100 + [20]),
        degrees_of_freedom=np.ones(101),
    )
    ax = many.plot(ax=Figure().add_subplot())
    counted = sum(patch.get_height() for patch in ax.patches)
    assert counted == 101
    assert "standard errors up to 20, median 0.1" in ax.get_title()
    exact = dataclasses.replace(many, std_errors=np.zeros(101)).plot(ax=Figure().add_subplot())
    assert "no sampling error" in exact.get_title()
    notes = " ".join(text.get_text() for text in ax.texts)
    assert "least valuable:\np0\np1\np2\np3\np4" in notes
    assert "most valuable:\np100\np99\np98\np97\np96" in notes


def test_a_vector_is_not_drawn(result):
    vectors = dataclasses.replace(result, values=np.ones((5, 2)))
    with pytest.raises(InvalidValueError, match="plot draws one value per player"):
        vectors.plot()


def test_a_level_outside_0_and_1_is_refused(result):
    with pytest.raises(InvalidValueError, match="level is 95"):
        result.interval(95)
    with pytest.raises(InvalidTypeError, match="level is '95%'"):
        result.interval("95%")


def test_players_are_looked_up_by_name(result):
    assert list(result) == list("abcde")
    assert result["b"] == result.values[1]
    assert result.to_series().to_dict() == dict(zip("abcde", result.values, strict=True))
    with pytest.raises(UnknownNameError, match="unknown player 'z'; expected one of: a, b, c, d, e"):
        result["z"]


def test_a_player_that_is_highlighted_exists(result):
    with pytest.raises(UnknownNameError, match=r"unknown player 'bb' \(did you mean 'b'\?\)"):
        result.plot(highlight=["a", "bb"])
    with pytest.raises(UnknownNameError, match="unknown player 3; expected one of: a, b, c, d, e"):
        result.plot(highlight=[3])
    many = dataclasses.replace(
        result,
        players=tuple(range(50)),
        values=np.arange(50.0),
        std_errors=np.ones(50),
        degrees_of_freedom=np.ones(50),
    )
    with pytest.raises(UnknownNameError, match="unknown player 50"):
        many.plot(highlight=range(51))
    many.plot(highlight=range(50))
