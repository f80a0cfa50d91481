"""Objects with ``fit`` and ``predict``: which are classifiers, and what is made of few rows and odd labels."""

# ruff: noqa: E501, RUF043
from __future__ import annotations

import functools
import warnings

import numpy as np
import pandas as pd
import pytest
from brute import log_likelihood, refitted, shapley
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from tables import GROUPS, XT, YT, X, Y, values

from unshap_plugin import UnlearningGame, ValuationProblem
from unshap_plugin.errors import DivergenceError, InvalidTypeError, InvalidValueError
from unshap_plugin.model.fit_predict import classifies

Y3, YT3 = np.arange(30) % 3, np.arange(40) % 3


def logistic():
    return LogisticRegression(tol=1e-10, max_iter=1000)


class Inner:
    """A logistic model inside, and all that a classifier has."""

    def fit(self, x, y):
        self.m_ = logistic().fit(x, y)
        self.classes_ = self.m_.classes_
        return self

    def predict(self, x):
        return self.m_.predict(x)

    def predict_proba(self, x):
        return self.m_.predict_proba(x)


class MixinFirst(Inner, ClassifierMixin, BaseEstimator):
    pass


class BaseFirst(Inner, BaseEstimator, ClassifierMixin):
    """The order of most code written before scikit-learn 1.6, whose tags then do not say that it classifies."""


class Plain(Inner):
    """Derived from nothing of scikit-learn."""


class NoClasses(Inner):
    """Has ``predict_proba`` but no ``classes_``."""

    def fit(self, x, y):
        super().fit(x, y)
        del self.classes_
        return self


class Strict(Inner):
    """As gradient boosting of others: refuses one class, no rows, and labels other than 0 .. k - 1; answers columns."""

    def fit(self, x, y):
        labels = np.unique(y)
        if len(labels) < 2:
            raise ValueError("Target contains only one unique value")
        if not np.array_equal(labels, np.arange(len(labels))):
            raise ValueError(f"Invalid classes, expected {np.arange(len(labels))}")
        return super().fit(x, y)

    def predict(self, x):
        return super().predict(x)[:, None]


class Backwards(Inner):
    """Its classes, and the columns of ``predict_proba``, are in another order than the sorted one."""

    def fit(self, x, y):
        super().fit(x, y)
        self.classes_ = self.m_.classes_[::-1]
        return self

    def predict_proba(self, x):
        return self.m_.predict_proba(x)[:, ::-1]


class Counting(NoClasses):
    """Has a column for every number up to the largest label."""

    def fit(self, x, y):
        self.count = int(np.max(y)) + 1
        return super().fit(x, y)

    def predict_proba(self, x):
        wide = np.zeros((len(x), self.count))
        wide[:, self.m_.classes_] = self.m_.predict_proba(x)
        return wide


KINDS = [MixinFirst, BaseFirst, Plain, NoClasses, Strict, Backwards, Counting]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("y", "yt"), [(Y, YT), (Y3, YT3)], ids=["two", "three"])
def test_whatever_shows_a_classifier_is_one(kind, y, yt):
    truth = refitted(logistic, (X, y), (XT, yt), GROUPS)
    assert classifies(kind().fit(X, y))
    np.testing.assert_allclose(values(kind().fit(X, y), X, y, XT, yt), truth, atol=1e-6)
    if kind is Backwards:  # of equally likely classes the first is the choice, which is another one here
        return
    accurate = values(kind().fit(X, y), X, y, XT, yt, metric="accuracy")
    np.testing.assert_allclose(accurate, values(logistic().fit(X, y), X, y, XT, yt, metric="accuracy", unlearner="retrain"), atol=1e-9)  # fmt: skip


def test_classifiers_are_told_from_others_without_a_fit():
    for one in (MixinFirst(), BaseFirst(), SVC(), make_pipeline(SVC()), RidgeClassifier(), KNeighborsClassifier()):
        assert classifies(one), one
    for one in (Ridge(), make_pipeline(Ridge()), KNeighborsRegressor(), object()):
        assert not classifies(one), one


class Chooses(RidgeClassifier):
    """Has no probabilities."""


