"""Models that no plain fit on the given rows makes."""

# ruff: noqa: E501
from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
from brute import refitted
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, SGDClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import check_random_state
from tables import GROUPS, XT, YT, X, Y, frame, values

from unshap_plugin import ValuationProblem
from unshap_plugin.errors import InvalidValueError

WEIGHTS = np.where(GROUPS == 0, 10.0, 1.0)
Z, ZT = X[:, 0] + X[:, 1] ** 2, XT[:, 0] + XT[:, 1] ** 2


def logistic(**kwargs):
    return LogisticRegression(tol=1e-10, max_iter=1000, **kwargs)


class GoesOn:
    """Its fit goes on from where it was."""

    def __init__(self):
        self.k = np.zeros(4)

    def fit(self, x, y):
        for _ in range(20):
            self.k -= 0.02 * x.T @ (x @ self.k - y) / max(len(x), 1)
        return self

    def predict(self, x):
        return x @ self.k


CHANGED = {
    "sample weights": lambda: logistic().fit(X, Y, sample_weight=WEIGHTS),
    "class weights as sample weights": lambda: logistic().fit(X, Y, sample_weight=np.where(Y, 5.0, 1.0)),
    "other scaling": lambda: logistic().fit((X - 5) / 3, Y),
    "other rows": lambda: logistic().fit(X[:18], Y[:18]),
    "setting changed afterwards": lambda: logistic(C=100).fit(X, Y).set_params(C=0.01),
    "sample weights in a pipeline": lambda: make_pipeline(StandardScaler(), logistic()).fit(X, Y, logisticregression__sample_weight=WEIGHTS),
    "neighbours of other rows": lambda: KNeighborsClassifier(3).fit(X[:18], Y[:18]),
    "machine with weights": lambda: SVC().fit(X, Y, sample_weight=WEIGHTS),
    "descent with weights": lambda: SGDClassifier(random_state=0).fit(X, Y, sample_weight=WEIGHTS**2),
}  # fmt: skip
NUMBERS = {
    "ridge with weights": lambda: Ridge().fit(X, Z, sample_weight=WEIGHTS),
    "least squares with weights": lambda: LinearRegression().fit(X, Z, sample_weight=WEIGHTS),
    "ridge of centred targets": lambda: Ridge(fit_intercept=False).fit(X - X.mean(0), Z - Z.mean()),
    "goes on": lambda: GoesOn().fit(X, Z),
}


@pytest.mark.parametrize("make", CHANGED.values(), ids=CHANGED)
def test_a_classifier_that_was_fitted_otherwise_is_refused_with_the_size(make):
    with pytest.raises(
        InvalidValueError,
        match=r"a plain fit\(x, y\) of .* on the 30 training rows answers otherwise .* by [\d.]+ of the spread .*fit it again",
    ):
        values(make())  # fmt: skip


@pytest.mark.parametrize("make", NUMBERS.values(), ids=NUMBERS)
def test_and_so_is_a_regression(make):
    with pytest.raises(InvalidValueError, match="answers otherwise than the model that is given"):
        values(make(), X, Z, XT, ZT)


class Weighted(ClassifierMixin, BaseEstimator):
    """Its own fit weights rows by what they are."""

    def fit(self, x, y):
        self.model_ = logistic().fit(x, y, sample_weight=1 + 9 * (x[:, 0] > 0))
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, x):
        return self.model_.predict_proba(x)

    def predict(self, x):
        return self.model_.predict(x)


def test_what_the_refusal_advises_helps():
    again = clone(CHANGED["sample weights"]()).fit(X, Y)
    np.testing.assert_allclose(
        values(again, unlearner="retrain"), refitted(logistic, (X, Y), (XT, YT), GROUPS), atol=1e-6
    )
    own = values(Weighted().fit(X, Y))
    np.testing.assert_allclose(own, refitted(Weighted, (X, Y), (XT, YT), GROUPS), atol=1e-6)
    scaled = values(logistic().fit((X - 5) / 3, Y), (X - 5) / 3, Y, (XT - 5) / 3, YT, unlearner="retrain")
    np.testing.assert_allclose(scaled, refitted(logistic, ((X - 5) / 3, Y), ((XT - 5) / 3, YT), GROUPS), atol=1e-6)


HONEST = {
    "default": LogisticRegression(),
    "few iterations": LogisticRegression(max_iter=3),
    "hardly penalised": LogisticRegression(C=1e4),
    "strongly penalised": LogisticRegression(C=1e-4),
    "saga": LogisticRegression(solver="saga", random_state=0, max_iter=20),
    "balanced": LogisticRegression(class_weight="balanced"),
    "descent": SGDClassifier(),
    "forest": RandomForestClassifier(5),
    "fixed forest": RandomForestClassifier(5, random_state=1),
    "network": MLPClassifier(4, max_iter=30),
    "machine": SVC(probability=False),
    "pipeline": make_pipeline(StandardScaler(), LogisticRegression()),
}


