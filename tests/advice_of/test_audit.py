"""What errors and verdicts of an audit, and the notes of a result, advise, followed to the letter."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from advice import Case, check, with_plugins, without_a_case
from planted import Planted, constant_problem
from problems import breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from torch import nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem, audit, shapley_values, tune
from unshap_plugin.losses import cross_entropy
from unshap_plugin.plugin import Unlearner
from unshap_plugin.unlearners import NPO
from unshap_plugin.unlearners.models import StackedModels

FOLDERS = ["unshap_plugin/audit"]

(X, Y), TEST = breast_cancer(rows=24, tests=30)
GROUPS = np.repeat(list("abcd"), 6)
torch.manual_seed(0)
START = nn.Linear(6, 2).double()
RECIPE = Recipe("adam", lr=0.1, epochs=5, batch_size=8, init=START)
MODEL = RECIPE.train(START, cross_entropy, torch.as_tensor(X), torch.as_tensor(Y))
LOGISTIC = LogisticRegression().fit(X, Y)


def problem(model=MODEL, *, groups=GROUPS, rows=slice(None), **kwargs):
    kwargs = {"fit": RECIPE, **kwargs} if isinstance(model, nn.Module) else kwargs
    groups = None if groups is None else groups[rows]
    return ValuationProblem(model, (X[rows], Y[rows]), TEST, groups=groups, **kwargs)


def game(unlearner="newton", asked=None, **kwargs):
    return UnlearningGame(asked or problem(), unlearner, **kwargs)


def audited(made, **kwargs):
    """An audit whose figures are those of a method that is closer to retraining than doing nothing."""
    report = audit(made, **kwargs)
    overall = report.agreement(report.metrics[0])
    assert 0 <= overall.error < overall.nothing_error
    return report


def figures(made):
    """An audit that has figures, good or bad."""
    assert np.isfinite(audit(made).agreement().error)


def tuned(made, *args):
    """The settings with the best score of the table."""
    tuning = tune(made, *args)
    assert np.isfinite(tuning.table["score"].astype(float).min())
    assert tuning.settings
    return tuning


class Misses(Planted):
    """Has no utility for some coalition."""

    name = "misses"
    spoil = True

    def _unlearn(self, problem, coalitions, seed):
        models = super()._unlearn(problem, coalitions, seed)
        state = models.state["bias"].clone()
        state[(coalitions.sum(axis=1) == 3) & (self.factor > 0)] = float("nan")
        return StackedModels(problem.engine, {"bias": state})


class Still(Unlearner):
    """Does nothing, and has no settings."""

    name = "still"

    def _unlearn(self, problem, coalitions, seed):
        return StackedModels(problem.engine, problem.engine.stack(len(coalitions)))


def neighbours(k, groups=GROUPS):
    return game("retrain", problem(KNeighborsClassifier(k).fit(X, Y), groups=groups, metric="accuracy"))


def given_or_not(outputs, targets):
    """Equal for all but the given model, so that there is nothing to tune to."""
    return 1.0


def picky(outputs, targets):
    """Cannot be computed of retrained models."""
    if not torch.equal(outputs, GIVEN):
        raise ValueError("another model")
    return 1.0


GIVEN = MODEL(torch.as_tensor(TEST[0])).detach()
SOME = GROUPS != "d"
BOTH = {"a": "accuracy", "ll": "log_likelihood"}


def steps(outputs, targets):
    """The answer, to the next multiple of four."""
    return 4 * (outputs.mean() / 4).round()


def coarse(**kwargs):
    return constant_problem(24, **{"metric": steps, **kwargs})


CASES = [
    Case(
        "a progress that is no function",
        lambda: audit(game(), progress=3),
        "use progress=print, or leave it out",
        (lambda: audited(game()), lambda: audited(game(), progress=print)),
    ),
    Case(
        "no game",
        lambda: audit(problem()),
        "make one from the problem and the unlearner",
        (lambda: audited(UnlearningGame(problem(), "newton")),),
    ),
    Case(
        "rows of a module that are not at hand",
        lambda: audit(game("npo", problem(rows=SOME, access="partial"))),
        "audit the unlearner on a problem of the same kind that has all training rows and fit=Recipe(...)",
        (lambda: audited(game("npo", problem(fit=Recipe(lr=0.1, epochs=5, batch_size=8)), lr=0.03)),),
    ),
    Case(
        "rows of a model of scikit-learn that are not at hand",
        lambda: audit(game("npo", problem(LOGISTIC, rows=SOME, access="partial"))),
        "audit the unlearner on a problem of the same kind that has all training rows.",
        (lambda: audited(game("newton", problem(LOGISTIC))),),
    ),
    Case(
        "a module that cannot be retrained",
        lambda: audit(game("newton", problem(fit=None))),
        "pass fit=Recipe(...) to the problem",
        (lambda: audited(game("newton", problem(fit=RECIPE))),),
    ),
    Case(
        "excluded utilities",
        lambda: audit(game(Misses(), constant_problem(), on_error="exclude")),
        "use other settings, or another unlearner (",
        (
            lambda: audited(game(Misses(factor=0.0), constant_problem(), on_error="exclude")),
            lambda: audited(game("retrain", constant_problem(), on_error="exclude")),
        ),
    ),
    Case(
        "unlearning diverges",
        lambda: audit(game("npo", lr=3.0)),
        "use a smaller lr, fewer steps or a larger beta, or another unlearner (",
        (
            lambda: audited(game("npo", lr=0.03)),
            lambda: figures(game("npo", lr=3.0, steps=2)),
            lambda: figures(game("npo", lr=3.0, beta=10.0)),
            lambda: audited(game("newton")),
        ),
    ),
    Case(
        "retraining fails",
        lambda: audit(neighbours(7)),
        "use a model that can be trained on few rows, or larger groups",
        (lambda: audited(neighbours(3)), lambda: audited(neighbours(7, np.repeat(["a", "b"], 12)))),
    ),
    Case(
        "a metric fails of retrained models",
        lambda: audit(game("retrain", problem(metric=picky))),
        "use another metric.",
        (lambda: audited(game("retrain", problem(metric="log_likelihood"))),),
    ),
    Case(
        "too few coalitions",
        lambda: audit(game("newton", problem(groups=None)), coalitions=5),
        "give at least 10",
        (lambda: audited(game("newton", problem(groups=None)), coalitions=10),),
    ),
    Case(
        "several metrics",
        lambda: audit(game("newton", problem(metric=BOTH))).agreement(),
        "give one of a, ll.",
        tuple(
            lambda name=name: np.testing.assert_array_less(
                0,
                audit(game("newton", problem(metric=BOTH))).agreement(name).count,
            )
            for name in ("a", "ll")
        ),
    ),
    Case(
        "an instance that nobody registered",
        lambda: tune(game(Planted(), constant_problem())),
        "register it as a plugin, or audit a game for each of its settings",
        (
            lambda: tuned(game(NPO()), {"lr": [0.01, 0.03]}),  # one that is registered
            lambda: [audited(game(Planted(factor=factor), constant_problem())) for factor in (0.5, 0.1)],
        ),
    ),
    Case(
        "one player",
        lambda: tune(game("newton", problem(valued=["a"]))),
        "value at least two",
        (lambda: tuned(game("newton", problem(valued=["a", "b"]))),),
    ),
    Case(
        "utilities that are all equal",
        lambda: tune(game("newton", problem(metric=given_or_not))),
        "use a smoother metric, or larger groups",
        (lambda: tuned(game("newton", problem(metric="log_likelihood"))),),
    ),
    Case(
        "utilities that are all equal, of groups that are too small",
        lambda: tune(game("finetune", coarse(valued=[0, 1, 2]))),
        "use a smoother metric, or larger groups",
        (
            lambda: tuned(game("finetune", coarse(valued=[0, 1, 2], metric="neg_mean_squared_error"))),
            lambda: tuned(game("finetune", coarse(groups=np.arange(24) // 6))),
        ),
    ),
    Case(
        "no settings",
        lambda: tune(game("retrain")),
        "use it as it is",
        (lambda: shapley_values(game("retrain")),),
    ),
    Case(
        "settings that nobody says how to try",
        with_plugins(lambda: tune(game("drift")), "good"),
        "give a grid, values to try for some of",
        (with_plugins(lambda: tuned(game("drift"), {"distance": [0.01, 0.1]}), "good"),),
    ),
    Case(
        "an empty grid",
        lambda: tune(game("npo"), {}),
        "at least one of steps, lr, batch_size, beta; leave it out for the unlearner's own",
        (lambda: tuned(game("npo"), {"lr": [0.01, 0.03]}), lambda: tuned(game("newton"))),
    ),
    Case(
        "no list of values",
        lambda: tune(game("npo"), {"lr": 0.1}),
        "but a list of values is needed",
        (lambda: tuned(game("npo"), {"lr": [0.1]}),),
    ),
    Case(
        "no values",
        lambda: tune(game("npo"), {"lr": [], "steps": [5]}),
        "give some, or leave the setting out",
        (lambda: tuned(game("npo"), {"lr": [0.1], "steps": [5]}), lambda: tuned(game("npo"), {"steps": [5]})),
    ),
    Case(
        "no such setting",
        lambda: tune(game("npo"), {"stepz": [5]}),
        "(did you mean 'steps'?)",
        (lambda: tuned(game("npo"), {"steps": [5]}),),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_an_error_advises_helps(case):
    check(case)


def test_all_that_is_advised_is_followed():
    assert without_a_case(FOLDERS, CASES) == []


# Verdicts.


def listed(text):
    """The unlearners that a sentence names as others."""
    return re.search(r"another unlearner \((.*?)\)", text)[1].split(", ")


def test_a_verdict_of_no_use_names_unlearners_and_settings_that_are_there():
    """Those of them that are of use say so."""
    asked = problem()
    verdict = audit(game("npo", asked, lr=1e-9)).verdict
    assert verdict.startswith("npo is no better")
    assert verdict.endswith(") or other settings")
    better = [name for name in listed(verdict) if "no better" not in audit(game(name, asked)).verdict]
    assert {"newton", "retrain"} <= set(better)
    tuning = tune(game("npo", asked, lr=1e-9), {"lr": [0.01, 0.03, 0.1]})
    assert "no better" not in audit(game("npo", asked, **tuning.settings)).verdict


def test_a_verdict_on_one_without_settings_advises_none():
    verdict = audit(game(Still(), constant_problem())).verdict
    assert "no better" in verdict
    assert verdict.endswith(")")
    assert "retrain" in listed(verdict)
    assert "trusted" in audit(game("retrain", constant_problem())).verdict


@pytest.mark.parametrize(
    "helps", [{"valued": [0, 1, 2], "metric": "neg_mean_squared_error"}, {"groups": np.arange(24) // 6}]
)
def test_a_smoother_metric_or_larger_groups_decide_what_was_undecided(helps):
    undecided = audit(game("retrain", coarse(valued=[0, 1, 2]))).verdict
    assert "use a smoother metric or larger groups" in undecided
    assert "trusted like retrained ones" in audit(game("retrain", coarse(**helps))).verdict


# Notes.


def notes(made):
    return " ".join(shapley_values(made).notes)


NET = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2)).double()
TRAINING = Recipe("adam", lr=0.05, epochs=6, batch_size=8, init=NET)
TRAINED = TRAINING.train(NET, cross_entropy, torch.as_tensor(X), torch.as_tensor(Y))


@pytest.mark.parametrize("unlearner", ["finetune", "gradient_ascent"])
def test_a_note_that_little_is_forgotten_names_ways_to_forget_more(unlearner):
    said = notes(game(unlearner, problem(TRAINED, fit=None)))
    assert "hardly forgets" in said
    assert "audit the game" in said
    assert "and use unlearner='auto'" in said
    assert "hardly forgets" not in notes(game("auto", problem(TRAINED, fit=None)))
    assert "say how the torch module was trained (fit=Recipe(..., init=...))" in said
    assert any("hardly forgets" not in notes(game(name, problem(TRAINED, fit=None))) for name in listed(said))
    told = game("auto", problem(TRAINED, fit=TRAINING))
    assert "hardly forgets" not in notes(told)
    audited(told)


def test_a_note_on_a_model_that_knows_nothing_does_not_blame_the_unlearner():
    wrong = ValuationProblem(TRAINED, (X, Y), (TEST[0], 1 - TEST[1]), groups=GROUPS, fit=TRAINING)
    said = notes(game("newton", wrong))
    assert "check the model and the test set" in said
    assert "unlearner" not in said
    assert "check the model" not in notes(game("newton", problem(TRAINED, fit=TRAINING)))


def test_a_note_on_exclusions_names_ways_to_have_none():
    """Another unlearner, other settings, or another metric."""

    def made(metric, factor=0.5):
        return game(Misses(factor=factor), constant_problem(metric=metric), on_error="exclude")

    def excluded(made):
        return "excluded" in " ".join(shapley_values(made, "permutation").notes)

    said = " ".join(shapley_values(made(steps), "permutation").notes)
    assert "use an unlearner, settings or a metric that excludes none" in said
    assert not excluded(game("finetune", constant_problem(), on_error="exclude"))
    assert not excluded(made(steps, factor=0.0))


def test_a_note_on_an_empty_coalition_that_is_far_below_names_ways_to_bring_it_nearer():
    """Centred targets, or rows that are always kept."""
    far = 50 + X @ np.arange(6.0)
    test = TEST[0], 50 + TEST[0] @ np.arange(6.0)

    def made(shift, valued=None):
        data = {"train": (X, far - shift), "test": (test[0], test[1] - shift)}
        return game("retrain", ValuationProblem(KNeighborsRegressor(3).fit(*data["train"]), **data, **grouped(valued)))

    def grouped(valued):
        return {"groups": GROUPS, "valued": valued}

    said = notes(made(0.0))
    assert "centre the targets of a regression, or keep some rows as background (valued=)" in said
    assert "is far below every other utility" not in notes(made(far.mean()))
    assert "is far below every other utility" not in notes(made(0.0, ["a", "b", "c"]))


def test_a_note_on_classes_that_are_lacking_names_ways_to_have_them():
    """Another metric, or groups that have rows of every class."""
    apart = np.where(Y == 1, "a", np.where(np.arange(24) % 2, "b", "c"))

    def made(metric, groups):
        return game("retrain", problem(LogisticRegression().fit(X, Y), groups=groups, metric=metric))

    assert "use metric='accuracy', or groups that have rows of every class" in notes(made("log_likelihood", apart))
    assert "none of some class" not in notes(made("accuracy", apart))
    assert "none of some class" not in notes(made("log_likelihood", GROUPS))
