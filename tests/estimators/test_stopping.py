"""Runs that end before their budget: when, with which values, and what is told on the way."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from unshap_plugin import shapley_values
from unshap_plugin.errors import BudgetError, InvalidTypeError, InvalidValueError
from unshap_plugin.estimators import Exact, Permutation, Stratified, running
from unshap_plugin.estimators.base import Estimate
from unshap_plugin.estimators.stopping import Stopping, spread
from unshap_plugin.support import progress as progress_module

METHODS = [Stratified, Permutation, Exact]


class Saturating:
    """A smooth game with interactions, which notes how many utilities it gave."""

    def __init__(self, n=9, seed=3):
        self.n_players, self.given = n, 0
        rng = np.random.default_rng(seed)
        self.weights, self.pairs = rng.normal(size=n) + 0.5, rng.normal(size=(n, n)) / n

    def __call__(self, coalitions):
        self.given += len(coalitions)
        z = coalitions.astype(float)
        return np.tanh(z @ self.weights / 3) + 0.3 * np.einsum("mi,ij,mj->m", z, self.pairs, z)


def same(one, other):
    for name in ("values", "std_errors", "degrees_of_freedom"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [4, 7])
def test_values_on_the_way_are_those_of_a_run_with_that_budget(method, n):
    game, made = Saturating(n), method(n, 1 << n, 3)
    made.block = 2 << n - 3
    while len(coalitions := made.ask()):
        made.tell(coalitions, game(coalitions))
        made.asked += len(coalitions)
        if made.asked >= made.anytime_from:
            by_name = shapley_values(game, made.equivalent, made.asked, 3)
            same(made.estimate(), by_name)
    assert made.asked == made.total >= made.anytime_from
    assert made.equivalent == made.name


@pytest.mark.parametrize("estimator", ["stratified", "permutation", "exact", "auto"])
@pytest.mark.parametrize("rule", [{"target_error": "30%"}, {"target_error": 0.05}, {"stable_top": 1}, {"max_time": 0}])
def test_the_same_comes_from_the_budget_that_it_ended_at(estimator, rule):
    game = Saturating()
    result = shapley_values(game, estimator, seed=5, **rule)
    assert result.stopped == next(iter(rule))
    assert result.asked < 512
    again = shapley_values(Saturating(), result.estimator, result.asked, 5)
    same(result, again)
    assert again.stopped == "budget"


def test_a_budget_is_a_limit_beside_the_rules():
    result = shapley_values(Saturating(), "stratified", 100, target_error=1e-9)
    assert (result.asked, result.stopped) == (100, "budget")
    same(result, shapley_values(Saturating(), "stratified", 100))


def test_without_a_limit_all_coalitions_end_it():
    result = shapley_values(Saturating(), target_error=1e-12)
    assert (result.asked, result.estimator, result.stopped) == (512, "exact", "budget")


def test_a_target_is_reached_by_what_the_result_says():
    for target in (0.1, 0.03, 0.01):
        assert shapley_values(Saturating(), "permutation", target_error=target).std_errors.max() <= target
    result = shapley_values(Saturating(14), target_error="10%")
    values = np.sqrt(result.values.var() - np.square(result.std_errors).mean())
    assert result.std_errors.max() <= 0.1 * values
    assert spread(result)[0] == pytest.approx(values)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0, 1)), min_size=3, max_size=8), st.integers(1, 2))
@settings(deadline=None, max_examples=60)
def test_a_top_stands_out_where_each_of_it_is_above_each_other(given, top):
    values, errors = np.array(given).T
    estimate = Estimate(values, errors, np.full(len(values), 7.0))
    half = stats.t.ppf(1 - 0.025 / len(values), 7) * errors
    order = sorted(range(len(values)), key=lambda i: -values[i])
    slow = all(values[i] - half[i] > values[j] + half[j] for i in order[:top] for j in order[top:])
    assert (Stopping(stable_top=top).met(estimate, 100) == "stable_top") == slow


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0, 1)), min_size=2, max_size=6), st.floats(0.01, 2))
@settings(deadline=None, max_examples=60)
def test_a_target_holds_for_every_player_and_column(given, target):
    values, errors = np.array(given).T
    estimate = Estimate(*(np.stack([a, a[::-1]], axis=1) for a in (values, errors)), np.full((len(values), 2), 3.0))
    wider = stats.t.ppf(0.975, 3) / stats.norm.ppf(0.975)
    assert (Stopping(target).met(estimate, 100) == "target_error") == all(wider * one <= target for one in errors)


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        ({"target_error": 0}, InvalidValueError),
        ({"target_error": "0%"}, InvalidValueError),
        ({"target_error": "5"}, InvalidValueError),
        ({"target_error": True}, InvalidTypeError),
        ({"max_time": -1}, InvalidValueError),
        ({"stable_top": 0}, InvalidValueError),
        ({"stable_top": 9}, InvalidValueError),
    ],
)
def test_what_is_no_rule_is_refused_before_any_work(rule, error):
    game = Saturating()
    with pytest.raises(error, match=next(iter(rule))):
        shapley_values(game, **rule)
    assert game.given == 0


def test_the_clock_ends_a_run_but_changes_no_value(monkeypatch):
    now = [0.0]
    clock = SimpleNamespace(perf_counter=lambda: now[0])
    monkeypatch.setattr(running, "time", clock)
    monkeypatch.setattr(progress_module, "time", clock)
    game = Saturating(12)

    def slow(coalitions):
        now[0] += 0.1 * len(coalitions)
        return game(coalitions)

    made = Stratified(12, None, 0)
    found = made.run(slow, None, Stopping(max_time=20.0))
    assert made.ending == "max_time"
    assert 200 <= made.asked <= 220, "it asks for what comes in a second or two"
    same(found, Stratified(12, made.asked, 0).run(game))


@pytest.mark.parametrize("method", [Stratified, Exact])
def test_a_slow_game_is_asked_for_no_more_than_comes_in_a_second(method, monkeypatch):
    now, sizes = [0.0], []
    monkeypatch.setattr(running, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    game = Saturating()

    def slow(coalitions):
        sizes.append(len(coalitions))
        now[0] += 0.25 * len(coalitions)
        return game(coalitions)

    method(9, 512, 0).run(slow)
    assert max(sizes) <= 8
    assert sum(size > 4 for size in sizes) <= 1, "twice as many are tried once"


def test_a_callback_ends_it_with_the_values_so_far():
    told = []

    def progress(now):
        told.append(now)
        return now.done >= 100

    result = shapley_values(Saturating(), "permutation", progress=progress)
    assert result.stopped == "interrupted"
    assert told[-1].done == result.asked < 5000
    assert [one.done for one in told] == sorted({one.done for one in told})
    assert all(one.total >= one.done for one in told)
    same(result, shapley_values(Saturating(), "permutation", result.asked))


def test_it_cannot_end_before_there_are_values():
    with pytest.raises(BudgetError, match="ended after 2 utilities, before there were values: these need 18"):
        shapley_values(Saturating(), "stratified", progress=lambda now: True)
    assert shapley_values(Saturating(), "stratified", max_time=0).asked >= 18


@pytest.mark.parametrize("method", ["stratified", "permutation", "exact"])
def test_what_fails_once_the_end_was_asked_for_ends_it_with_the_values_so_far(method):
    game, ending = Saturating(), []

    class Failing:
        n_players = 9

        def __call__(self, coalitions):
            if game.given > 150 and not ending:
                ending.append(game.given)
                raise RuntimeError("a worker is gone")
            return game(coalitions)

    result = shapley_values(Failing(), method, seed=5, progress=lambda now: bool(ending))
    assert result.stopped == "interrupted"
    assert [result.asked] == ending
    same(result, shapley_values(Saturating(), result.estimator, result.asked, 5))
    ending.clear()
    with pytest.raises(RuntimeError, match="a worker is gone"):
        shapley_values(Failing(), method, progress=lambda now: False)


def test_what_fails_before_there_are_values_says_so_once_the_end_was_asked_for(caplog):
    class Failing:
        n_players = 9

        def __call__(self, coalitions):
            raise RuntimeError("a worker is gone")

    caplog.set_level(logging.INFO)
    with pytest.raises(BudgetError, match="ended after 0 utilities, before there were values"):
        shapley_values(Failing(), "stratified", progress=lambda now: True)
    assert not caplog.records, "nothing is known of how long it would have taken"


def test_a_callback_may_end_it_by_a_bool_of_numpy_but_by_nothing_else():
    ended = shapley_values(Saturating(), "permutation", progress=lambda now: np.float64(now.done) >= 100)
    assert ended.stopped == "interrupted"
    assert shapley_values(Saturating(), "permutation", 100, progress=lambda now: now.done).stopped == "budget"


def test_without_a_target_the_budget_is_what_progress_expects(monkeypatch):
    monkeypatch.setattr(running, "PATIENCE", -1.0)
    monkeypatch.setattr(running, "SHARE_OF_LOOKS", 1.0)
    for rule in ({}, {"stable_top": 1}):
        told = []
        shapley_values(Saturating(), "permutation", 400, progress=told.append, **rule)
        assert np.isfinite(told[-1].largest_error)
        assert {one.total for one in told} == {386}


def test_progress_knows_errors_and_how_far_it_will_go(monkeypatch):
    monkeypatch.setattr(running, "PATIENCE", -1.0)
    monkeypatch.setattr(running, "SHARE_OF_LOOKS", 1.0)
    told = []
    shapley_values(Saturating(), "stratified", 400, progress=told.append)
    assert told[-1].done == told[-1].total == 400
    assert np.isnan(told[0].largest_error)
    assert 0 < told[-1].largest_error < 1
    told.clear()
    result = shapley_values(Saturating(40), target_error=0.05, progress=told.append)
    assert told[-1].total < 1 << 20, "what the errors so far let expect"
    assert told[-1].done == result.asked


def test_the_log_has_an_estimate_and_a_line_a_minute(monkeypatch, caplog):
    now = [0.0]
    monkeypatch.setattr(progress_module, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    caplog.set_level(logging.INFO)
    report = progress_module.Reporter(None)
    for k in range(1, 14):
        now[0] += 10.0
        report(k, 13, 0.25)
    assert [record.getMessage() for record in caplog.records] == [
        "about 2.2 min for 13 utilities",
        "6 of 13 utilities, 0.1 a second, 1.2 min left, largest standard error 0.25",
        "12 of 13 utilities, 0.1 a second, 10 s left, largest standard error 0.25",
    ]


def test_intervals_cover_where_a_target_ended_the_run():
    """Optional stopping makes them a little too narrow: looks are few for that reason."""
    game = Saturating(10, seed=4)
    exact = shapley_values(game, "exact").values
    covered = []
    for seed in range(60):
        made = Stratified(10, None, seed, "linear")
        found = made.run(game, None, Stopping(target_error="15%"))
        assert made.ending == "target_error"
        half = stats.t.ppf(0.975, found.degrees_of_freedom) * found.std_errors
        covered.append(np.abs(found.values - exact) <= half)
    assert np.mean(covered) > 0.9


def test_asks_grow_where_a_block_is_no_multiple_of_a_permutation():
    sizes = []

    def game(coalitions):
        sizes.append(len(coalitions))
        return coalitions.sum(axis=1).astype(float)

    Permutation(10, 5000, 0).run(game)
    assert sum(sizes) == Permutation(10, 5000, 0).total
    assert len(sizes) < 20, sizes
