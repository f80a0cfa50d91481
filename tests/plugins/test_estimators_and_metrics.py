"""Estimators and metrics that plugins offer: found like unlearners, with the same isolation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from unshap_plugin import UnlearningGame, ValuationProblem, shapley_values, value
from unshap_plugin.cli.main import main
from unshap_plugin.errors import InvalidValueError, PluginError, UnknownNameError
from unshap_plugin.metrics import METRICS
from unshap_plugin.plugins.manager import plugins
from unshap_plugin.plugins.registry import find_estimator, find_metric

GOOD = """
import numpy as np, torch
from unshap_plugin.plugin import *

class Alone(Estimator):
    name, summary, source = "alone", "The utility of each player alone.", "A test"
    utilities = None
    total = property(lambda self: self.n_players + 1)
    def ask(self):
        rows = np.eye(self.n_players + 1, self.n_players, dtype=bool)
        return rows if self.utilities is None else rows[:0]
    def tell(self, coalitions, utilities):
        self.utilities = utilities
    def estimate(self):
        values = self.utilities[:-1] - self.utilities[-1]
        return Estimate(values, 0 * values, np.inf + 0 * values)

def confidence(outputs, targets):
    return outputs.softmax(dim=-1).amax(dim=-1).mean(dim=1)

def twice_neg_loss(outputs, targets, loss):
    return torch.stack([-2 * loss(one, targets).mean() for one in outputs])

@hookimpl
def unshap_estimators():
    yield Alone

@hookimpl
def unshap_metrics():
    yield Metric("confidence", confidence, task="classification")
    yield Metric("twice_neg_loss", twice_neg_loss)
