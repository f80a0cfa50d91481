"""Values of retraining from few retrainings, of models: who pays for what, and what the result says."""

from __future__ import annotations

import numpy as np
import pytest
from problems import breast_cancer
from sklearn.linear_model import LogisticRegression

from unshap_plugin import (
    UnlearningGame,
    ValuationProblem,
    ValuationResult,
    audit,
    corrected_values,
    semivalues,
    shapley_values,
    value,
)
from unshap_plugin.errors import BudgetError, InvalidTypeError, InvalidValueError
from unshap_plugin.estimators.corrected import DrawnFromSmall
from unshap_plugin.retraining import retraining_game

(X, Y), TEST = breast_cancer(rows=48, tests=60)
GROUPS = np.repeat(list("abcdef"), 8)
MODEL = LogisticRegression().fit(X, Y)


def problem(**kwargs):
    return ValuationProblem(MODEL, (X, Y), TEST, **{"groups": GROUPS, **kwargs})


class Counting:
    """A game that counts how often each coalition is asked for."""

    def __init__(self, game):
        self.game, self.n_players, self.asked = game, game.n_players, []

    def __call__(self, coalitions):
        self.asked += [one.tobytes() for one in coalitions]
        return self.game(coalitions)


def test_they_are_values_of_retraining():
    game = UnlearningGame(problem(), "influence")
    truth = shapley_values(retraining_game(game.problem, 1), "exact")
    result = corrected_values(game, retrainings=40)
    low, high = result.interval(0.999)
    assert ((low <= truth.values) & (truth.values <= high)).all()
    assert float(result.missing) == pytest.approx(0, abs=1e-9)
    own = shapley_values(game, "exact")
    np.testing.assert_allclose(result.unlearned["influence"][0], own.values, atol=1e-9)
    assert (result.unlearned["influence"][1] == 0).all()
    assert np.abs(result.values - truth.values).max() < np.abs(own.values - truth.values).max()
    assert (result.retrainings, result.asked, result.unlearner, result.estimator) == (40, 40, "retrain", "corrected")
    assert result.notes[0].startswith("40 retrainings correct what influence would give: the values are those of")
    np.testing.assert_array_equal(corrected_values(game, retrainings=40).values, result.values)


def test_results_go_through_json_and_have_columns_of_the_unlearned_values():
    game = UnlearningGame(problem(metric={"ll": "log_likelihood", "hits": "accuracy"}), "influence")
    result = corrected_values([game, game.with_seed(3)], retrainings=24)
    assert list(result.unlearned) == ["influence 1", "influence 2"]
    again = ValuationResult.from_json(result.to_json())
    assert again.retrainings == 24
    assert again.variance_ratio == result.variance_ratio
    np.testing.assert_array_equal(again.unlearned["influence 2"], result.unlearned["influence 2"])
    frame = result.to_frame()
    own = frame[frame["metric"] == "hits"]["unlearned by influence 1"]
    np.testing.assert_allclose(own, shapley_values(game, "exact").values[:, 1], atol=1e-9)


def test_the_variance_ratio_compares_with_the_same_retrainings_alone():
    game = UnlearningGame(problem(), "influence")
    result = corrected_values(game, retrainings=30, seed=2)
    alone = DrawnFromSmall(6, 30, 2).run(retraining_game(game.problem, 1))
    expected = (alone.std_errors**2).sum() / (result.std_errors**2).sum()
    assert result.variance_ratio == pytest.approx(expected)
    assert f"{expected:.2g} times the variance" in result.notes[0]
    assert corrected_values(game, retrainings=64).variance_ratio == 1  # all coalitions: nothing is left to help


def test_retrainings_of_an_audit_are_not_paid_twice():
    game = UnlearningGame(problem(), "influence")
    audit(game, coalitions=64)  # all
    dear = retraining_game(game.problem, 1)
    known = dear.evaluations
    assert known == 64
    corrected_values(game, retrainings=30)
    assert dear.evaluations == known


def test_a_store_keeps_both(tmp_path):
    first = value(MODEL, (X, Y), TEST, groups=GROUPS, unlearner="influence", retrainings=30, store=tmp_path / "u.db")
    for unlearner, seed, most in (("influence", 0, 64), ("retrain", 1, 30)):
        game = UnlearningGame(problem(), unlearner, seed=seed, store=tmp_path / "u.db")
        assert game.evaluations == most
    again = value(MODEL, (X, Y), TEST, groups=GROUPS, unlearner="influence", retrainings=30, store=tmp_path / "u.db")
    np.testing.assert_array_equal(first.values, again.values)