# A fit that stops early warns, which is what is tried here; single precision fits stop elsewhere.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", HONEST.values(), ids=HONEST)
@pytest.mark.parametrize("load", [load_breast_cancer, load_iris, load_wine])
def test_honest_fits_pass_however_the_columns_are_scaled(model, load):
    x, y = load(return_X_y=True)
    rng = np.random.default_rng(0)
    for scales in (1.0, 10.0 ** rng.integers(-3, 4, x.shape[1])):
        rows = x * scales
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = clone(model).fit(rows, y)
        problem = ValuationProblem(fitted, (rows, y), (rows[::3], y[::3]), metric="accuracy")
        assert not any("plain fit" in note for note in problem.notes)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("load", [load_breast_cancer, load_wine])
def test_a_fit_in_single_precision_that_did_not_converge_is_at_most_noted(load):
    x, y = load(return_X_y=True)
    model = LogisticRegression().fit(x.astype("f4"), y)
    notes = ValuationProblem(model, (x.astype("f4"), y), (x[::3], y[::3])).notes
    notes = [note for note in notes if "plain fit" in note]
    assert all("its training was stopped before it converged" in note for note in notes)


@pytest.mark.parametrize("model", [Ridge(), Ridge(alpha=1e-8), LinearRegression(), Ridge(solver="sag", tol=1e-6)])
def test_honest_regressions_pass(model):
    x, y = load_diabetes(return_X_y=True)
    problem = ValuationProblem(model.fit(x, y), (x, y), (x[::3], y[::3]))
    assert not any("plain fit" in note for note in problem.notes)


def test_a_small_difference_is_a_note_with_the_values():
    model = logistic().fit(X, Y, sample_weight=np.where(np.arange(30) == 0, 1.4, 1.0))
    [note] = ValuationProblem(model, (X, Y), (XT, YT), groups=GROUPS).notes
    assert note.startswith("a plain fit(x, y) of LogisticRegression on the 30 training rows answers otherwise")
    assert "it may have been fitted otherwise" in note


def test_where_training_rows_are_missing_nothing_can_be_compared():
    model = logistic().fit(X, Y)
    problem = ValuationProblem(model, (X[:18], Y[:18]), (XT, YT), access="partial", trained_rows=30)
    assert not any("plain fit" in note for note in problem.notes)


def test_rows_that_cannot_be_fitted_are_named():
    model = make_pipeline(StandardScaler(), logistic()).fit(X, Y)
    with pytest.raises(InvalidValueError, match="cannot be applied to the train rows"):
        values(model, frame(X).assign(d=np.where(Y, "u", "v")), Y)


class SeldomOtherwise(ClassifierMixin, BaseEstimator):
    """A fit that draws, and of ten seeds about three choose another depth."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, x, y):
        other = check_random_state(self.random_state).uniform() < 0.3
        self.model_ = DecisionTreeClassifier(max_depth=1 if other else 3, random_state=0).fit(x, y)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, x):
        return self.model_.predict_proba(x)

    def predict(self, x):
        return self.model_.predict(x)


@pytest.mark.parametrize("state", range(12))
def test_an_honest_fit_that_few_seeds_make_different_passes(state):
    np.random.seed(state)
    problem = ValuationProblem(SeldomOtherwise().fit(X, Y), (X, Y), (XT, YT), groups=GROUPS)
    assert not any("plain fit" in note for note in problem.notes)


def test_a_generator_among_the_parameters_is_begun_anew():
    for model in (
        RandomForestClassifier(5, random_state=np.random.RandomState(3)),
        make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=np.random.RandomState(3))),
    ):
        problem = ValuationProblem(model.fit(X, Y), (X, Y), (XT, YT), groups=GROUPS)
        assert not any("plain fit" in note for note in problem.notes)


@pytest.mark.parametrize("given", [(X[:12], Y[:12]), (X, 1 - Y), (X * 5 + 3, Y)], ids=["rows", "labels", "scaling"])
@pytest.mark.parametrize("make", [lambda: RandomForestClassifier(20), lambda: RandomForestClassifier(20, random_state=np.random.RandomState(0))])  # fmt: skip
def test_a_forest_that_is_further_away_than_any_seed_is_noted_with_both_sizes(given, make):
    np.random.seed(0)
    notes = ValuationProblem(make().fit(*given), (X, Y), (XT, YT), groups=GROUPS).notes
    assert any(re.search(r"by [\d.]+ of the spread of its answers, where seeds make it differ by [\d.]+ at", one) for one in notes)  # fmt: skip


def test_a_fit_that_draws_without_a_difference_is_refused_and_a_random_state_helps():
    model = LinearSVC(dual=False).fit(X, Y, sample_weight=WEIGHTS**2)
    with pytest.raises(InvalidValueError, match="if the fit draws at random, fit it with a random_state"):
        values(model, metric="accuracy")
    values(clone(model).set_params(random_state=0).fit(X, Y), metric="accuracy")
