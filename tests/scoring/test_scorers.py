"""Scorers of scikit-learn as metrics: against scikit-learn itself, with the model's own predictions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score, fbeta_score, get_scorer, make_scorer
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import scale
from sklearn.svm import SVC

from unshap_plugin import UnlearningGame, ValuationProblem, value
from unshap_plugin.errors import InvalidValueError, UnknownNameError
from unshap_plugin.scoring.scorers import Answers, is_scorer, score_with

COALITIONS = np.array([[True, False, True], [False, True, True], [True, True, True]])
GROUPS = np.arange(60) % 3
NAMES = np.array(["a", "b", "c"])


def data(load, rows=60):
    x, y = load(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))[: 2 * rows]
    x, y = scale(x)[order], y[order]
    return (x[:rows], y[:rows]), (x[rows:], y[rows:])


@pytest.mark.parametrize("model", [LogisticRegression(), KNeighborsClassifier(5), SVC()])
@pytest.mark.parametrize("load", [load_iris, load_breast_cancer])
@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("metric", ["f1_macro", "balanced_accuracy", "neg_log_loss", "roc_auc_ovr", "jaccard_weighted"])
def test_a_classifiers_scores_are_those_of_the_model_that_was_fitted_without_the_others(model, load, named, metric):
    """Of three kinds: with coefficients, with probabilities, and with choices only; labels that are text too."""
    (x, y), (x_test, y_test) = data(load)
    if named:
        y, y_test = NAMES[y], NAMES[y_test]
    fitted = model.fit(x, y)
    if not hasattr(model, "predict_proba") and metric in ("neg_log_loss", "roc_auc_ovr"):
        with pytest.raises(InvalidValueError, match="needs probabilities, but the model has no predict_proba"):
            ValuationProblem(fitted, (x, y), (x_test, y_test), groups=GROUPS, metric=metric)
        return
    problem = ValuationProblem(fitted, (x, y), (x_test, y_test), groups=GROUPS, metric=metric)
    got = UnlearningGame(problem, "retrain")(COALITIONS)
    for keep, utility in zip(COALITIONS, got, strict=True):
        rows = keep[GROUPS]
        expected = get_scorer(metric)(type(model)(**model.get_params()).fit(x[rows], y[rows]), x_test, y_test)
        np.testing.assert_allclose(utility, expected, atol=1e-9)


@pytest.mark.parametrize("metric", ["neg_median_absolute_error", "neg_mean_absolute_error", "explained_variance", "r2"])
def test_a_regressors_scores(metric):
    (x, y), (x_test, y_test) = data(load_diabetes)
    scorer = get_scorer(metric)
    problem = ValuationProblem(Ridge().fit(x, y), (x, y), (x_test, y_test), groups=GROUPS, metric=metric)
    got = UnlearningGame(problem, "linear_exact")(COALITIONS)
    for keep, utility in zip(COALITIONS, got, strict=True):
        rows = keep[GROUPS]
        np.testing.assert_allclose(utility, scorer(Ridge().fit(x[rows], y[rows]), x_test, y_test), rtol=1e-6)


def test_a_scorer_object_and_its_settings_count():
    (x, y), test = data(load_breast_cancer)
    scorer = make_scorer(fbeta_score, beta=2, pos_label=0)
    problem = ValuationProblem(LogisticRegression().fit(x, y), (x, y), test, metric=scorer)
    assert is_scorer(scorer)
    assert not is_scorer(f1_score)
    assert problem.metric.name == "make_scorer(fbeta_score, response_method='predict', beta=2, pos_label=0)"
    expected = fbeta_score(test[1], LogisticRegression().fit(x, y).predict(test[0]), beta=2, pos_label=0)
    np.testing.assert_allclose(problem.given_utility, expected, rtol=1e-12)
    both = ValuationProblem(LogisticRegression().fit(x, y), (x, y), test, metric={"f": scorer, "a": "accuracy"})
    np.testing.assert_allclose(both.given_utility[0], expected, rtol=1e-12)


def test_a_function_of_estimator_x_and_y_is_a_scorer_too():
    """As scikit-learn takes it: it is given something that predicts."""

    def hits(estimator, x, y):
        return float((estimator.predict(x) == y).sum())

    (x, y), test = data(load_iris)
    model = LogisticRegression().fit(x, NAMES[y])
    problem = ValuationProblem(model, (x, NAMES[y]), (test[0], NAMES[test[1]]), metric=hits)
    assert problem.given_utility == (model.predict(test[0]) == NAMES[test[1]]).sum()
    assert problem.metric.name == "hits", "not where it lies in memory"


@pytest.mark.parametrize("outputs", [1, 2])
def test_modules_of_one_and_of_two_outputs_are_classifiers(outputs):
    (x, y), test = data(load_breast_cancer)
    torch.manual_seed(0)
    module = torch.nn.Linear(30, outputs).double()
    loss = "cross_entropy" if outputs == 2 else "binary_cross_entropy_with_logits"
    labels = y if outputs == 2 else y.astype(float)
    tested = test[1] if outputs == 2 else test[1].astype(float)
    logits = module(torch.as_tensor(test[0])).detach().numpy()
    score = logits[:, 1] - logits[:, 0] if outputs == 2 else logits[:, 0]
    problem = ValuationProblem(module, (x, labels), (test[0], tested), loss=loss, metric={"f": "f1", "auc": "roc_auc"})
    from sklearn.metrics import roc_auc_score

    np.testing.assert_allclose(
        problem.given_utility, [f1_score(test[1], score > 0), roc_auc_score(test[1], score)], rtol=1e-12
    )


def test_shares_of_classes_are_their_largest():
    outputs = torch.tensor([[[2.0, 1.0], [0.0, 1.0]]])
    score = score_with(get_scorer("accuracy"), Answers("classification"))
    assert score(outputs, torch.tensor([[0.9, 0.1], [0.2, 0.8]])).tolist() == [1.0]


@pytest.mark.parametrize(
    ("outputs", "targets"),
    [
        (3, torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])),  # several labels a row
        (1, torch.tensor([0.9, 0.2, 0.7])),  # shares of the second of two classes
        (1, torch.tensor([[0.9], [0.2], [0.7]])),
    ],
)
def test_targets_that_are_not_one_class_a_row_are_not_taken_for_it(outputs, targets):
    data = torch.randn(3, 4), targets
    loss = "binary_cross_entropy_with_logits"
    with pytest.raises(InvalidValueError, match="needs one class for every row, but the targets"):
        ValuationProblem(torch.nn.Linear(4, outputs), data, data, loss=loss, metric="f1_macro")


def test_what_cannot_be_scored_says_why():
    (x, y), test = data(load_iris)
    model = LogisticRegression().fit(x, y)
    with pytest.raises(UnknownNameError) as caught:
        ValuationProblem(model, (x, y), test, metric="f1_macor")
    assert "the scorers of scikit-learn are metrics too (did you mean 'f1_macro'?)" in str(caught.value)
    named, tested = NAMES[y], NAMES[test[1]]
    fitted = LogisticRegression().fit(x, named)
    with pytest.raises(InvalidValueError, match="'neg_median_absolute_error' cannot be computed from outputs"):
        ValuationProblem(fitted, (x, named), (test[0], tested), metric="neg_median_absolute_error")
    with pytest.raises(InvalidValueError, match="a loss of your own does not tell whether the model is a classifier"):
        ValuationProblem(
            torch.nn.Linear(4, 3).double(), (x, y), test, loss=torch.nn.CrossEntropyLoss(reduction="none"), metric="f1"
        )


def test_values_come_out():
    (x, y), test = data(load_iris)
    result = value(LogisticRegression().fit(x, y), (x, y), test, groups=GROUPS, metric="f1_macro")
    assert result.metric == "f1_macro"
    np.testing.assert_allclose(result.values.sum(), result.utility_all - result.utility_none, atol=1e-12)


class Backwards(ClassifierMixin, BaseEstimator):
    """A classifier that has its classes in the other order."""

    def fit(self, x, y):
        self.model_ = LogisticRegression(tol=1e-10, max_iter=1000).fit(x, y)
        self.classes_ = self.model_.classes_[::-1]
        return self

    def predict_proba(self, x):
        return self.model_.predict_proba(x)[:, ::-1]

    def predict(self, x):
        return self.model_.predict(x)


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "neg_log_loss", "neg_brier_score", "accuracy"])
@pytest.mark.parametrize("names", [np.array([0, 1]), np.array([-1, 1]), np.array([False, True])])
def test_the_positive_class_is_the_last_whatever_the_order_of_classes(metric, names):
    (x, y), (x_test, y_test) = data(load_breast_cancer)
    train, test = (x, names[y]), (x_test, names[y_test])
    results = [
        value(model.fit(*train), train, test, groups=GROUPS, metric=metric, unlearner="retrain", estimator="exact")
        for model in (Backwards(), LogisticRegression(tol=1e-10, max_iter=1000))
    ]
    np.testing.assert_allclose(results[0].values, results[1].values, atol=1e-9)
