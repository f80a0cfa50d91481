"""Runs with a store: nothing is evaluated twice, whatever ended the one before, and values keep their bits."""

from __future__ import annotations

import copy
import dataclasses
import logging
import os
import pickle
import threading
from typing import ClassVar
from unittest import mock

import kills
import numpy as np
import pytest
from problems import coalitions, early_stopped
from sklearn.linear_model import LogisticRegression

from unshap_plugin import UnlearningGame, ValuationProblem, audit, shapley_values, tune, value
from unshap_plugin.coalitions import keys_of
from unshap_plugin.errors import DivergenceError, InvalidTypeError, InvalidValueError
from unshap_plugin.evaluation.evaluation import Evaluation
from unshap_plugin.plugin import Unlearner
from unshap_plugin.store.file import Store
from unshap_plugin.store.fingerprint import Fingerprint
from unshap_plugin.unlearners.models import StackedModels

RNG = np.random.default_rng(0)
X, TEST_X = RNG.normal(size=(30, 4)), RNG.normal(size=(20, 4))
Y, TEST_Y = (X[:, 0] > 0).astype(int), (TEST_X[:, 0] > 0).astype(int)
GROUPS = np.repeat(np.arange(10), 3)
MATRIX = coalitions(30, 10)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs" / "values.db"


def problem(**kwargs):
    return ValuationProblem(LogisticRegression().fit(X, Y), (X, Y), (TEST_X, TEST_Y), groups=GROUPS, **kwargs)


def play(path, unlearner="newton", asked=None, **kwargs):
    return UnlearningGame(asked or problem(), unlearner, store=path, **kwargs)


@pytest.mark.parametrize("metric", [None, {"hits": "accuracy", "ll": "log_likelihood"}], ids=["scalar", "vector"])
def test_a_second_run_evaluates_nothing_and_has_the_same_bits(path, counted, metric):
    plain = UnlearningGame(problem(metric=metric), "newton")(MATRIX)
    counted.clear()
    one = play(path, asked=problem(metric=metric), chunk=7)
    first = one(MATRIX[:20])
    assert sum(counted) == len(set(keys_of(MATRIX[:20])) - set(keys_of(np.ones((1, 10), dtype=bool))))
    two = play(path, asked=problem(metric=metric))
    assert two.evaluations == one.evaluations
    counted.clear()
    assert two(MATRIX[:20]).tobytes() == first.tobytes() == plain[:20].tobytes()
    assert counted == []
    assert two(MATRIX).tobytes() == plain.tobytes()
    for theirs, ours in zip(two.known(), play(path, asked=problem(metric=metric)).known(), strict=True):
        assert np.array_equal(theirs, ours)


def test_another_estimator_or_budget_evaluates_only_what_is_new(path, counted):
    first = shapley_values(play(path), "permutation", 200)
    known = play(path).evaluations
    assert known == first.evaluations
    counted.clear()
    larger = shapley_values(play(path), "exact")
    assert sum(counted) == 2**10 - known
    assert larger.values.tobytes() == shapley_values(UnlearningGame(problem(), "newton"), "exact").values.tobytes()
    counted.clear()
    again = value(
        LogisticRegression().fit(X, Y),
        (X, Y),
        (TEST_X, TEST_Y),
        groups=GROUPS,
        unlearner="newton",
        estimator="permutation",
        budget=200,
        store=path,
    )
    assert counted == []
    assert again.values.tobytes() == first.values.tobytes()
    assert again.std_errors.tobytes() == first.std_errors.tobytes()


def test_each_pass_is_stored_when_it_is_done(path, monkeypatch):
    game, plain, passes = play(path, chunk=4), Evaluation.utilities, []

    def failing(self, coalitions):
        if len(passes) == 3:
            raise KeyboardInterrupt
        passes.append(coalitions)
        assert (
            Store(path).games() == [] if len(passes) == 1 else Store(path).games()[0].coalitions == 4 * len(passes) - 4
        )
        return plain(self, coalitions)

    monkeypatch.setattr(Evaluation, "utilities", failing)
    with pytest.raises(KeyboardInterrupt):
        game(MATRIX)
    assert Store(path).games()[0].coalitions == 12


def test_games_do_not_share_what_is_not_theirs(path, counted):
    game = play(path)
    game(MATRIX)
    for other in (
        game.with_settings(steps=1),
        game.with_seed(3),
        play(path, steps=2),
        play(path, "influence"),
        play(path, asked=problem(metric="accuracy")),
    ):
        assert other.evaluations == 1
        other(MATRIX)
    counted.clear()
    for same in (game.with_seed(3), game.with_settings(steps=1), play(path).with_settings(steps=2)):
        assert np.isfinite(same(MATRIX)).all()
    assert counted == []
    assert len(Store(path).games()) == 6


def test_copies_of_a_game_go_on_with_the_store(path, counted):
    game = play(path)
    game(MATRIX[:10])
    for other in (copy.copy(game), copy.deepcopy(game), pickle.loads(pickle.dumps(game))):
        assert other.evaluations == game.evaluations
        assert other.store == game.store == path
    pickle.loads(pickle.dumps(game))(MATRIX)
    counted.clear()
    game(MATRIX)
    assert counted == []


