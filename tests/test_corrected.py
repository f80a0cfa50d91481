"""Values of retraining from few retrainings, of models: who pays for what, and what the result says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from problems import breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from unshap_plugin import (
    Recipe,
    UnlearningGame,
    ValuationProblem,
    ValuationResult,
    audit,
    corrected_values,
    semivalues,
    shapley_values,
    value,
)
from unshap_plugin.errors import BudgetError, ContractError, InvalidTypeError, InvalidValueError, UnknownNameError
from unshap_plugin.estimators.corrected import DrawnFromSmall
from unshap_plugin.losses import cross_entropy
from unshap_plugin.retraining import own_retraining_game, retraining_game

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


def test_errors_are_not_zero_where_utilities_move_in_steps_and_all_that_were_seen_were_foretold():
    game = UnlearningGame(problem(metric="accuracy"), "influence")
    same = corrected_values(game, 24, retrained=Counting(game))
    assert ((same.std_errors > 0) & (same.std_errors < 0.05)).all()
    assert not any("as foretold" in note for note in same.notes)
    assert (corrected_values(game, 64, retrained=Counting(game)).std_errors == 0).all(), "nothing is left to see"


# A function that retrains.


def failing(times):
    """A fit that fails so many times for each set of rows, and how often it was asked."""
    asked = {}

    def fit(rows):
        asked[rows.tobytes()] = asked.get(rows.tobytes(), 0) + 1
        if asked[rows.tobytes()] <= times(rows):
            raise RuntimeError("the node is gone")
        return LogisticRegression().fit(X[rows], Y[rows])

    return fit, asked


def test_a_function_of_rows_retrains_and_is_asked_again_where_it_fails(caplog):
    game = UnlearningGame(problem(), "influence")
    fit, asked = failing(lambda rows: 2 if len(rows) == 24 else 0)
    result = corrected_values(game, 30, fit=fit)
    np.testing.assert_array_equal(result.values, corrected_values(game, 30).values)
    assert (result.unlearner, result.excluded, result.retrainings) == ("fit", 0, 30)
    assert result.settings["retries"] == 2
    assert len(asked) == 28, "neither of no row nor of all"
    assert set(asked.values()) == {1, 3}
    assert "the node is gone" in caplog.text
    assert ValuationResult.from_json(result.to_json()).settings == result.settings


@pytest.mark.parametrize("retries", [0, 1])
def test_what_fails_each_time_is_left_out_and_counted(retries):
    game = UnlearningGame(problem(), "influence")
    bad = np.flatnonzero(np.isin(GROUPS, ["a", "b"])).tobytes()
    fit, asked = failing(lambda rows: 99 if rows.tobytes() == bad else 0)
    result = corrected_values(game, 62, fit=fit, retries=retries)
    assert asked[bad] == retries + 1
    assert max(count for rows, count in asked.items() if rows != bad) == 1
    assert result.excluded == 1
    assert any(note.startswith("1 of 62 evaluated coalitions were excluded") for note in result.notes)
    truth = UnlearningGame(problem(), "retrain", seed=1)

    def failed(coalitions):
        found = truth(coalitions)
        found[(coalitions == np.isin(list("abcdef"), ["a", "b"])).all(axis=1)] = np.nan
        return found

    failed.n_players = 6
    other = corrected_values(game, 62, retrained=failed)
    np.testing.assert_array_equal(other.values, result.values)
    assert other.excluded == 1
    assert any(note.startswith("1 of 62 evaluated coalitions were excluded") for note in other.notes)


def test_functions_may_retrain_any_kind_of_model():
    trees = DecisionTreeClassifier(max_depth=2, random_state=0).fit(X, Y)
    given = ValuationProblem(trees, (X, Y), TEST, groups=GROUPS)
    own = own_retraining_game(
        given, lambda rows: DecisionTreeClassifier(max_depth=2, random_state=0).fit(X[rows], Y[rows]), 0, 1
    )
    some = np.random.default_rng(0).random((12, 6)) < 0.5
    some[0], some[1] = False, True
    np.testing.assert_array_equal(own(some), UnlearningGame(given, "retrain")(some))
    x, y = torch.as_tensor(X, dtype=torch.float32), torch.as_tensor(Y)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        start = torch.nn.Linear(x.shape[1], 2)
    recipe = Recipe("adam", lr=0.01, epochs=2, batch_size=16, init=start)
    given = ValuationProblem(
        recipe.train(start, cross_entropy, x, y),
        (x, y),
        (torch.as_tensor(TEST[0], dtype=torch.float32), torch.as_tensor(TEST[1])),
        groups=GROUPS,
        loss=cross_entropy,
        fit=recipe,
    )
    own = own_retraining_game(given, lambda rows: recipe.train(start, cross_entropy, x, y, rows=mask(rows)), 0, 0)
    np.testing.assert_allclose(own(some), UnlearningGame(given, "retrain")(some), atol=1e-5)


def mask(rows):
    return torch.as_tensor(np.isin(np.arange(len(X)), rows))


def test_functions_that_give_no_model_of_that_kind_are_refused():
    game = UnlearningGame(problem(), "influence")
    for other, said in ((None, "a NoneType"), (DecisionTreeClassifier(), "a DecisionTreeClassifier")):
        with pytest.raises(ContractError, match=f"returned {said} instead of the retrained model"):
            corrected_values(game, 30, fit=lambda rows, other=other: other)
    with pytest.raises(InvalidValueError, match="retrained and fit were given"):
        corrected_values(game, 30, fit=lambda rows: None, retrained=game)
    with pytest.raises(InvalidValueError, match="retries"):
        corrected_values(game, 30, fit=lambda rows: None, retries=-1)


def test_a_fit_on_other_labels_or_that_is_none_is_refused():
    names = np.array(["ben", "mal"])
    named = LogisticRegression().fit(X, names[Y])
    given = ValuationProblem(named, (X, names[Y]), (TEST[0], names[TEST[1]]), groups=GROUPS)
    game = UnlearningGame(given, "influence")
    with pytest.raises(ContractError, match="whose classes_ has class '0', which the given one lacks"):
        corrected_values(game, 30, fit=lambda rows: LogisticRegression().fit(X[rows], Y[rows]))
    with pytest.raises(ContractError, match="that is not fitted"):
        corrected_values(game, 30, fit=lambda rows: LogisticRegression())
    with pytest.raises(InvalidTypeError, match="fit is a int"):
        corrected_values(game, 30, fit=3)
    with pytest.raises(BudgetError, match=r"use a fit that succeeds \(what it raised was logged\), or more retries"):
        corrected_values(game, 30, fit=lambda: None)


def test_what_a_function_trained_is_remembered():
    class Fit:
        __hash__ = None  # as that of a data class

        def __call__(self, rows):
            return fit(rows)

    game = UnlearningGame(problem(), "influence")
    fit, asked = failing(lambda rows: 0)
    first = corrected_values(game, 30, fit=fit)
    np.testing.assert_array_equal(corrected_values(game, 30, fit=fit).values, first.values)
    corrected_values(game, 40, fit=fit)
    assert set(asked.values()) == {1}
    np.testing.assert_array_equal(corrected_values(game, 30, fit=Fit()).values, first.values)
    assert set(asked.values()) == {1, 2}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_functions_retrain_is_said_of_as_what_the_problem_retrains():
    hasty = LogisticRegression(max_iter=3).fit(X * 50, Y)
    given = ValuationProblem(hasty, (X * 50, Y), (TEST[0] * 50, TEST[1]), groups=GROUPS)
    game = UnlearningGame(given, "influence")
    by_fit = corrected_values(game, 30, fit=lambda rows: LogisticRegression(max_iter=3).fit((X * 50)[rows], Y[rows]))
    assert not any("use unlearner='retrain'" in note for note in by_fit.notes)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda coalitions: [1.0], r"gave shape \[1\] for \d+ coalitions"),
        (lambda coalitions: None, r"gave shape \[\] for|gave a NoneType for"),
        (lambda coalitions: ["a"] * len(coalitions), "gave a list for .* one number for each"),
        (lambda coalitions: torch.ones(len(coalitions), requires_grad=True), "gave a Tensor for"),
        (lambda coalitions: np.ones(len(coalitions)) * 1j, "complex numbers have no order"),
        (lambda coalitions: np.full(len(coalitions), np.inf), "gave an infinite utility"),
    ],
)
def test_games_that_give_no_utilities_are_named(given, words):
    class Other:
        n_players = 6

        def __call__(self, coalitions):
            return given(coalitions)

    game = UnlearningGame(problem(), "influence")
    with pytest.raises((InvalidValueError, InvalidTypeError), match=words):
        corrected_values(game, 30, retrained=Other())
    with pytest.raises((InvalidValueError, InvalidTypeError), match=words):
        corrected_values(Other(), 30, retrained=retraining_game(game.problem, 1))


def test_of_what_is_foretold_to_the_last_digit_no_variance_is_compared():
    class Sizes:
        n_players = 6

        def __call__(self, coalitions):
            return 1.5 * coalitions.sum(axis=1) ** 2

    assert corrected_values(Sizes(), 30, retrained=Sizes()).variance_ratio == 1.0


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
    with pytest.raises(UnknownNameError, match="unknown retrainings 'many'"):
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
    for wrong, kind, words in (
        ({"retrainings": "Auto"}, UnknownNameError, "did you mean 'auto'"),
        ({"retrainings": 0}, InvalidValueError, "retrainings is 0"),
        ({"retrained": 3}, InvalidTypeError, "retrained is a int"),
    ):
        with pytest.raises(kind, match=words):
            corrected_values(game, **wrong)
    with pytest.raises(InvalidValueError, match="an empty list"):
        corrected_values([], 30)
    other = UnlearningGame(problem(groups=np.repeat(list("uvwxyz"), 8)), "retrain")
    with pytest.raises(InvalidValueError, match="make both with the same groups= and valued="):
        corrected_values(game, 30, retrained=other)
    with pytest.raises(InvalidValueError, match="leave it out, or leave out retrainings"):
        value(MODEL, (X, Y), TEST, groups=GROUPS, retrainings=30, estimator="exact")
