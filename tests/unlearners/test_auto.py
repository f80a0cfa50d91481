"""What ``auto`` takes where training is short: retraining many models at once, which is exact and costs less."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from problems import breast_cancer
from sklearn.linear_model import LogisticRegression
from torch import nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem, compute_artifacts, shapley_values
from unshap_plugin.losses import cross_entropy
from unshap_plugin.plugin import Unlearner

DATA, TEST = breast_cancer(rows=36, tests=40)
GROUPS = np.arange(36) % 3


def problem(epochs=2, *, optimizer="adam", init=True, layer=None, access="full", hidden=8, trained=100, groups=GROUPS):
    torch.manual_seed(0)
    start = nn.Sequential(nn.Linear(6, hidden), layer or nn.Tanh(), nn.Linear(hidden, 2)).double()
    recipe = Recipe(optimizer, lr=0.05, epochs=epochs, batch_size=8, init=start)
    model = recipe.train(start, cross_entropy, torch.as_tensor(DATA[0]), torch.as_tensor(DATA[1]))
    fit = recipe if init else Recipe(optimizer, lr=0.05, epochs=epochs, batch_size=8)
    more = {"trained_rows": trained} if access == "partial" else {}
    return ValuationProblem(model, DATA, TEST, groups=groups, fit=fit, access=access, **more)


@pytest.mark.parametrize(
    ("kwargs", "name"),
    [
        ({"epochs": 1}, "retrain"),
        ({"epochs": 40}, "retrain"),  # replay takes 20 macro steps
        ({"epochs": 41}, "replay"),
        ({"epochs": 20, "optimizer": "sgd"}, "retrain"),  # gradient difference takes 10 steps
        ({"epochs": 21, "optimizer": "sgd"}, "graddiff"),
        ({"epochs": 24, "optimizer": "sgd", "groups": None}, "retrain"),  # fine-tuning takes 12 steps
        ({"epochs": 25, "optimizer": "sgd", "groups": None}, "finetune"),
        ({"epochs": 21, "optimizer": "lbfgs", "groups": None}, "graddiff"),
        ({"epochs": 41, "groups": None}, "replay"),
        ({"epochs": 2, "init": False}, "graddiff"),  # retraining would start elsewhere
        ({"epochs": 2, "layer": nn.Dropout(0.5)}, "graddiff"),  # and be done one by one
        ({"epochs": 2, "optimizer": "lbfgs"}, "graddiff"),
        ({"epochs": 20, "layer": nn.BatchNorm1d(8)}, "retrain"),
        ({"epochs": 21, "layer": nn.BatchNorm1d(8)}, "merge"),
        ({"epochs": 21, "layer": nn.BatchNorm1d(8), "init": False}, "graddiff"),
        ({"epochs": 21, "layer": nn.Dropout(0.5)}, "graddiff"),
        ({"epochs": 2, "access": "partial"}, "pseudo_background"),
        ({"epochs": 2, "hidden": 300}, "retrain"),
    ],
)
def test_short_trainings_are_retrained(kwargs, name):
    assert UnlearningGame(problem(**kwargs)).unlearner.name == name


@pytest.mark.parametrize(
    ("kwargs", "checked"),
    [
        ({"epochs": 41}, {"LinearExact": 1, "Replay": 1}),
        ({"epochs": 2}, {"LinearExact": 1, "Replay": 1}),
        ({"epochs": 21, "optimizer": "sgd"}, {"LinearExact": 1, "Replay": 1, "GradDiff": 1}),
        ({"epochs": 2, "access": "partial"}, {"LinearExact": 1, "PseudoBackground": 1}),
    ],
)
def test_a_method_is_asked_once_whether_it_takes_the_problem(kwargs, checked, monkeypatch):
    asked = Counter()
    plain = Unlearner.check

    def check(self, problem):
        asked[type(self).__name__] += 1
        plain(self, problem)

    monkeypatch.setattr(Unlearner, "check", check)
    game = UnlearningGame(problem(**kwargs))
    assert asked == checked
    if kwargs == {"epochs": 2}:
        shapley_values(game, "exact")
        assert asked == checked, "nor do values ask again, where nothing is to be advised"


@pytest.mark.parametrize("hidden", [8, 300])
def test_the_reason_is_in_the_result_and_the_values_are_those_of_retraining_one_by_one(hidden):
    short = problem(2, hidden=hidden)
    result = shapley_values(UnlearningGame(short), "exact")
    assert (
        "its training is 2 passes over the retained rows: retraining costs at most about twice the 20 passes of replay"
        in result.reasons["unlearner"]
    )
    looped = problem(2, hidden=hidden)
    looped.engine.batched = False
    one_by_one = shapley_values(UnlearningGame(looped, "retrain"), "exact")
    np.testing.assert_allclose(result.values, one_by_one.values, atol=1e-6)


def test_the_largest_network_of_the_report_gets_it_too():
    torch.manual_seed(0)
    x, y = torch.rand(50, 784), torch.randint(0, 10, (50,))
    start = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    for epochs, name in ((2, "retrain"), (40, "retrain"), (41, "replay")):
        recipe = Recipe("adam", lr=0.001, epochs=epochs, batch_size=64, init=start)
        model = recipe.train(start, cross_entropy, x, y)
        game = UnlearningGame(ValuationProblem(model, (x, y), (torch.rand(50, 784), y), fit=recipe))
        assert game.unlearner.name == name
        assert ("retraining costs at most about twice" in game.reason) == (name == "retrain")


@pytest.mark.parametrize(("features", "classes", "name"), [(99, 2, "newton"), (100, 2, "retrain"), (49, 3, "retrain")])
def test_fits_of_scikit_learn_that_cost_less_than_newton_steps_are_made_again(features, classes, name):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(90, features)), rng.integers(0, classes, 90)
    model = LogisticRegression(C=0.1, tol=1e-9, max_iter=10_000).fit(x, y)
    game = UnlearningGame(ValuationProblem(model, (x, y), (x[:20], y[:20]), groups=np.arange(90) % 3))
    assert game.unlearner.name == name
    assert ("is fitted in less time than Newton steps take" in game.reason) == (name == "retrain")


def test_stored_artefacts_stand_in_where_a_fit_cannot_be_made_again():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(90, 120)), rng.integers(0, 2, 90)
    problem = ValuationProblem(LogisticRegression(C=0.1).fit(x, y), (x, y), (x[:20], y[:20]))
    stored = compute_artifacts(problem)
    partial = ValuationProblem(
        problem.given_model, (x[:9], y[:9]), (x[20:40], y[20:40]), access="partial", artifacts=stored
    )
    assert UnlearningGame(partial).unlearner.name == "newton"


def test_it_says_where_nothing_is_known_to_be_missing():
    more, known = problem(access="partial"), "say how many, with trained_rows"
    assert not any(known in note for note in more.notes)
    alone = ValuationProblem(more.model, DATA, TEST, groups=GROUPS, access="partial")
    assert any(known in note for note in alone.notes)


@pytest.mark.parametrize(("rows", "share"), [(40, "100%"), (54, "75%"), (72, "50%"), (160, "25%"), (1000, "10%")])
def test_in_partial_access_the_reason_says_what_to_expect(rows, share):
    given = problem(epochs=2, access="partial", trained=rows)
    assert f"with {share} of the rows at hand, values of providers correlated with" in UnlearningGame(given).reason