def test_retrainings_of_audits_and_tunings_are_stored(path, counted):
    def games():
        return play(path, "finetune", early_stopped(groups=np.repeat(np.arange(4), 10)), steps=1)

    first = audit(games())
    tuned = tune(games(), {"steps": [1, 2]})
    counted.clear()
    again = audit(games())
    assert counted == []
    np.testing.assert_array_equal(again.retrained, first.retrained)
    np.testing.assert_array_equal(again.unlearned, first.unlearned)
    assert np.isnan(again.cost_ratio)
    assert np.isnan(type(again).from_json(again.to_json()).cost_ratio)
    assert tune(games(), {"steps": [1, 2]}).settings == tuned.settings
    assert counted == []


@dataclasses.dataclass(frozen=True)
class Breaks(Unlearner):
    """Diverges where it forgets player 0."""

    name: ClassVar[str] = "breaks"

    def _unlearn(self, problem, coalitions, seed):
        theta = problem.engine.stack(len(coalitions))
        theta["linear.weight"][~coalitions[:, 0]] = np.nan
        return StackedModels(problem.engine, theta)


def test_what_is_excluded_is_stored_and_is_an_error_where_it_is_one(path, counted):
    excluding = play(path, Breaks(), on_error="exclude")
    first = excluding(MATRIX)
    assert 0 < excluding.excluded < len(MATRIX)
    counted.clear()
    again = play(path, Breaks(), on_error="exclude")
    assert again(MATRIX).tobytes() == first.tobytes()
    assert again.excluded == excluding.excluded
    assert counted == []
    strict = play(path, Breaks())
    assert strict.excluded == 0
    np.testing.assert_array_equal(strict(MATRIX[MATRIX[:, 0]]), first[MATRIX[:, 0]])
    assert counted == []
    with pytest.raises(DivergenceError):
        strict(MATRIX)


def test_what_raised_an_exception_is_evaluated_again(path):
    memory = [False]

    class Short(Breaks):
        def _unlearn(self, problem, coalitions, seed):
            if not memory[0] and not coalitions[:, 0].all():
                raise MemoryError
            return StackedModels(problem.engine, problem.engine.stack(len(coalitions)))

    with mock.patch("unshap_plugin.store.utilities.fingerprint", return_value=Fingerprint("c0ffee", 10, (), {})):
        first = play(path, Short(), on_error="exclude")
        assert np.isnan(first(MATRIX)).tolist() == (~MATRIX[:, 0]).tolist()
        assert first.excluded > 0
        assert len(Store(path).games()) == 1
        memory[0] = True
        again = play(path, Short(), on_error="exclude")
        assert again.evaluations == first.evaluations - first.excluded
        assert np.isfinite(again(MATRIX)).all()


@dataclasses.dataclass(frozen=True)
class Chained(Breaks):
    name: ClassVar[str] = "chained"
    order_dependent: ClassVar[bool] = True


def test_what_depends_on_the_order_is_refused(path):
    with (
        pytest.warns(UserWarning, match="depends on the order"),
        pytest.raises(InvalidValueError, match="leave out store, or give another unlearner"),
    ):
        play(path, Chained())


def test_a_file_is_not_made_where_a_game_is_refused(path):
    lock = threading.Lock()
    with pytest.raises(InvalidValueError):
        play(path, steps=0)
    with pytest.raises(InvalidTypeError):
        play(path, asked=problem(metric=lambda outputs, targets: lock and outputs.mean()))
    with pytest.warns(UserWarning, match="depends on the order"), pytest.raises(InvalidValueError):
        play(path, Chained())
    assert not path.parent.exists()


def test_the_log_says_what_was_known(path, caplog):
    play(path)(MATRIX[:5])
    with caplog.at_level(logging.INFO, "unshap_plugin"):
        game = play(path)
    assert f"{game.evaluations - 1} utilities of this game were known to the store" in caplog.text


def test_two_processes_share_a_store(path):
    """Each evaluates its own coalitions while the other one does, and then knows those of the other."""
    asked, parts = problem(), (MATRIX[:20], MATRIX[10:])
    children = []
    for part in parts:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                game = play(path, asked=asked, chunk=1)
                for row in part:
                    game(row[None])
                code = 0 if game._known._waiting == [] else 2
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    game = play(path, asked=asked)
    assert game(MATRIX).tobytes() == UnlearningGame(asked, "newton")(MATRIX).tobytes()
    assert game.evaluations == len(set(keys_of(MATRIX)) | set(keys_of(np.ones((1, 10), dtype=bool))))
    [stored] = Store(path).games()
    assert stored.coalitions == game.evaluations - 1


def test_killed_processes_are_taken_up_with_the_same_bits(tmp_path):
    outcome = kills.trial(5, seed=1, folder=tmp_path)
    assert outcome.kills == 5
    assert outcome.faults == []
    assert max(outcome.lost) <= kills.CHUNK
    assert max(outcome.stored) > 0
    assert outcome.same == [True] * outcome.finished
