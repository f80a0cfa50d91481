"""An audit and a tuning go on from what the game knows: nothing is unlearned, or computed once, a second time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from planted import constant_problem
from problems import coalitions, early_stopped
from sklearn.neighbors import KNeighborsClassifier

from unshap_plugin import UnlearningGame, ValuationProblem, audit, shapley_values, tune
from unshap_plugin.audit.retraining import retrained
from unshap_plugin.errors import DivergenceError, InvalidTypeError, InvalidValueError
from unshap_plugin.plugin import Unlearner
from unshap_plugin.second_order.objective import Objective
from unshap_plugin.unlearners import FineTune, Newton, Retrain
from unshap_plugin.unlearners.models import StackedModels

FIVE = np.arange(40) % 5


def counted(monkeypatch, kind):
    """Count how often each coalition is unlearned with each settings."""
    seen = Counter()
    plain = kind._unlearn

    def unlearn(self, problem, rows, seed):
        seen.update((*self.settings.values(), row.tobytes()) for row in rows)
        return plain(self, problem, rows, seed)

    monkeypatch.setattr(kind, "_unlearn", unlearn)
    return seen


def everybody(n):
    return np.ones(n, dtype=bool).tobytes()


@pytest.mark.parametrize("estimator", ["exact", "permutation"])
def test_an_audit_of_a_valued_game_unlearns_no_coalition_twice(monkeypatch, estimator):
    seen = counted(monkeypatch, FineTune)
    problem = early_stopped(groups=FIVE)
    game = UnlearningGame(problem, "finetune", steps=2)
    values = shapley_values(game, estimator, budget=None if estimator == "exact" else 26)
    before = dict(seen)
    report = audit(game)
    assert set(seen.values()) == {1}
    assert len(seen) == game.evaluations - 1 == 31
    assert everybody(5) not in {key[-1] for key in seen}
    assert report.evaluations == 31 - len(before)
    if estimator == "exact":
        assert seen == before
        np.testing.assert_array_equal(report.values("ll")["unlearned"], values.values[:, 1])
    fresh = audit(UnlearningGame(problem, "finetune", steps=2))
    np.testing.assert_array_equal(report.unlearned, fresh.unlearned)
    np.testing.assert_array_equal(report.retrained, fresh.retrained)


def test_values_after_an_audit_unlearn_no_coalition_twice(monkeypatch):
    seen = counted(monkeypatch, FineTune)
    game = UnlearningGame(early_stopped(), "finetune", steps=1)
    audit(game, coalitions=30)
    shapley_values(game, "permutation", budget=400)
    audit(game, coalitions=30)
    assert set(seen.values()) == {1}
    assert len(seen) == game.evaluations - 1
    assert everybody(40) not in {key[-1] for key in seen}


def test_the_given_model_is_not_retrained(monkeypatch):
    seen = counted(monkeypatch, Retrain)
    audit(UnlearningGame(early_stopped(groups=FIVE), "finetune", steps=1), seeds=3)
    assert everybody(5) not in {key[-1] for key in seen}
    assert len(seen) == 31
    assert set(seen.values()) == {3}


def test_a_tuning_of_a_valued_game_unlearns_no_coalition_twice(monkeypatch):
    seen = counted(monkeypatch, FineTune)
    problem = early_stopped(groups=FIVE, metric="log_likelihood")
    game = UnlearningGame(problem, "finetune", steps=2)
    shapley_values(game, "exact")
    before = dict(seen)
    tuning = tune(game, {"steps": [1, 2]})
    assert set(seen.values()) == {1}
    assert len(seen) == len(before) + 31, "the game plays its own settings itself"
    assert everybody(5) not in {key[-1] for key in seen}
    assert tuning.table["seconds"].isna().tolist() == [False, True]
    audit(game)
    assert len(seen) == len(before) + 31
    fresh = tune(UnlearningGame(problem, "finetune"), {"steps": [1, 2]})
    np.testing.assert_array_equal(tuning.table[["score", "error"]], fresh.table[["score", "error"]])
    assert tuning.settings == fresh.settings


def test_an_audit_of_what_is_known_has_no_cost():
    game = UnlearningGame(early_stopped(groups=FIVE, metric="log_likelihood"), "finetune", steps=1)
    assert audit(game).cost_ratio > 0
    again = audit(game)
    assert again.evaluations == 0
    assert np.isnan(again.cost_ratio)
    assert '"cost_ratio": null' in again.to_json()
    assert np.isnan(type(again).from_json(again.to_json()).cost_ratio)


def counted_hessians(monkeypatch):
    calls = []
    plain = Objective.hessian
    monkeypatch.setattr(Objective, "hessian", lambda self: (calls.append(1), plain(self))[1])
    return calls


def test_other_settings_share_what_is_computed_once(monkeypatch):
    calls = counted_hessians(monkeypatch)
    problem, rows = early_stopped(hidden=3), coalitions(6, 40)
    game = UnlearningGame(problem, "newton", steps=1, seed=3)
    game(rows)
    others = [game.with_settings(steps=steps) for steps in (2, 5)]
    got = [other(rows) for other in others]
    assert len(calls) == 1, "the Hessian does not depend on the number of steps"
    game.with_settings(proximal=2.0)(rows)
    assert len(calls) == 2, "but with what is added to it"
    for steps, other, utilities in zip((2, 5), others, got, strict=True):
        assert other.unlearner == Newton(steps=steps)
        assert (other.seed, other.problem) == (3, game.problem)
        assert other.provider == game.provider
        fresh = UnlearningGame(problem, "newton", steps=steps, seed=3)
        np.testing.assert_array_equal(utilities, fresh(rows))
    assert len(calls) == 4, "games that were made on their own share nothing"


def test_tuning_computes_once_for_all_candidates(monkeypatch):
    calls = counted_hessians(monkeypatch)
    problem = early_stopped(hidden=3, groups=FIVE, metric="log_likelihood")
    game = UnlearningGame(problem, "newton", steps=1)
    shapley_values(game, "exact")
    tuning = tune(game, {"steps": [1, 2, 5]})
    audit(game.with_settings(**tuning.settings))
    assert len(calls) == 1


@pytest.mark.parametrize(("name", "hessians"), [("newton", 1), ("influence", 1), ("finetune", 0)])
def test_other_seeds_share_what_is_computed_once(monkeypatch, name, hessians):
    calls = counted_hessians(monkeypatch)
    problem, rows = early_stopped(hidden=3), coalitions(6, 40)
    game = UnlearningGame(problem, name, seed=3, on_error="exclude", chunk=4)
    game(rows)
    other = game.with_seed(8)
    assert (game.seed, other.seed, other.evaluations, other.chunk, other.on_error) == (3, 8, 1, 4, "exclude")
    assert (other.unlearner, other.provider, other.reason) == (game.unlearner, game.provider, game.reason)
    utilities = other(rows)
    assert len(calls) == hessians, "the Hessian does not depend on the seed"
    np.testing.assert_array_equal(utilities, UnlearningGame(problem, name, seed=8)(rows))
    np.testing.assert_array_equal(game.with_seed(3)(rows), game(rows))


def test_another_seed_is_another_game():
    game, rows = UnlearningGame(early_stopped(), "retrain"), coalitions(4, 40)
    assert not np.array_equal(game.with_seed(1)(rows), game(rows))
    with pytest.raises(InvalidValueError, match="seed is -1"):
        game.with_seed(-1)


def test_a_tuning_and_audits_of_one_game_retrain_no_coalition_twice(monkeypatch):
    seen = counted(monkeypatch, Retrain)
    game = UnlearningGame(early_stopped(groups=FIVE, metric="log_likelihood"), "finetune", steps=2)
    tuning = tune(game, {"steps": [1, 2]})
    assert (len(seen), set(seen.values())) == (31, {2})
    report = audit(game.with_settings(**tuning.settings))
    audit(game, seeds=3)
    audit(game.with_seed(1))  # retrained with seeds 2 and 3, which are known
    assert (len(seen), set(seen.values())) == (31, {3})
    fresh = audit(UnlearningGame(game.problem, "finetune", **tuning.settings))
    np.testing.assert_array_equal(report.retrained, fresh.retrained)
    assert report.seconds_retrained > 0
    assert report.cost_ratio > 0


def test_a_game_with_other_settings_knows_no_utilities_but_that_of_the_given_model():
    problem, rows = early_stopped(), coalitions(4, 40)
    game = UnlearningGame(problem, "finetune", steps=1, lr=0.03, seed=2)
    one = game(rows)
    other = game.with_settings(steps=9)
    assert (game.evaluations, other.evaluations) == (5, 1)
    assert other.unlearner == FineTune(steps=9, lr=0.03), "what is not named stays"
    assert game.unlearner == FineTune(steps=1, lr=0.03)
    two = other(rows)
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal(game(rows), one)
    np.testing.assert_array_equal(two, UnlearningGame(problem, "finetune", steps=9, lr=0.03, seed=2)(rows))


def test_settings_that_cannot_be_are_refused():
    game = UnlearningGame(early_stopped(), "newton")
    with pytest.raises(InvalidValueError, match=r"has no setting 'stps'.*did you mean 'steps'"):
        game.with_settings(stps=1)
    with pytest.raises(InvalidValueError, match="steps is 0"):
        game.with_settings(steps=0)


def test_an_unregistered_unlearner_keeps_its_settings():
    """Not even where it has the name of another one: that would be another method."""

    class Mine(Newton):
        pass

    game = UnlearningGame(early_stopped(), Mine())
    with pytest.raises(InvalidTypeError, match="an instance of Mine, which nobody registered, but one that is made by"):
        game.with_settings(steps=1)


@dataclass(frozen=True)
class Lost(Unlearner):
    """Finds no model where player 0 is forgotten."""

    name: ClassVar[str] = "lost"

    def _unlearn(self, problem, rows, seed):
        state = problem.engine.stack(len(rows))
        state["bias"][~rows[:, 0]] = np.inf
        return StackedModels(problem.engine, state)


def test_excluded_utilities_are_no_figures():
    """An error of NaN would be a verdict about nothing."""
    game = UnlearningGame(constant_problem(), Lost(), on_error="exclude")
    first = r"first the coalition that keeps 0 of 6 players \(none\)"
    words = rf"but 32 were excluded, {first}; use another unlearner \(finetune"
    with pytest.raises(DivergenceError, match=f"needs the utility of every coalition, {words}") as caught:
        audit(game)
    assert caught.value.coalition == (False,) * 6
    assert game.excluded == 32


def test_a_failure_in_an_audit_advises_only_what_helps_there():
    """There is no leaving out of coalitions in a comparison, nor another unlearner than retraining to compare with."""
    x, y = np.arange(24.0).reshape(12, 2) % 5, np.arange(12) % 2
    groups = np.repeat(list("abc"), 4)

    def game(neighbours, **kwargs):
        model = KNeighborsClassifier(neighbours).fit(x, y)
        return UnlearningGame(ValuationProblem(model, (x, y), (x, y), groups=groups, metric="accuracy"), **kwargs)

    for function in (audit, lambda one: retrained(one.problem, np.eye(3, dtype=bool), (0, 1))):
        with pytest.raises(DivergenceError, match="for the coalition that keeps 1 of 3 players") as caught:
            function(game(5))
        assert "on_error" not in str(caught.value)
        assert caught.value.advice
    assert str(caught.value).endswith("; use a model that can be trained on few rows, or larger groups.")
    audit(game(3))  # the first advice
    larger = ValuationProblem(
        KNeighborsClassifier(5).fit(x, y), (x, y), (x, y), groups=np.repeat(list("ab"), 6), metric="accuracy"
    )
    audit(UnlearningGame(larger))  # the second
    with pytest.raises(DivergenceError, match=r"or on_error='exclude'\.$"):
        game(5)(np.eye(3, dtype=bool))
    assert np.isnan(game(5, on_error="exclude")(np.eye(3, dtype=bool))).all()