@pytest.mark.parametrize("metric", ["f1_macro", "accuracy", None])
def test_scorers_and_metrics_see_the_same_classifier(metric):
    class Choice:
        """Nothing but ``fit`` and ``predict``, and labels that are text."""

        def fit(self, x, y):
            self.m_ = RidgeClassifier().fit(x, y)
            return self

        def predict(self, x):
            return self.m_.predict(x)

    y, yt = (np.where(one, "yes", "no") for one in (Y, YT))
    truth = values(Chooses().fit(X, y), X, y, XT, yt, metric=metric)
    np.testing.assert_allclose(values(Choice().fit(X, y), X, y, XT, yt, metric=metric), truth, atol=1e-12)


#: Providers of which some lack the middle class, and one has a single class.
GAPS = np.array([0, 2, 0, 2, 0, 2, 1, 2, 1, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 1, 2, 2, 0, 2, 0, 2, 2])


@pytest.fixture(scope="module")
def with_gaps():
    return refitted(logistic, (X, GAPS), (XT, YT3), GROUPS)


@pytest.mark.parametrize("kind", KINDS)
def test_coalitions_that_lack_a_class_are_encoded_and_mapped_back(kind, with_gaps):
    np.testing.assert_allclose(values(kind().fit(X, GAPS), X, GAPS, XT, YT3), with_gaps, atol=1e-6)


@pytest.mark.parametrize(
    "labels",
    [np.array(["low", "mid", "top"]), np.array([-1, 0, 1]), np.array([1.0, 2.0, 3.0]), np.array(["a", "b", "c"], dtype=object)],
    ids=["text", "signed", "floating", "objects"],
)  # fmt: skip
@pytest.mark.parametrize("kind", [Plain, NoClasses, Backwards, BaseFirst])
def test_labels_may_be_anything(kind, labels, with_gaps):
    y, yt = labels[GAPS], labels[YT3]
    np.testing.assert_allclose(values(kind().fit(X, y), X, y, XT, yt), with_gaps, atol=1e-6)


LABELS = {
    "strings": lambda y: pd.Series(np.where(y, "yes", "no"), dtype="string"),
    "categories": lambda y: pd.Series(pd.Categorical(np.where(y, "yes", "no"))),
    "categorical": lambda y: pd.Categorical(np.where(y, "yes", "no")),
    "Int64": lambda y: pd.Series(y).astype("Int64"),
    "boolean": lambda y: pd.Series(y.astype(bool)).astype("boolean"),
    "booleans": lambda y: y.astype(bool),
    "objects": lambda y: np.where(y, "yes", "no").astype(object),
    "column": lambda y: y[:, None],
    "frame": lambda y: pd.DataFrame({"label": np.where(y, "yes", "no")}),
    "list": lambda y: np.where(y, "yes", "no").tolist(),
}


@functools.cache
def values_of_numbered_labels(make):
    return values(make().fit(X, Y))


