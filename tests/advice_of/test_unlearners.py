"""What errors about unlearners advise, followed to the letter."""

from __future__ import annotations

import copy
from typing import ClassVar

import numpy as np
import pytest
import torch
from advice import Case, check, without_a_case
from problems import breast_cancer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem
from unshap_plugin.errors import AccessError
from unshap_plugin.losses import cross_entropy
from unshap_plugin.plugin import Unlearner, UnlearnerSpec
from unshap_plugin.problem.access import ModelKind
from unshap_plugin.second_order.objective import MAX_PARAMETERS
from unshap_plugin.unlearners._own_fit import OwnFit
from unshap_plugin.unlearners.models import ModelList, StackedModels
from unshap_plugin.unlearners.stored import compute_artifacts

FOLDERS = ["unshap_plugin/unlearners", "unshap_plugin/problem/lending.py"]

(X, Y), TEST = breast_cancer(rows=24, tests=30)
GROUPS = np.repeat(list("abc"), 8)
SOME = np.array([[True, False, True]])
torch.manual_seed(0)
START = nn.Linear(6, 2).double()
RECIPE = Recipe("adam", lr=0.1, epochs=5, batch_size=8, init=START)
MODEL = RECIPE.train(START, cross_entropy, torch.as_tensor(X), torch.as_tensor(Y))


def problem(model=MODEL, *, train=(X, Y), groups=GROUPS, **kwargs):
    return ValuationProblem(model, train, TEST, groups=groups, **kwargs)


def logistic():
    return problem(LogisticRegression().fit(X, Y))


def game(unlearner, asked=None, **kwargs):
    return UnlearningGame(problem() if asked is None else asked, unlearner, **kwargs)


def plausible(made, least=-3.0):
    """Its utility of two thirds of the rows is that of a model, and not the given one's."""
    [utility] = made(SOME)
    assert least < utility < 0
    assert utility != made([[True] * 3])[0]
    return utility


def as_retrained(made, tolerance=1e-6):
    [utility] = made(SOME)
    [retrained] = UnlearningGame(made.problem, "retrain")(SOME)
    np.testing.assert_allclose(utility, retrained, rtol=tolerance)


# Classes.


class Halved(Unlearner):
    """Halves the parameters; ``by`` spoils what it does."""

    name: ClassVar[str] = "halved"
    spoil: ClassVar[object] = None

    def _unlearn(self, problem, coalitions, seed):
        models = StackedModels(problem.engine, {k: p / 2 for k, p in problem.engine.stack(len(coalitions)).items()})
        return models if self.spoil is None else type(self).spoil(problem, coalitions, models)


def halved(spoil):
    return game(type("Halved", (Halved,), {"spoil": staticmethod(spoil)})())


HALVED = game(Halved())(SOME)


def right(spoil):
    np.testing.assert_array_equal(halved(spoil)(SOME), HALVED)


class Forest(Unlearner):
    """Does nothing to an object, right or wrong."""

    name: ClassVar[str] = "forest"
    takes: ClassVar[ModelKind] = ModelKind.FIT_PREDICT
    answer: ClassVar[object] = ModelList

    def _unlearn(self, problem, coalitions, seed):
        return type(self).answer(problem, [problem.model] * len(coalitions))


KNN = problem(KNeighborsClassifier(3).fit(X, Y))


def objects(answer):
    return game(type("Forest", (Forest,), {"answer": staticmethod(answer)})(), KNN)


def overriding(named):
    return type("Made", (Unlearner,), {"name": "made", named: Halved._unlearn, "spoil": None})


def change(p, coalitions, models):
    coalitions[:] = True
    return models


def change_a_copy(p, coalitions, models):
    coalitions = coalitions.copy()
    return change(p, coalitions, models)


def put(p, coalitions, models):
    p.mine = 3
    return models


class Keeping(Halved):
    """Keeps to itself what it would put on the problem."""

    def _unlearn(self, problem, coalitions, seed):
        self.mine = 3
        return super()._unlearn(problem, coalitions, seed)


def other_engine(p, coalitions, models):
    return StackedModels(problem().engine, models.state)


def as_stacked(p, coalitions, models):
    return StackedModels(p.engine, {k: given / 2 for k, given in p.engine.stack(len(coalitions)).items()})


def stacked(change):
    """Return what makes models of a changed state."""
    return lambda p, coalitions, models: StackedModels(p.engine, change(dict(models.state)))