"""


class Additive:
    """A game whose values are its weights."""

    n_players = 3

    def __call__(self, coalitions):
        return coalitions @ np.array([1.0, -2.0, 4.0])


class Failing(Additive):
    """A game that fails on its own account."""

    def __call__(self, coalitions):
        raise ZeroDivisionError("the game's own")


@pytest.fixture
def only(offer, monkeypatch):
    """Offer a module and load no other plugin."""

    def put(source):
        offer(source)
        monkeypatch.setenv("UNSHAP_PLUGINS", "made-up")
        return {str(failure.provider): failure.reason for failure in plugins().failures}

    return put


def test_hook_unshap_estimators(only):
    assert only(GOOD) == {}
    assert list(plugins().estimators.usable) == ["composite", "exact", "permutation", "stratified", "alone"]
    registered = find_estimator("alone")
    assert (registered.qualified, registered.offer.summary) == ("made-up:alone", "The utility of each player alone.")
    for name in ("alone", "made-up:alone", "Made_Up:alone"):
        result = shapley_values(Additive(), name)
        assert result.values.tolist() == [1.0, -2.0, 4.0]
        assert (result.estimator, result.asked) == ("alone", 4)
        assert result.versions["made-up"] == "9.9"
    assert "made-up" not in shapley_values(Additive(), "exact").versions
    with pytest.raises(UnknownNameError, match=r"unknown estimator 'alnoe' \(did you mean 'alone'\?\)"):
        shapley_values(Additive(), "alnoe")


def test_hook_unshap_metrics(only, problem):
    assert only(GOOD) == {}
    assert list(plugins().metrics.usable) == [*(one.name for one in METRICS), "confidence", "twice_neg_loss"]
    assert find_metric("confidence").offer.task == "classification"
    data = {"train": (problem.x, problem.y), "test": (problem.x_test, problem.y_test)}
    given = problem.outputs(problem.model, problem.x_test)
    for name in ("confidence", "made-up:confidence"):
        mine = ValuationProblem(problem.model, **data, metric=name)
        assert mine.metric.name == "confidence"
        np.testing.assert_allclose(mine.given_utility, float(given.softmax(1).max(1).values.mean()), rtol=1e-12)
    loss = ValuationProblem(problem.model, **data, metric={"one": "neg_loss", "two": "twice_neg_loss"}).given_utility
    np.testing.assert_allclose(loss[1], 2 * loss[0], rtol=1e-12)
    with pytest.raises(UnknownNameError, match=r"unknown metric 'confidenec' \(did you mean 'confidence'\?\)"):
        ValuationProblem(problem.model, **data, metric="confidenec")


def test_they_work_on_the_command_line(only, tmp_path, monkeypatch, capsys):
    only(GOOD)
    monkeypatch.chdir(tmp_path)
    arguments = ["value", "--example", "iris", "--estimator", "alone", "--metric", "confidence"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "estimator    alone" in out
    assert "(confidence on 45 test rows)" in out
    assert json.loads(Path("values/result.json").read_text())["versions"]["made-up"] == "9.9"
    assert main([*arguments[:3], "--model", "ridge", "--metric", "confidence"]) == 2
    assert "metric 'confidence' does not fit a regression: use one of" in capsys.readouterr().err


def test_the_conformance_suite_finds_estimators_of_plugins(only, capsys):
    only(GOOD)
    assert main(["conformance", "alone"]) == 1
    out = capsys.readouterr().out
    assert "alone" in out
    assert "FAILED" in out.upper(), "it is no estimator of Shapley values"


ESTIMATOR = GOOD.replace("class Alone(Estimator):", "class Alone(Estimator):\n    {}").partition("\ndef confidence")[0]
OFFER = "\n@hookimpl\ndef unshap_{}():\n    {}\n"


@pytest.mark.parametrize(
    ("kind", "body", "why"),
    [
        ("estimators", "yield Alone(3, None, 0)", "unshap_estimators gave a Alone, but subclasses of Estimator are"),
        ("estimators", "yield int", "unshap_estimators gave int, but subclasses of Estimator are needed"),
        (
            "estimators",
            "return Alone",
            "unshap_estimators returned Alone, but subclasses of Estimator are needed: yield",
        ),
        ("estimators", "yield Alone; yield Alone", "it offers estimator 'alone' twice"),
        ("estimators", "yield Estimator", "estimator name None is not valid"),
        (
            "estimators",
            "yield type('Half', (Estimator,), {'name': 'half', 'summary': 'A.', 'source': 'B.'})",
            "estimator 'half' does not implement ask, estimate, tell, total",
        ),
        (
            "estimators",
            "yield type('Mute', (Alone,), {'summary': ''})",
            "the summary of estimator 'alone' is '', but one line of text is needed",
        ),
        (
            "estimators",
            "yield type('Odd', (Alone,), {'exact': 'yes'})",
            "exact of estimator 'alone' is 'yes', but bool is needed",
        ),
        ("metrics", "yield len", "unshap_metrics gave a builtin_function_or_method, but Metric objects are needed"),
        ("metrics", "yield Metric('a b', len)", "metric name 'a b' is not valid: letters, digits"),
        ("metrics", "yield Metric('m', 3)", "the score of metric 'm' is a int, but a callable (outputs, targets)"),
        ("metrics", "yield Metric('m', len, task='ranking')", "unknown task 'ranking'"),
        ("metrics", "yield Metric('m', len, default=True)", "metric 'm' says that it is a default, but"),
    ],
)
def test_what_cannot_be_registered_says_why(only, kind, body, why):
    failures = only(ESTIMATOR.format("pass") + OFFER.format(kind, body))
    assert why in failures["made-up 9.9"]
    assert list(plugins().estimators.usable) == ["composite", "exact", "permutation", "stratified"]
    assert list(plugins().metrics.usable) == [one.name for one in METRICS]


def test_a_plugin_that_fails_in_one_hook_offers_nothing(only):
    failures = only(GOOD.replace('yield Metric("twice', "raise LookupError('no licence')\n    yield Metric(\"twice"))
    assert failures == {"made-up 9.9": "LookupError: no licence"}
    assert list(plugins().estimators.usable) == ["composite", "exact", "permutation", "stratified"]


def test_names_of_built_in_ones_have_to_be_chosen_but_auto_and_defaults_stay(only, problem):
    shadow = GOOD.replace('"alone"', '"exact"').replace('Metric("confidence"', 'Metric("log_likelihood"')
    assert only(shadow) == {}
    with pytest.raises(InvalidValueError, match=r"as 'unshap-plugin:exact' or 'made-up:exact'"):
        shapley_values(Additive(), "exact")
    assert shapley_values(Additive(), "made-up:exact").asked == 4
    assert shapley_values(Additive()).asked == 8, "auto means the built-in ones"
    data = {"train": (problem.x, problem.y), "test": (problem.x_test, problem.y_test)}
    with pytest.raises(InvalidValueError, match="metric 'log_likelihood' is offered by unshap-plugin"):
        ValuationProblem(problem.model, **data, metric="log_likelihood")
    ours = ValuationProblem(problem.model, **data, metric="unshap-plugin:log_likelihood").given_utility
    assert ValuationProblem(problem.model, **data).given_utility == ours, "the default is what it always was"


def test_an_estimator_may_have_no_standard_errors(only):
    unknown = GOOD.replace(
        "Estimate(values, 0 * values, np.inf + 0 * values)", "Estimate(values, *[np.nan * values] * 2)"
    )
    assert only(unknown) == {}
    result = shapley_values(Additive(), "alone")
    assert result.values.tolist() == [1, -2, 4]
    assert np.isnan(result.std_errors).all()
    assert [end.tolist() for end in result.rank_intervals()] == [[1, 1, 1], [3, 3, 3]]


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("def estimate(self): raise LookupError('lost')", "failed with LookupError: lost"),
        ("def tell(self, c, u): raise SystemExit(3)", "failed with SystemExit: 3"),
        ("def __init__(self, *given): raise TypeError('no')", "failed with TypeError: no"),
        ("def estimate(self): return self.utilities", "returned a ndarray, but an Estimate is needed"),
        (
            "def estimate(self): return Estimate(*[np.zeros(2)] * 3)",
            "returned arrays of the shapes [[2]], but for 3 players [3] or [3, t] is needed for each",
        ),
        (
            "def estimate(self): return Estimate(*[np.zeros((3, 1, 1))] * 3)",
            "returned arrays of the shapes [[3, 1, 1]], but for 3 players [3] or [3, t] is needed for each",
        ),
        (
            "def estimate(self): return Estimate(*[['a', 'b', 'c']] * 3)",
            "returned something else than arrays of numbers",
        ),
        ("def estimate(self): return Estimate(*[np.full(3, np.nan)] * 3)", "returned numbers that cannot be: finite"),
        ("def estimate(self): return Estimate([1] * 3, [-1] * 3, [1] * 3)", "returned numbers that cannot be: finite"),
        (
            "def ask(self): return np.ones((1, 2), bool)",
            "asks for something else than coalitions: coalitions have shape",
        ),
        (
            "def ask(self): return np.ones((1, 3))",
            "asks for something else than coalitions: coalitions have dtype float",
        ),
        ("def ask(self): return np.eye(3, dtype=bool)", "asks for 6 utilities, but its total is 4"),
    ],
)
def test_what_an_estimator_of_a_plugin_does_wrong_is_said_of_it(only, body, what):
    assert (
        only(
            GOOD.replace(
                "\ndef confidence", f"\nclass Worse(Alone):\n    name = 'worse'\n    {body}\n\ndef confidence"
            ).replace("yield Alone", "yield Worse")
        )
        == {}
    )
    with pytest.raises(PluginError) as caught:
        shapley_values(Additive(), "worse")
    assert str(caught.value).startswith(f"estimator 'worse' of made-up 9.9 {what}")


WORSE = """
class Worse(Alone):
    name = "worse"
    {}
