"""Tuning: the score against a plain loop, planted candidates, and messages."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pandas as pd
import pytest
from planted import Idle, Planted, answer, constant_problem, planted
from problems import early_stopped

from unshap_plugin import Tuning, UnlearningGame, audit, tune
from unshap_plugin.audit.sizes import draw
from unshap_plugin.errors import (
    AccessError,
    DivergenceError,
    InvalidTypeError,
    InvalidValueError,
    UnknownNameError,
)
from unshap_plugin.plugin import UnlearnerSpec
from unshap_plugin.plugins import registry
from unshap_plugin.plugins.catalogue import Provider, Registered
from unshap_plugin.plugins.manager import plugins
from unshap_plugin.plugins.registry import registered_unlearners


@pytest.fixture(autouse=True)
def _offered(monkeypatch):
    """Let the planted unlearners be found by name, as if a plugin offered them."""
    specs = [UnlearnerSpec(kind.name, kind, "An example.", "this test") for kind in (Planted, Idle)]
    offers = [Registered(spec, Provider("tests", "0", "planted")) for spec in specs]
    known = plugins()
    catalogue = dataclasses.replace(known.unlearners, offers=(*known.unlearners.offers, *offers))
    found = dataclasses.replace(known, unlearners=catalogue)
    monkeypatch.setattr(registry, "plugins", lambda: found)


class Unregistered(Idle):
    """Offered by nobody."""


def naive_score(problem, unlearned, retrained, rows):
    """Root mean squared error at equal size, over the spread of the retrained utilities there."""
    n, squares, spread = rows.shape[1], 0.0, 0.0
    target = retrained.mean(axis=0)
    for size in range(n + 1):
        members = [i for i in range(len(rows)) if rows[i].sum() == size]
        k, possible = len(members), math.comb(n, size)
        if k < 2:
            continue
        for_all = (possible - 1) / possible * k / (k - 1)
        e = [unlearned[i] - target[i] for i in members]
        squares += for_all * sum((one - sum(e) / k) ** 2 for one in e)
        r = [target[i] for i in members]
        spread += for_all * sum((one - sum(r) / k) ** 2 for one in r)
    return math.sqrt(squares / spread)


def test_scores_are_those_of_a_plain_loop():
    problem = early_stopped(hidden=3, metric="log_likelihood")
    grid = {"steps": [1, 5], "lr": (0.01, 0.1)}
    tuning = tune(UnlearningGame(problem, "finetune", seed=2), grid, coalitions=40, seeds=3)
    rows = draw(40, 40, 2)
    retrained = np.stack([UnlearningGame(problem, "retrain", seed=seed)(rows) for seed in (3, 4, 5)])
    candidates = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    games = [UnlearningGame(problem, "finetune", **one, seed=2)(rows) for one in candidates]
    assert tuning.table[["steps", "lr"]].to_dict("records") == candidates
    np.testing.assert_allclose(tuning.table["score"], [naive_score(problem, u, retrained, rows) for u in games])
    errors = [np.abs(u - retrained.mean(axis=0)).mean() for u in games]
    np.testing.assert_allclose(tuning.table["error"], errors)
    assert (tuning.table["seconds"] > 0).all()
    assert tuning.settings == candidates[int(tuning.table["score"].to_numpy().argmin())]
    assert tuning.coalitions == len(rows)
    assert tuning.retrainings == 3 * len(rows)
    assert UnlearningGame(problem, tuning.unlearner, **tuning.settings).n_players == 40


def test_the_planted_best_candidate_wins():
    problem = constant_problem()
    tuning = tune(UnlearningGame(problem, "planted"), {"factor": [1.0, 0.1, -0.5], "shift": [0.0, 7.0]})
    assert tuning.settings["factor"] == 0.1
    scores = tuning.table.set_index(["factor", "shift"])["score"]
    for factor in (1.0, 0.1, -0.5):
        # What depends on the size alone does not count; the full coalition is the given model in any case.
        assert scores[factor, 7.0] == pytest.approx(scores[factor, 0.0])
        assert scores[factor, 0.0] == pytest.approx(abs(factor) * scores[1.0, 0.0])
    errors = tuning.table.set_index(["factor", "shift"])["error"]
    assert errors[0.1, 7.0] > 10 * errors[0.1, 0.0]


def test_doing_nothing_scores_one():
    tuning = tune(UnlearningGame(constant_problem(), "idle"), {"unused": [1]})
    assert tuning.table["score"][0] == pytest.approx(1)


def test_several_metrics_count_by_their_spread():
    single = tune(UnlearningGame(constant_problem(), "planted"), {"factor": [0.5, 1.0]})

    def constant(outputs, targets):
        return 3.0

    def hundredfold(outputs, targets):
        return 100 * outputs.mean()

    several = {"answer": answer, "hundredfold": hundredfold, "constant": constant}
    both = tune(UnlearningGame(constant_problem(metric=several), "planted"), {"factor": [0.5, 1.0]})
    np.testing.assert_allclose(both.table["score"], single.table["score"])
    flat = UnlearningGame(constant_problem(metric=constant), "planted")
    with pytest.raises(InvalidValueError, match=r"\(constant\) of coalitions of one size are all equal"):
        tune(flat, {"factor": [1.0]})


@pytest.mark.parametrize(("on_error", "what"), [("raise", "not finite"), ("exclude", "were excluded, first")])
def test_a_candidate_that_diverges_is_listed_and_cannot_win(on_error, what):
    game = UnlearningGame(constant_problem(), "planted", on_error=on_error)
    tuning = tune(game, {"factor": [math.inf, 1.0]})
    assert tuning.settings == {"factor": 1.0}
    assert what in tuning.table["failure"][0]
    assert tuning.table[["score", "error", "seconds"]].isna().all(axis=1).tolist() == [True, False]
    assert tuning.table["failure"][1] == ""
    who = "unlearner 'planted'" if on_error == "raise" else "the comparison with retraining needs the utility of every"
    with pytest.raises(DivergenceError, match=f"all 2 candidates diverged, the first with: {who}"):
        tune(game, {"factor": [math.inf, -math.inf]})


def test_retraining_is_done_once_for_all_candidates(monkeypatch):
    calls = []
    played = UnlearningGame.__call__

    def counted(self, coalitions):
        if self.unlearner.name == "retrain":
            calls.append(len(coalitions))
        return played(self, coalitions)

    monkeypatch.setattr(UnlearningGame, "__call__", counted)
    tuning = tune(UnlearningGame(constant_problem(), "finetune"), {"steps": [1, 2, 3]})
    assert sum(calls) == tuning.retrainings == 2 * 64
    assert len(tuning.table) == 3


def test_built_in_methods_say_what_to_tune():
    tunable = {name: set(one.offer.default.tunable) for name, one in registered_unlearners().items()}
    assert tunable["finetune"] >= {"steps", "lr"}
    assert tunable["newton"] == {"steps"}
    assert tunable["retrain"] == set()
    for one in registered_unlearners().values():
        default = one.offer.default
        assert set(default.tunable) <= set(default.settings)
        for name, values in default.tunable.items():
            for value in values:
                assert one.offer.make(**{name: value}).settings[name] == value


def test_the_defaults_are_tried_too_where_no_grid_is_given(monkeypatch):
    monkeypatch.setattr(Planted, "tunable", {"factor": (2.0, 3.0), "shift": (0.0, 1.0)})
    tuning = tune(UnlearningGame(constant_problem(), "planted"))
    tried = [(1.0, 0.0), (2.0, 0.0), (2.0, 1.0), (3.0, 0.0), (3.0, 1.0)]
    assert list(tuning.table[["factor", "shift"]].itertuples(index=False, name=None)) == tried
    assert tuning.settings == {"factor": 1.0, "shift": 0.0}
    monkeypatch.setattr(Planted, "tunable", {"factor": (2.0, 1.0)})
    assert list(tune(UnlearningGame(constant_problem(), "planted")).table["factor"]) == [2.0, 1.0]


def test_the_default_grid_and_auto():
    problem = early_stopped(metric="log_likelihood")
    tuning = tune(UnlearningGame(problem), coalitions=30)
    assert isinstance(tuning, Tuning)
    assert tuning.unlearner == "newton"
    assert list(tuning.table["steps"]) == [None, 1, 2]
    again = tune(UnlearningGame(problem), coalitions=30)
    pd.testing.assert_frame_equal(tuning.table.drop(columns="seconds"), again.table.drop(columns="seconds"))
    checked = audit(UnlearningGame(problem, tuning.unlearner, seed=1, **tuning.settings), coalitions=30)
    assert checked.settings["steps"] == tuning.settings["steps"]


def test_what_cannot_be_tuned_is_refused_before_any_work(monkeypatch):
    problem = constant_problem()
    monkeypatch.setattr(UnlearningGame, "__call__", lambda *_: pytest.fail("evaluated"))
    for arguments, kind, words in [
        (["retrain"], InvalidValueError, "'retrain' has no settings to tune"),
        (["planted"], InvalidValueError, "does not say which settings to try: give a grid.*factor"),
        (["finetune", {}], InvalidValueError, "grid is empty.*steps, lr"),
        (["finetune", {"stps": [1]}], InvalidValueError, "has no setting 'stps'.*did you mean 'steps'"),
        (["finetune", {"steps": []}], InvalidValueError, "no values for setting 'steps'"),
        (["finetune", {"steps": 3}], InvalidTypeError, "grid has 3 for setting 'steps', but a list"),
        (["finetune", {"steps": "12"}], InvalidTypeError, "grid has '12' for setting 'steps'"),
        (["finetune", [1]], InvalidTypeError, "grid is a list, but a dict"),
        (["finetune", {"steps": [3, 0]}], InvalidValueError, "steps is 0"),
        (["finetun"], UnknownNameError, "did you mean 'finetune'"),
        ([Unregistered()], InvalidTypeError, "instance of Unregistered, which nobody registered, .* by name is needed"),
    ]:
        with pytest.raises(kind, match=words):
            tune(UnlearningGame(problem, *arguments[:1]), *arguments[1:])
    game = UnlearningGame(problem, "finetune")
    with pytest.raises(InvalidValueError, match="seeds is 1"):
        tune(game, seeds=1)
    with pytest.raises(InvalidValueError, match="coalitions=3 is too few"):
        tune(game, coalitions=3)
    with pytest.raises(InvalidTypeError, match="game is a ModuleProblem, but an UnlearningGame is needed"):
        tune(problem)
    with pytest.raises(AccessError, match="an audit compares with retraining"):
        tune(UnlearningGame(constant_problem(access="partial"), "gradient_ascent"))


def test_the_planted_error_is_what_it_says():
    rows = np.array([[True, False, True], [False, False, False]])
    np.testing.assert_allclose(planted(rows, (1.0, 2.0, 3.0, 4.0), (10.0, 20.0, 40.0)), [53.0, 1.0])