CLASSES = [
    Case(
        "unlearn is overridden",
        lambda: overriding("unlearn"),
        "implement _unlearn",
        (lambda: np.testing.assert_array_equal(game(overriding("_unlearn")())(SOME), HALVED),),
    ),
    Case(
        "coalitions are changed",
        lambda: halved(change)(SOME),
        "work on a copy",
        (lambda: right(change_a_copy),),
    ),
    Case(
        "the problem is changed",
        lambda: halved(put)(SOME),
        "keep that to itself",
        (lambda: np.testing.assert_array_equal(game(Keeping())(SOME), HALVED),),
    ),
    Case(
        "no models of a module",
        lambda: halved(lambda p, coalitions, models: None)(SOME),
        "return StackedModels (",
        (lambda: right(lambda p, coalitions, models: StackedModels(p.engine, models.state)),),
    ),
    Case(
        "no models of an object",
        lambda: objects(lambda p, models: models)(SOME),
        "return a ModelList (",
        (lambda: np.testing.assert_array_equal(objects(ModelList)(SOME), [KNN.given_utility]),),
    ),
    Case(
        "another number of models",
        lambda: halved(stacked(lambda s: {k: torch.cat([p, p]) for k, p in s.items()}))(SOME),
        "return one for each",
        (lambda: right(stacked(lambda s: s)),),
    ),
    Case(
        "another engine",
        lambda: halved(other_engine)(SOME),
        "use that of the problem",
        (lambda: right(lambda p, coalitions, models: StackedModels(p.engine, models.state)),),
    ),
    Case(
        "no dict of tensors",
        lambda: halved(stacked(lambda s: list(s.values())))(SOME),
        "stack them as engine.stack does",
        (lambda: right(as_stacked),),
    ),
    Case(
        "other names",
        lambda: halved(stacked(lambda s: {f"0.{k}": p for k, p in s.items()}))(SOME),
        "keep the given names",
        (lambda: right(stacked(lambda s: {k.removeprefix("0."): p for k, p in s.items()})),),
    ),
    Case(
        "another dtype",
        lambda: halved(stacked(lambda s: {k: p.float() for k, p in s.items()}))(SOME),
        "keep shapes, dtypes and devices",
        (lambda: right(stacked(lambda s: {k: p.double() for k, p in s.items()})),),
    ),
    Case(
        "a ModelList of a module",
        lambda: halved(lambda p, coalitions, models: ModelList(p, [p.model]))(SOME),
        "StackedModels are needed for these",
        (lambda: right(lambda p, coalitions, models: StackedModels(p.engine, models.state)),),
    ),
]


# Functions.


def of(function, asked=None, batched=None, **kwargs):
    spec = UnlearnerSpec.from_function(function, batched=batched, source="a test", summary="Halves.", **kwargs)
    return game(spec.make(), asked)


def halve(model):
    other = copy.deepcopy(model)
    with torch.no_grad():
        for p in other.parameters():
            p /= 2
    return other


def halve_given(model):
    with torch.no_grad():
        for p in model.parameters():
            p /= 2
    return model


def halves(function, **kwargs):
    np.testing.assert_allclose(of(function, **kwargs)(SOME), HALVED)


def scaled(default, name="strength"):
    """Return a function with that setting, which makes no difference."""
    space: dict = {"halve": halve, "default": default}
    exec(f"def scaled(model, {name}=default):\n    return halve(model)", space)
    return space["scaled"]


class Uncopied:
    def __deepcopy__(self, memo):
        raise ValueError("not this one")


def by_position(model, /):
    return halve(model)


def undefaulted(model, retane):
    return halve(model)


def corrected(model, retain):
    return halve(model)


def many(coalitions, problem, strenght=1.0):
    return {k: p / 2 for k, p in problem.engine.stack(len(coalitions)).items()}


def many_alike(coalitions, problem, strength=1.0):
    return many(coalitions, problem)