@hookimpl
def unshap_estimators():
    yield Worse
"""


def test_an_estimator_of_a_plugin_has_to_keep_to_the_budget(only):
    only(ESTIMATOR.format("pass") + WORSE.format("pass"))
    with pytest.raises(
        PluginError, match=r"estimator 'worse' of made-up 9.9 asks for 4 utilities, but the budget is 3"
    ):
        shapley_values(Additive(), "worse", budget=3)


def test_an_estimator_of_a_plugin_may_draw_from_the_global_generators(only):
    draws = "estimate = lambda self: Estimate(np.random.rand(3), torch.rand(3).numpy(), np.ones(3))"
    assert only(ESTIMATOR.format("pass") + WORSE.format(draws)) == {}
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    first, again, other = (shapley_values(Additive(), "worse", seed=seed) for seed in (0, 0, 2**70 + 1))
    assert first.values.tolist() == again.values.tolist() != other.values.tolist(), "a function of the seed"
    assert first.std_errors.tolist() == again.std_errors.tolist()
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)


class Remembering(Additive):
    """A game that gives away the arrays that it remembers."""

    utilities = np.arange(4.0)

    def __call__(self, coalitions):
        return self.utilities[: len(coalitions)]


def test_an_estimator_of_a_plugin_that_changes_what_it_is_told_does_no_harm(only):
    only(ESTIMATOR.format("pass") + WORSE.format("def tell(self, c, u): self.utilities = u; u[:] = 7; c[:] = True"))
    shapley_values(Remembering(), "worse")
    assert Remembering.utilities.tolist() == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (lambda coalitions: 1.0, r"the game gave shape \[\] for 2 coalitions, but \[2\] or \[2, t\] is needed"),
        (lambda coalitions: np.ones(3), r"the game gave shape \[3\] for 2 coalitions"),
        (lambda coalitions: np.full(len(coalitions), np.inf), "the game gave an infinite utility"),
    ],
)
def test_a_game_that_gives_something_else_than_utilities_is_not_blamed_on_the_estimator(given, why):
    game = type("Odd", (Additive,), {"__call__": lambda self, coalitions: given(coalitions)})()
    with pytest.raises(InvalidValueError, match=why):
        shapley_values(game, "exact")


def test_what_the_progress_bar_raises_is_not_blamed_on_the_estimator(only):
    only(GOOD)

    def broken(now):
        raise BrokenPipeError("closed")

    with pytest.raises(BrokenPipeError, match="closed"):
        shapley_values(Additive(), "alone", progress=broken)


def test_what_the_game_raises_is_not_blamed_on_the_estimator(only):
    only(GOOD)
    with pytest.raises(ZeroDivisionError, match="the game's own"):
        shapley_values(Failing(), "alone")


def test_the_one_call_takes_both(only, problem):
    only(GOOD)
    data = (problem.x, problem.y), (problem.x_test, problem.y_test)
    groups = np.arange(40) % 3
    result = value(problem.model, *data, groups=groups, metric="confidence", estimator="alone", unlearner="influence")
    mine = ValuationProblem(problem.model, *data, groups=groups, metric="confidence")
    utilities = UnlearningGame(mine, "influence")(np.eye(4, 3, dtype=bool))
    np.testing.assert_allclose(result.values, utilities[:3] - utilities[3], atol=1e-12)
    assert torch.is_tensor(mine.x)
