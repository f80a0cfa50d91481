"""Pictures of what lies behind values: what is drawn is what the game says, with units, and names as text."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_results import made
from matplotlib.figure import Figure

from unshap_plugin import UnlearningGame, shapley_values
from unshap_plugin.plots import draw_addition, draw_convergence, draw_interactions, draw_marginals, draw_removal


@pytest.fixture
def ax():
    return Figure().add_subplot()


@pytest.fixture
def game(five_providers):
    return UnlearningGame(five_providers, "influence")


def lines(ax):
    """The lines with names, as points."""
    containers = {one.get_label(): one[0].get_xydata() for one in ax.containers}
    return {one.get_label(): one.get_xydata() for one in ax.lines if not one.get_label().startswith("_")} | containers


def test_marginals_are_means_over_all_coalitions_of_a_size_where_all_are_drawn(game, ax):
    draw_marginals(game, ax, coalitions=600)
    values = shapley_values(game, "exact")
    drawn = lines(ax)
    assert list(drawn) == [str(player) for player in game.players]
    n, everybody = game.n_players, np.ones((1, game.n_players), dtype=bool)
    for i, player in enumerate(game.players):
        sizes, added = drawn[str(player)].T
        assert sizes.tolist() == [*range(n)]
        others = everybody.copy()
        others[0, i] = False
        alone = ~others
        # There is one coalition of nobody else, and one of all others.
        assert added[0] == pytest.approx(float((game(alone) - game(~everybody))[0]))
        assert added[-1] == pytest.approx(float((game(everybody) - game(others))[0]))
        assert added.mean() == pytest.approx(values[player], abs=0.15 * np.abs(values.values).max())


def test_marginals_are_drawn_of_whoever_is_named_and_the_same_each_time(game, ax):
    player = game.players[2]
    draw_marginals(game, ax, [player], coalitions=3)
    other = draw_marginals(game, Figure().add_subplot(), [player], coalitions=3)
    assert list(lines(ax)) == [str(player)]
    np.testing.assert_array_equal(lines(ax)[str(player)], lines(other)[str(player)])
    assert "log_likelihood" in ax.get_ylabel()


@pytest.mark.parametrize(("draw", "removed"), [(draw_removal, True), (draw_addition, False)])
def test_curves_are_utilities_of_who_is_left(draw, removed, game, ax):
    result = shapley_values(game, "exact")
    draw(game, result, ax)
    drawn, n = lines(ax), game.n_players
    best = np.argsort(result.values)[::-1]
    for label, order in (("the most valuable first", best), ("the least valuable first", best[::-1])):
        moved, utilities = drawn[label].T
        assert moved.tolist() == [*range(n + 1)]
        for k, utility in enumerate(utilities):
            kept = np.full((1, n), removed)
            kept[0, order[:k]] = not removed
            assert utility == game(kept)[0]
    ends = [line[[0, -1], 1] for line in drawn.values()]
    assert np.ptp(ends, axis=0).max() < 1e-12, "all begin and end with everybody and nobody"
    assert ax.get_ylabel() == "utility (log_likelihood)"


def test_of_many_players_a_curve_has_as_many_points_as_asked(game, ax):
    draw_removal(game, shapley_values(game, "exact"), ax, points=3)
    assert len(lines(ax)["the most valuable first"]) == 3


def test_convergence_is_that_of_the_results(ax):
    names = ("a", "b", "$c$")
    results = [made([1.0, -2.0, 0.1], error, players=names, asked=asked) for asked, error in ((10, 0.5), (40, 0.25))]
    draw_convergence(results, ax)
    assert list(lines(ax)) == ["b", "a", r"\$c\$"], "the largest first"
    np.testing.assert_array_equal(lines(ax)["b"], [[10, -2.0], [40, -2.0]])
    band = ax.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(results[0].interval()[0][1])
    assert ax.get_ylabel() == "Shapley value (accuracy)"
    assert list(lines(draw_convergence(results, Figure().add_subplot(), ["a"]))) == ["a"]


def test_interactions_are_symmetric_and_zero_is_in_the_middle(ax):
    rows = [("a", "b", -0.5), ("a", "$c", 0.25), ("b", "$c", 0.0)]
    draw_interactions(pd.DataFrame(rows, columns=["first", "second", "interaction"]), ax, "accuracy")
    [image] = ax.images
    expected = [[np.nan, -0.5, 0.25], [-0.5, np.nan, 0.0], [0.25, 0.0, np.nan]]
    np.testing.assert_array_equal(np.ma.filled(image.get_array(), np.nan), expected)
    assert image.get_clim() == (-0.5, 0.5)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", r"\$c"]
    ax.figure.canvas.draw()
    assert "accuracy" in ax.figure.axes[1].get_ylabel()
