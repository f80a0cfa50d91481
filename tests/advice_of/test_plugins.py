"""What errors about plugins advise, followed to the letter."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
from advice import Case, check, with_plugins, without_a_case
from planted import Planted, constant_problem
from problems import early_stopped
from stand_in import installed

from unshap_plugin import UnlearningGame, shapley_values
from unshap_plugin.estimators import Exact, Stratified
from unshap_plugin.estimators.stopping import Stopping
from unshap_plugin.metrics import METRICS
from unshap_plugin.plugin import Estimator, StackedModels, Unlearner, UnlearnerSpec, hookimpl
from unshap_plugin.plugins.estimation import estimate_with
from unshap_plugin.plugins.offers import offered
from unshap_plugin.plugins.registry import find_estimator, find_unlearner, remade, resolve_unlearner
from unshap_plugin.unlearners import Newton

FOLDERS = ["unshap_plugin/plugins"]
#: What only describes, with the reason.
NO_ADVICE = {"failed when it was asked whether it can work": "it is the plugin's author who has to do something"}
SOME = np.array([[True] * 20 + [False] * 20])


@dataclasses.dataclass(frozen=True)
class Half(Unlearner):
    name: ClassVar[str] = "half"

    factor: float = 0.5

    def _unlearn(self, problem, coalitions, seed):
        given = problem.engine.stack(len(coalitions))
        return StackedModels(problem.engine, {k: self.factor * p for k, p in given.items()})


def plugin(hook="unshap_unlearners", *, returns=None, **others):
    """A plugin with a hook that yields, or returns, these."""

    def yields():
        yield from others.get("yields", ())

    function = (lambda: returns()) if returns is not None else yields
    function.__name__ = hook
    return SimpleNamespace(**{hook: hookimpl(function)})


def wrapper():
    yield


def spec(factory=Half, name="half", summary="Halves.", source="a test"):
    return UnlearnerSpec(name, factory, summary, source)


def one(made):
    """A plugin that offers one unlearner."""
    return offered(plugin(yields=[made]))


def works(made, **settings):
    """What is offered is there, and unlearns."""
    [found] = one(made)["unshap_unlearners"]
    assert found is made
    game = UnlearningGame(early_stopped(metric="log_likelihood"), made.make(**settings))
    [utility] = game(SOME)
    assert -1 < utility < 0


def factory(*parameters, settings=None, name="half"):
    """A factory with these parameters, written out, of an unlearner with these settings."""
    space = {"Half": Half, "made": lambda: _made(settings, name)}
    exec(f"def half({', '.join(parameters)}): return made()", space)
    return space["half"]


def _made(settings, name):
    bases = {"name": name} if settings is None else {"name": name, "settings": property(lambda self: settings)}
    return type("Half", (Half,), bases)()


class Guess(Estimator):
    """An estimator that guesses."""

    name: ClassVar[str] = "guess"
    summary: ClassVar[str] = "Guesses."
    source: ClassVar[str] = "a test"
    total: ClassVar[int] = 0

    def ask(self):
        return np.zeros((0, self.n_players), dtype=bool)

    def tell(self, coalitions, utilities):
        """Take nothing."""


class Whole(Guess):
    def estimate(self):
        return 0


class Late(Exact):
    """Gives no values before it is done."""

    anytime_from: ClassVar[None] = None


def played(estimator, **rules):
    registered = dataclasses.replace(find_estimator("exact"), offer=estimator)
    found = estimate_with(registered, Sum(), None, 0, stopping=Stopping(**rules))
    assert found.estimate.values.round(6).tolist() == [1.0, 2.0, 4.0]


def metric(**said):
    [given] = [one for one in METRICS if one.name == "r2"]
    mine = dataclasses.replace(given, name="mine", **said)
    assert offered(plugin("unshap_metrics", yields=[mine])) == {"unshap_metrics": [mine]}


def twins(name):
    found = find_unlearner(name)
    game = UnlearningGame(early_stopped(metric="log_likelihood"), name)
    assert -1 < game(SOME)[0] < 0
    return found.qualified


def same(game, other):
    np.testing.assert_array_equal(game(SOME), other(SOME))


PROBLEM = early_stopped(metric="log_likelihood")

OFFERS = [
    Case(
        "a hook that returns nothing",
        lambda: offered(plugin(returns=lambda: None)),
        "but UnlearnerSpec objects are needed: yield them",
        (lambda: works(spec()),),
    ),
    Case(
        "a hook that returns one",
        lambda: offered(plugin(returns=spec)),
        "but UnlearnerSpec objects are needed: yield them",
        (lambda: works(spec()),),
    ),
    Case(
        "a hook wrapper",
        lambda: offered(SimpleNamespace(unshap_unlearners=hookimpl(hookwrapper=True)(wrapper))),
        "yield what it offers",
        (lambda: works(spec()),),
    ),
    Case(
        "a name twice",
        lambda: offered(plugin(yields=[spec(), spec()])),
        "it offers unlearner 'half' twice",
        (lambda: offered(plugin(yields=[spec(), spec(factory(name="third", settings={}), "third")])),),
    ),
    Case(
        "a hook that does not exist",
        lambda: offered(plugin("unshap_unlearner", yields=[spec()])),
        "(did you mean 'unshap_unlearners'?)",
        (lambda: works(spec()),),
    ),
    Case(
        "no specs",
        lambda: one(Half),
        "but UnlearnerSpec objects are needed",
        (lambda: works(spec()),),
    ),
    Case(
        "a name that is a choice",
        lambda: one(spec(name="auto")),
        "letters, digits, '.', '_' and '-' are needed, and not 'auto'",
        (lambda: works(spec(factory(name="half-2.a_b", settings={}), "half-2.a_b")),),
    ),
    Case(
        "no summary",
        lambda: one(spec(summary="")),
        "but one line of text is needed",
        (lambda: works(spec(summary="Halves.")),),
    ),
    Case(
        "a setting by position",
        lambda: one(spec(factory("factor=0.5", "/"))),
        "settings are given by name",
        (lambda: works(spec(factory("*", "factor=0.5", settings={"factor": 0.5})), factor=0.5),),
    ),
    Case(
        "a setting without a default",
        lambda: one(spec(factory("factor"))),
        "has no default, but all need one",
        (lambda: works(spec(factory("factor=0.5", settings={"factor": 0.5}))),),
    ),
    Case(
        "a setting that is called like an argument",
        lambda: one(spec(factory("seed=0"))),
        "rename it",
        (lambda: works(spec(factory("start=0", settings={"start": 0})), start=0),),
    ),
    Case(
        "two names",
        lambda: one(spec(name="halves")),
        "but one name is needed",
        (lambda: works(spec(name="half")),),
    ),
    Case(
        "settings that are not said",
        lambda: one(spec(factory("factor=0.5", settings={}))),
        "make it a data class, or state its settings",
        (lambda: works(spec(Half)), lambda: works(spec(factory("factor=0.5", settings={"factor": 0.5})))),
    ),
    Case(
        "an estimator that is not finished",
        lambda: offered(plugin("unshap_estimators", yields=[Guess])),
        "does not implement estimate",
        (lambda: offered(plugin("unshap_estimators", yields=[Whole])),),
    ),
    Case(
        "a metric that would be the default",
        lambda: metric(default=True),
        "leave it out",
        (metric,),
    ),
]

REGISTRY = [
    Case(
        "a class",
        lambda: UnlearningGame(PROBLEM, Newton),
        "but a name or an instance of Unlearner is needed: make one, Newton().",
        (lambda: same(UnlearningGame(PROBLEM, Newton()), UnlearningGame(PROBLEM, "newton")),),
    ),
    Case(
        "a number",
        lambda: UnlearningGame(PROBLEM, 3),
        "but a name or an instance of Unlearner is needed.",
        (lambda: UnlearningGame(PROBLEM, "newton"), lambda: UnlearningGame(PROBLEM, Newton())),
    ),
    Case(
        "no name of an estimator",
        lambda: find_estimator(Guess),
        "estimator is the class Guess, but a name is needed: auto, composite, exact, permutation, stratified",
        tuple(
            lambda name=name: np.testing.assert_allclose(
                shapley_values(UnlearningGame(constant_problem(3), "newton"), name).missing, 0, atol=1e-9
            )
            for name in ("auto", "composite", "exact", "permutation", "stratified")
        ),
    ),
    Case(
        "a name that two offer",
        with_plugins(lambda: find_unlearner("twin"), "twin_a", "twin_b"),
        "say which one, as 'twin-a:twin' or 'twin-b:twin'",
        tuple(
            with_plugins(lambda name=name: twins(name), "twin_a", "twin_b") for name in ("twin-a:twin", "twin-b:twin")
        ),
    ),
    Case(
        "settings beside an instance",
        lambda: UnlearningGame(PROBLEM, Newton(), steps=2),
        "put them into the instance, or give the unlearner by name",
        (
            lambda: same(UnlearningGame(PROBLEM, Newton(steps=2)), UnlearningGame(PROBLEM, "newton", steps=2)),
            lambda: UnlearningGame(PROBLEM, "newton", steps=2),
        ),
    ),
    Case(
        "other settings of an instance that nobody registered",
        lambda: UnlearningGame(PROBLEM, Half()).with_settings(factor=0.1),
        "make another instance, and a game with it",
        (lambda: UnlearningGame(PROBLEM, Half(factor=0.1))(SOME),),
    ),
    Case(
        "settings that are no dict",
        lambda: resolve_unlearner("newton", [("steps", 2)]),
        "but a dict of names and values is needed",
        (lambda: resolve_unlearner("newton", {"steps": 2}),),
    ),
    Case(
        "an unlearner that refuses",
        lambda: UnlearningGame(early_stopped(access="partial", reference=None), "finetune"),
        "unlearners that would work: ",
        (lambda: UnlearningGame(early_stopped(access="partial", reference=None), "gradient_ascent")(SOME),),
    ),
]

REGISTRY.append(
    Case(
        "rules for an estimator that gives no values on its way",
        lambda: played(Late, max_time=1),
        "leave them out, or use estimator='stratified'.",
        (lambda: played(Late), lambda: played(Stratified, max_time=1)),
    )
)


def sums(*args):
    """A game in which the players add 1, 2 and 4."""
    return shapley_values(Sum(), *args)


class Sum:
    n_players = 3
    scale = 1.0

    def __call__(self, coalitions):
        return coalitions @ np.array([1.0, 2.0, 4.0]) * self.scale


def valued(*args):
    np.testing.assert_allclose(sums(*args).values, [1, 2, 4], atol=1e-9)


def summing(result):
    np.testing.assert_allclose(result.missing, 0, atol=1e-9)


def with_stand_in(function, *kinds):
    """Return the function, which finds approximators of a stand-in for shapiq installed."""

    def run():
        with installed(*kinds):
            return function()

    return run


class Many(Sum):
    scale = 100.0


APPROXIMATORS = [
    Case(
        "without shapiq",
        with_stand_in(lambda: sums("shapiq:KernelSHAP"), None),
        "run pip install 'unshap-plugin[shapiq]'",
        (with_stand_in(lambda: valued("shapiq:Alone")),),
    ),
    Case(
        "no such approximator",
        with_stand_in(lambda: sums("shapiq:Alon")),
        "(did you mean 'shapiq:Alone'?)",
        (with_stand_in(lambda: valued("shapiq:Alone")),),
    ),
    Case(
        "next to no budget for an approximator",
        with_stand_in(lambda: sums("shapiq:Alone", 1)),
        "needs at least 2 evaluations; give more",
        (with_stand_in(lambda: valued("shapiq:Alone", 4)),),
    ),
    Case(
        "an approximator that reaches too few, where all coalitions are within the budget",
        with_stand_in(lambda: sums("shapiq:Nobody", 8)),
        "use estimator='exact'",
        (lambda: valued("exact"),),
    ),
    Case(
        "an approximator that reaches too few",
        with_stand_in(lambda: sums("shapiq:Nobody", 7)),
        "give a larger one, or use estimator='stratified'",
        (with_stand_in(lambda: valued("shapiq:Whole", 8)), lambda: summing(sums("stratified", 7))),
    ),
    Case(
        "an approximator that reaches next to nobody",
        with_stand_in(lambda: sums("shapiq:Whole", 4)),
        "give a larger one.",
        (with_stand_in(lambda: valued("shapiq:Whole", 8)),),
    ),
    Case(
        "an approximator that asks by what it is told",
        with_stand_in(lambda: shapley_values(Many(), "shapiq:Adaptive")),
        "use another estimator",
        (lambda: summing(shapley_values(Many(), "stratified")),),
    ),
]

CASES = [*OFFERS, *REGISTRY, *APPROXIMATORS]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_an_error_advises_helps(case):
    check(case)


def test_all_that_is_advised_is_followed():
    assert without_a_case(FOLDERS, CASES, NO_ADVICE) == []


def test_other_settings_of_a_registered_instance_need_no_advice():
    assert remade(Newton(), find_unlearner("newton").provider, {"steps": 2}) == Newton(steps=2)
    assert Planted().settings