FUNCTIONS = [
    Case(
        "the given model is changed",
        lambda: of(halve_given)(SOME),
        "work on copy.deepcopy(model)",
        (lambda: halves(lambda model: halve_given(copy.deepcopy(model)), name="halved"),),
    ),
    Case(
        "no module is returned",
        lambda: of(lambda model: None, name="halved")(SOME),
        "return a torch module",
        (lambda: halves(halve),),
    ),
    Case(
        "another architecture is returned",
        lambda: of(lambda model: nn.Linear(6, 2), name="halved")(SOME),
        "return a changed copy of the given",
        (lambda: halves(halve),),
    ),
    Case(
        "no object is returned",
        lambda: of(lambda model: 3, KNN, name="kept", takes=ModelKind.FIT_PREDICT)(SOME),
        "return an object with predict",
        (
            lambda: np.testing.assert_array_equal(
                of(lambda model: model, KNN, name="kept", takes=ModelKind.FIT_PREDICT)(SOME), [KNN.given_utility]
            ),
        ),
    ),
    Case(
        "a setting is called like an attribute",
        lambda: of(scaled(1.0, "exact")),
        "rename it",
        (lambda: halves(scaled(1.0, "exactly")),),
    ),
    Case(
        "a default that cannot be copied",
        lambda: of(scaled(Uncopied())),
        "use a number, a text or None",
        tuple(lambda default=default: halves(scaled(default)) for default in (0.5, "half", None)),
    ),
    Case(
        "arguments by position",
        lambda: of(by_position),
        "arguments are given by name",
        (lambda: halves(halve),),
    ),
    Case(
        "an argument that is none",
        lambda: of(undefaulted),
        "(did you mean 'retain'?): model, forget, retain",
        (lambda: halves(corrected), lambda: halves(scaled(1.0))),
    ),
    Case(
        "other settings of the batched function",
        lambda: of(scaled(1.0), batched=many),
        "those of the function for one coalition are needed: ['strength']",
        (lambda: halves(scaled(1.0), batched=many_alike),),
    ),
]


# What a method needs.

LINEAR = X @ np.arange(6.0) + 1.0 + 0.3 * np.sin(np.arange(24.0))
LINEAR_TEST = (TEST[0], TEST[0] @ np.arange(6.0) + 1.0)


def line(l2=0.0, **kwargs):
    """A linear regression of torch, trained to its optimum with a penalty that ``fit`` may say."""
    made = nn.Linear(6, 1).double()
    fitted = Ridge(l2).fit(X, LINEAR) if l2 else LinearRegression().fit(X, LINEAR)
    with torch.no_grad():
        made.weight[:] = torch.as_tensor(fitted.coef_)
        made.bias[:] = torch.as_tensor(fitted.intercept_)
    given = {"loss": "mse", "groups": GROUPS, **kwargs}
    return ValuationProblem(made, (X, LINEAR[:, None]), (LINEAR_TEST[0], LINEAR_TEST[1][:, None]), **given)


def ridge(l2):
    """What scikit-learn fits without the second group."""
    kept = GROUPS != "b"
    fit = Ridge(l2).fit(X[kept], LINEAR[kept])
    return -np.square(fit.predict(LINEAR_TEST[0]) - LINEAR_TEST[1]).mean()


PART = GROUPS != "c"


def stored(unlearner, asked=None, **kwargs):
    """The utility with stored artefacts in partial access is that with all rows at hand."""
    asked = problem(fit=RECIPE) if asked is None else asked
    arguments = {"groups": GROUPS[PART], "access": "partial", "fit": asked.recipe, **kwargs}
    artifacts = compute_artifacts(asked)
    x, y = asked.x[PART], asked.y[PART]
    test = (asked.x_test, asked.y_test)
    some = ValuationProblem(asked.given_model, (x, y), test, artifacts=artifacts, reference=X[:4] + 9, **arguments)
    [utility] = UnlearningGame(some, unlearner)([[True, False]])
    [whole] = UnlearningGame(asked, unlearner, **({"steps": 1} if unlearner == "newton" else {}))(SOME)
    np.testing.assert_allclose(utility, whole, rtol=1e-6)


def partial(**kwargs):
    return ValuationProblem(MODEL, (X[PART], Y[PART]), TEST, groups=GROUPS[PART], access="partial", **kwargs)


def advised(word):
    return (
        f"a stored {word} would do: save compute_artifacts(problem) where all data is at hand, and pass it as artifacts"
    )