@pytest.mark.parametrize("form", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("make", [logistic, lambda: KNeighborsClassifier(3), Plain], ids=["module", "object", "plain"])
def test_labels_may_be_stored_anyhow(make, form):
    y, yt = form(Y), form(YT)
    model = make().fit(X, np.array(np.asarray(y).ravel().tolist()))
    np.testing.assert_allclose(values(model, X, y, XT, yt), values_of_numbered_labels(make), atol=1e-9)


def test_a_missing_label_and_labels_of_several_types_are_refused():
    y = pd.Series(np.where(Y, "yes", "no"), dtype=object)
    y[3] = None
    for model in (logistic().fit(X, np.where(Y, "yes", "no")), NoClasses().fit(X, np.where(Y, "yes", "no"))):
        with pytest.raises(InvalidValueError, match="train y has no label in row 3: fill it in, or drop the row"):
            values(model, X, y, XT, np.where(YT, "yes", "no"))
    mixed = np.where(Y, "yes", "no").astype(object)
    mixed[0] = 1
    with pytest.raises(InvalidTypeError, match="labels of several types .*make them all text"):
        values(NoClasses().fit(X, Y), X, mixed)


class Mean:
    """Least squares: knows what to do with no rows, and is not asked."""

    def fit(self, x, y):
        assert len(x), "nobody asks for a fit on no rows"
        self.k = np.linalg.lstsq(x, y, rcond=None)[0]
        return self

    def predict(self, x):
        return x @ self.k


class Picky:
    """Refuses no rows, as most do."""

    def fit(self, x, y):
        self.m = LinearRegression().fit(x, y)
        return self

    def predict(self, x):
        return self.m.predict(x)


class PickyMixin(RegressorMixin, BaseEstimator, Picky):
    pass


class Stated(Picky):
    """Says what it answers when it was fitted on nothing."""

    empty_output = 2.5


@pytest.mark.parametrize(
    ("kind", "inner"),
    [(Mean, lambda: LinearRegression(fit_intercept=False)), (Picky, LinearRegression), (PickyMixin, LinearRegression), (Stated, LinearRegression), (LinearRegression, LinearRegression)],
)  # fmt: skip
def test_a_regression_on_no_rows_answers_a_stated_constant(kind, inner):
    y, yt, start = X[:, 0] ** 2 + 3, XT[:, 0] ** 2 + 3, getattr(kind, "empty_output", 0.0)

    def utility(keep):
        rows = np.isin(GROUPS, np.flatnonzero(keep))
        answers = inner().fit(X[rows], y[rows]).predict(XT) if rows.any() else start
        return -np.mean((answers - yt) ** 2)

    for unlearner in ("auto", "retrain"):
        found = values(kind().fit(X, y), X, y, XT, yt, unlearner=unlearner)
        np.testing.assert_allclose(found, shapley(utility, 5), rtol=1e-6)


def test_background_is_what_a_regression_without_players_is_fitted_on():
    y, yt = X[:, 0] + 3, XT[:, 0] + 3
    for model in (Ridge().fit(X, y), Picky().fit(X, y)):
        problem = ValuationProblem(model, (X, y), (XT, yt), groups=GROUPS, valued=[0, 1])
        background = type(model)().fit(X[GROUPS > 1], y[GROUPS > 1]).predict(XT)
        for unlearner in ("retrain", "auto"):
            found = UnlearningGame(problem, unlearner)(np.zeros((1, 2), dtype=bool))
            np.testing.assert_allclose(found, [-np.mean((background - yt) ** 2)], rtol=1e-9)


def test_newton_retrain_and_the_exact_solution_agree_on_nobody():
    y, yt = X[:, 0] + 3, XT[:, 0] + 3
    nobody = np.zeros((1, 5), dtype=bool)
    for model in (Ridge().fit(X, y), LinearRegression(fit_intercept=False).fit(X, y)):
        problem = ValuationProblem(model, (X, y), (XT, yt), groups=GROUPS)
        for unlearner in ("newton", "retrain", "linear_exact"):
            np.testing.assert_allclose(UnlearningGame(problem, unlearner)(nobody), [-np.mean(yt**2)], rtol=1e-12)


def test_neighbours_that_small_coalitions_do_not_have_are_named_by_coalition():
    model = KNeighborsClassifier(7).fit(X, Y)
    with pytest.raises(
        DivergenceError, match=r"Expected n_neighbors <= n_samples_fit.* for the coalition that keeps 1 of 5 players"
    ):
        values(model)  # fmt: skip

    class Fewer(KNeighborsClassifier):
        """Takes as many neighbours as there are rows."""

        def fit(self, x, y):
            self.n_neighbors = min(7, len(x))
            return super().fit(x, y)

    def utility(keep):
        rows = np.isin(GROUPS, np.flatnonzero(keep))
        if not rows.any():
            return np.mean(YT == 0)  # of equally likely classes the first is the choice
        return KNeighborsClassifier(min(7, rows.sum())).fit(X[rows], Y[rows]).score(XT, YT)

    found = values(Fewer().fit(X, Y), metric="accuracy")
    np.testing.assert_allclose(found, shapley(utility, 5), atol=1e-12)


def test_class_weights_of_the_model_are_part_of_its_plain_fit():
    def make():
        return LogisticRegression(class_weight="balanced", tol=1e-10, max_iter=1000)

    truth = refitted(make, (X, Y), (XT, YT), GROUPS)
    np.testing.assert_allclose(values(make().fit(X, Y)), truth, atol=1e-6)


def test_a_forest_that_counts_only_classes_it_saw_is_brute_force():
    def make():
        return RandomForestClassifier(3, random_state=0)

    truth = refitted(make, (X, GAPS), (XT, YT3), GROUPS)
    np.testing.assert_allclose(values(make().fit(X, GAPS), X, GAPS, XT, YT3), truth, atol=1e-9)


def test_fits_that_warn_are_told_once():
    class Warns(Inner):
        def fit(self, x, y):
            if len(x) < 30:
                warnings.warn(f"{len(x)} rows are few", RuntimeWarning, stacklevel=2)
            return super().fit(x, y)

    game = UnlearningGame(ValuationProblem(Warns().fit(X, Y), (X, Y), (XT, YT), groups=GROUPS), chunk=2)
    matrix = np.eye(5, dtype=bool)
    with pytest.warns(
        RuntimeWarning, match=r"rows are few \(in the fit of Warns for some coalitions; said once\)"
    ) as caught:
        game(matrix)  # fmt: skip
    assert len(caught) == 1
    assert np.isfinite(game(matrix)).all()


ODD = {
    "several targets": (lambda: DecisionTreeClassifier().fit(X, np.stack([Y, Y3], 1)), "fitted on 2 targets, but one class label"),
    "probability of one class": (lambda: _with(Plain(), predict_proba=lambda x: np.zeros(len(x))), r"predict_proba of Plain gave shape \[30\], but \[30, 2\] is needed"),
    "too few answers": (lambda: _with(Picky(), predict=lambda x: np.zeros(3)), r"predict of Picky gave shape \[3\] for 30 rows"),
    "text of a regression": (lambda: _with(Picky(), predict=lambda x: np.array(["a"] * len(x))), "Picky predicts <U1, but y holds numbers: let its predict return numbers, or pass the labels"),
}  # fmt: skip


def _with(model, **methods):
    model.fit(X, Y)
    for name, method in methods.items():
        setattr(model, name, method)
    return model


@pytest.mark.parametrize(("make", "message"), ODD.values(), ids=ODD)
def test_odd_answers_are_refused(make, message):
    with pytest.raises((InvalidTypeError, InvalidValueError), match=message):
        values(make())


def test_regressions_of_several_outputs_are_brute_force():
    y, yt = X[:, :2] ** 2, XT[:, :2] ** 2

    def utility(keep):
        rows = np.isin(GROUPS, np.flatnonzero(keep))
        return (
            -np.mean((KNeighborsRegressor(3).fit(X[rows], y[rows]).predict(XT) - yt) ** 2)
            if rows.any()
            else -np.mean(yt**2)
        )

    np.testing.assert_allclose(values(KNeighborsRegressor(3).fit(X, y), X, y, XT, yt), shapley(utility, 5), atol=1e-9)


def test_the_brute_force_of_these_tests_is_that_of_scikit_learn():
    model = logistic().fit(X, Y3)
    found = log_likelihood(model, XT, YT3, [0, 1, 2])
    np.testing.assert_allclose(found, np.log(model.predict_proba(XT)[np.arange(40), YT3]).mean(), rtol=1e-9)


class Scores(Plain):
    """Its ``predict_proba`` gives something else than probabilities."""

    def __init__(self, link):
        self.link = link

    def predict_proba(self, x):
        return self.link(super().predict_proba(x))


@pytest.mark.parametrize("link", [np.log, lambda p: 100 * p, lambda p: np.log(p) - np.log(1 - p)], ids=["logarithms", "percent", "scores"])  # fmt: skip
def test_what_predict_proba_gives_has_to_be_probabilities(link):
    with pytest.raises(
        InvalidValueError, match=r"predict_proba of Scores gave numbers from .* probabilities are needed"
    ):
        values(Scores(link).fit(X, Y))


def test_and_is_once_the_advice_is_followed():
    made = values(Scores(lambda p: np.exp(np.log(p)) * (1 + 1e-9)).fit(X, Y))
    np.testing.assert_allclose(made, values(Plain().fit(X, Y)), atol=1e-6)