def test_semivalues_have_no_sum_and_the_values_of_their_weights():
    game = UnlearningGame(problem(), "influence")
    result = corrected_values(game, 40, kind=("beta", 4, 1))
    truth = semivalues(retraining_game(game.problem, 1), ("beta", 4, 1), "exact")
    low, high = result.interval(0.999)
    assert ((low <= truth.values) & (truth.values <= high)).all()
    assert np.isnan(result.missing)
    assert result.semivalue == truth.semivalue


def test_another_ones_game_of_retraining_is_asked_for_nothing_twice():
    game = UnlearningGame(problem(), "influence")
    dear = Counting(UnlearningGame(problem(), "retrain", seed=1))
    result = corrected_values(game, 30, retrained=dear)
    assert len(dear.asked) == len(set(dear.asked)) == 30
    np.testing.assert_array_equal(result.values, corrected_values(game, 30).values)


def test_partial_access_is_corrected_by_who_has_all_data():
    seen = np.isin(GROUPS, list("abcde"))
    part = ValuationProblem(
        MODEL, (X[seen], Y[seen]), TEST, groups=GROUPS[seen], access="partial", trained_rows=48, reference=X[~seen] + 1
    )
    dear = UnlearningGame(problem(valued=list("abcde")), "retrain")
    result = corrected_values(UnlearningGame(part, "gradient_ascent"), 20, retrained=dear)
    truth = shapley_values(dear, "exact")
    low, high = result.interval(0.999)
    assert ((low <= truth.values) & (truth.values <= high)).all()
    assert result.players == tuple("abcde")


def test_errors_of_zero_say_what_they_mean():
    game = UnlearningGame(problem(), "influence")
    same = corrected_values(game, 24, retrained=Counting(game))
    assert (same.std_errors < 1e-9).all()
    assert same.notes[1].startswith("what was retrained came out as foretold, for 6 of 6 players to the last digit")
    for other in (corrected_values(game, 24), corrected_values(game, 64)):
        assert not any("as foretold" in note for note in other.notes)


def test_a_target_ends_the_retrainings():
    game = UnlearningGame(problem(), "newton")
    result = corrected_values(game, retrainings=60, target_error="50%")
    assert result.stopped == "target_error"
    assert result.retrainings < 60
    np.testing.assert_array_equal(corrected_values(game, result.retrainings).values, result.values)


def test_auto_takes_as_many_as_errors_ask_for_and_says_so():
    game = UnlearningGame(problem(), "newton")
    result = corrected_values(game, "auto")
    assert result.stopped == "target_error"
    assert 6 < result.retrainings < 60
    assert (result.std_errors <= 0.1 * result.values.std()).all()
    assert result.reasons["retrainings"] == "until standard errors are at most 10%, but at most 10 a player"
    np.testing.assert_array_equal(corrected_values(game, result.retrainings).values, result.values)
    never = corrected_values(UnlearningGame(problem(), "gradient_ascent"), "auto", target_error="0.0001%")
    assert (never.retrainings, never.stopped) == (60, "budget")
    with pytest.raises(InvalidTypeError, match="retrainings is 'many', but a whole number"):
        corrected_values(game, "many")


@pytest.mark.parametrize("budget", [None, 40])
def test_unlearned_values_are_drawn_and_listed_beside_corrected_ones(budget):
    result = corrected_values(UnlearningGame(problem(), "influence"), 30, budget=budget)
    ax = result.plot()
    labels = [one.get_text() for one in ax.get_legend().get_texts()]
    assert labels == ["corrected", "influence without retrainings"]
    drawn, order = ax.containers[-1], np.argsort(result.values, kind="stable")
    np.testing.assert_allclose(drawn.lines[0].get_xdata(), result.unlearned["influence"][0][order])
    assert drawn.has_xerr == (budget is not None), "all coalitions leave no error"
    assert f"30 retrainings (variance ratio {result.variance_ratio:.2g})" in ax.get_title()
    errors = result.to_frame().get("std error by influence")
    assert (errors is None) == (budget is None)
    if errors is not None:
        np.testing.assert_array_equal(errors, result.unlearned["influence"][1])


def test_refusals():
    game = UnlearningGame(problem(), "influence")
    with pytest.raises(BudgetError, match="retrainings"):
        corrected_values(game, 3)
    assert game.evaluations == 1, "before any work"
    with pytest.raises(InvalidTypeError, match="give an UnlearningGame, or the game of retraining as retrained="):
        corrected_values(Counting(game), 30)
    other = UnlearningGame(problem(groups=np.repeat(list("uvwxyz"), 8)), "retrain")
    with pytest.raises(InvalidValueError, match="make both with the same groups= and valued="):
        corrected_values(game, 30, retrained=other)
    with pytest.raises(InvalidValueError, match="leave it out, or leave out retrainings"):
        value(MODEL, (X, Y), TEST, groups=GROUPS, retrainings=30, estimator="exact")