NEEDS = [
    Case("newton in part", lambda: game("newton", partial()), advised("hessian"), (lambda: stored("newton"),)),
    Case("influence in part", lambda: game("influence", partial()), advised("hessian"), (lambda: stored("influence"),)),
    Case("ssd in part", lambda: game("ssd", partial()), advised("fisher"), (lambda: stored("ssd"),)),
    Case(
        "linear_exact in part",
        lambda: game(
            "linear_exact",
            ValuationProblem(
                line().given_model,
                (X[PART], LINEAR[PART, None]),
                (LINEAR_TEST[0], LINEAR_TEST[1][:, None]),
                loss="mse",
                groups=GROUPS[PART],
                access="partial",
            ),
        ),
        advised("gram"),
        (lambda: stored("linear_exact", line(), loss="mse"),),
    ),
    Case(
        "a penalty that nobody knows",
        lambda: game("linear_exact", line(2.0)),
        "if it was trained with a penalty, say so with fit=Recipe(l2=...)",
        (
            lambda: np.testing.assert_allclose(
                game("linear_exact", line(2.0, fit=Recipe(l2={"weight": 4.0})))(SOME), [ridge(2.0)], rtol=1e-6
            ),
        ),
    ),
    Case(
        "another loss",
        lambda: game("linear_exact"),
        "needs a linear layer trained with loss='mse'",
        (lambda: np.testing.assert_allclose(game("linear_exact", line())(SOME), [ridge(1e-12)], rtol=1e-6),),
    ),
    Case(
        "no recipe for replay",
        lambda: game("replay"),
        "pass fit=Recipe('adam', init=...) to the problem",
        (lambda: plausible(game("replay", problem(fit=RECIPE))),),
    ),
    Case(
        "no recipe for merging",
        lambda: game("merge"),
        "pass fit=Recipe(..., init=...) to the problem",
        (lambda: plausible(game("merge", problem(fit=RECIPE))),),
    ),
    Case(
        "no recipe for retraining",
        lambda: game("retrain"),
        "pass fit=Recipe(...) to the problem",
        (lambda: plausible(game("retrain", problem(fit=Recipe(lr=0.1, epochs=5, batch_size=8)))),),
    ),
    Case(
        "partial artefacts",
        lambda: compute_artifacts(partial()),
        "compute them for the problem with all of them and access='full'",
        (lambda: stored("newton"),),
    ),
    Case(
        "a fit of somebody's own gives another kind of model",
        lambda: game(OwnFit(lambda rows: KNeighborsClassifier(1).fit(X[rows], Y[rows])), logistic())(SOME),
        "return a fitted LogisticRegression, as the given one is",
        (
            lambda: as_retrained(
                game(OwnFit(lambda rows: LogisticRegression().fit(X[rows], Y[rows])), logistic()),
            ),
        ),
    ),
    Case(
        "a fit of somebody's own gives a model that is not fitted",
        lambda: game(OwnFit(lambda rows: LogisticRegression()), logistic())(SOME),
        "return a fitted one",
        (
            lambda: as_retrained(
                game(OwnFit(lambda rows: LogisticRegression().fit(X[rows], Y[rows])), logistic()),
            ),
        ),
    ),
    Case(
        "a fit of somebody's own on other labels",
        lambda: game(OwnFit(lambda rows: LogisticRegression().fit(X[rows], Y[rows] + 1)), logistic())(SOME),
        "fit it on the labels of the given one",
        (
            lambda: as_retrained(
                game(OwnFit(lambda rows: LogisticRegression().fit(X[rows], Y[rows])), logistic()),
            ),
        ),
    ),
]

CASES = [*CLASSES, *FUNCTIONS, *NEEDS]


WIDE = nn.Linear(6, 2 * MAX_PARAMETERS).double()


@pytest.mark.parametrize(
    ("unlearner", "asked"),
    [
        ("linear_exact", partial()),  # no linear regression, so that there is no Gram matrix of it
        ("newton", ValuationProblem(WIDE, (X, Y), TEST, access="partial")),
        ("influence", ValuationProblem(WIDE, (X, Y), TEST, access="partial")),
        ("newton", ValuationProblem(KNeighborsClassifier(3).fit(X, Y), (X, Y), TEST, access="partial")),
    ],
)
def test_artefacts_that_would_lack_what_is_needed_are_not_advised(unlearner, asked):
    with pytest.raises(AccessError, match=r"has no RETAIN; (unlearners|no registered)"):
        game(unlearner, asked)


@pytest.mark.parametrize("unlearner", ["replay", "linear_exact"])
def test_what_scikit_learn_says_itself_is_not_asked_for(unlearner):
    """Its models take no recipe."""
    model = Ridge(solver="lsqr", tol=0.1).fit(X, LINEAR)  # which stops away from the optimum
    asked = ValuationProblem(model, (X, LINEAR), LINEAR_TEST, groups=GROUPS)
    with pytest.raises(AccessError) as refused:
        game(unlearner, asked)
    assert "fit=" not in str(refused.value)
    assert "_Linear" not in str(refused.value)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_an_error_advises_helps(case):
    check(case)


def test_all_that_is_advised_is_followed():
    assert without_a_case(FOLDERS, CASES) == []
