"""Coalitions that lack a class: one convention for Newton steps and retraining, the classifier's own ``fit``."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from bits import assert_same_bits
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import GaussianNB

from unshap_plugin import UnlearningGame, ValuationProblem, audit, shapley_values
from unshap_plugin.unlearners._refits import lacks_a_class

RNG = np.random.default_rng(0)
X, X_TEST = RNG.normal(size=(30, 4)), RNG.normal(size=(40, 4))
LEAST = np.finfo(np.float64).eps


def one_class_each(k, names=None):
    """Providers with rows of one class each, and one with rows of all."""
    cut = np.linspace(-1, 1, k + 1)[1:-1]
    y, y_test = (np.digitize(x[:, 0] + 0.3 * x[:, 1], cut) for x in (X, X_TEST))
    order = np.argsort(y, kind="stable")
    groups = np.array([f"only {one}" for one in y[order]])
    groups[::5] = "mixed"
    y, y_test = (one if names is None else np.array(names)[one] for one in (y[order], y_test))
    return (X[order], y), (X_TEST, y_test), groups


def by_hand(make, train, test, rows):
    """The mean log-likelihood of a refit; classes that it has not seen are as unlikely as can be."""
    classes, numbers = np.unique(train[1], return_inverse=True)
    seen = np.unique(numbers[rows])
    likely = np.full((len(test[1]), len(classes)), LEAST)
    if len(seen) == 0:
        likely[:] = 1 / len(classes)
    elif len(seen) == 1:
        likely[:, seen] = 1
    else:
        likely[:, seen] = make().fit(train[0][rows], train[1][rows]).predict_proba(test[0]).clip(LEAST)
    chosen = np.searchsorted(classes, test[1])
    return np.log(likely / likely.sum(axis=1, keepdims=True))[np.arange(len(chosen)), chosen].mean()


def logistic(**kwargs):
    return LogisticRegression(max_iter=5000, tol=1e-10, **kwargs)


MAKERS = {
    "logistic": logistic,
    "without an intercept": lambda: logistic(fit_intercept=False),
    "strong penalty": lambda: logistic(C=0.1),
    "naive Bayes": GaussianNB,
}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize(("k", "names"), [(2, None), (3, None), (4, None), (3, ["low", "middle", "top"])])
def test_retraining_and_newton_have_the_utilities_of_refits_by_hand(name, k, names):
    make, (train, test, groups) = MAKERS[name], one_class_each(k, names)
    problem = ValuationProblem(make().fit(*train), train, test, groups=groups)
    players = problem.players
    coalitions = np.array(list(itertools.product([False, True], repeat=len(players))))
    rows = [np.isin(groups, [p for p, keep in zip(players, kept, strict=True) if keep]) for kept in coalitions]
    right = np.array([by_hand(make, train, test, mask) for mask in rows])
    lacking = np.array([0 < len(np.unique(train[1][mask])) < k for mask in rows])
    assert np.array_equal(lacks_a_class(problem, problem.retained(coalitions)).numpy(), lacking)
    games = [
        UnlearningGame(problem, "retrain"),
        *([] if name == "naive Bayes" else [UnlearningGame(problem, "newton")]),
    ]
    for game in games:
        np.testing.assert_allclose(game(coalitions)[lacking], right[lacking], atol=1e-6)
        # Where all classes are there, Newton steps are as near as they ever are.
        np.testing.assert_allclose(game(coalitions), right, atol=1e-6 if game.unlearner.name == "retrain" else 5e-3)
    n = len(players)
    utility = dict(zip(map(tuple, coalitions), right, strict=True))
    values = np.zeros(n)
    for i, kept in itertools.product(range(n), coalitions):
        if not kept[i]:
            more = kept | (np.arange(n) == i)
            weight = math.factorial(kept.sum()) * math.factorial(n - kept.sum() - 1) / math.factorial(n)
            values[i] += weight * (utility[tuple(more)] - utility[tuple(kept)])
    np.testing.assert_allclose(shapley_values(games[0], "exact").values, values, atol=1e-6)
    np.testing.assert_allclose(shapley_values(games[-1], "exact").values, values, atol=2e-3)


def test_an_audit_finds_newton_faithful_then():
    train, test, groups = one_class_each(3)
    problem = ValuationProblem(logistic().fit(*train), train, test, groups=groups)
    report = audit(UnlearningGame(problem, "newton"))
    assert "can be trusted like retrained ones" in report.verdict


def test_margins_of_a_missing_class_are_those_of_the_fit_too():
    train, test, groups = one_class_each(3)
    model = SGDClassifier(random_state=0).fit(*train)
    problem = ValuationProblem(model, train, test, groups=groups, metric="accuracy")
    coalitions = np.array(list(itertools.product([False, True], repeat=4)))
    lacking = lacks_a_class(problem, problem.retained(coalitions)).numpy()
    a, b = UnlearningGame(problem, "newton")(coalitions), UnlearningGame(problem, "retrain")(coalitions)
    assert lacking.sum() == 6
    assert np.array_equal(a[lacking], b[lacking])


def test_chunks_change_nothing():
    train, test, groups = one_class_each(4)
    problem = ValuationProblem(logistic(fit_intercept=False).fit(*train), train, test, groups=groups)
    coalitions = np.array(list(itertools.product([False, True], repeat=5)))
    whole = UnlearningGame(problem, "newton")(coalitions)
    for chunk in (1, 3):
        assert_same_bits(UnlearningGame(problem, "newton", chunk=chunk)(coalitions[::-1])[::-1], whole)


def test_single_rows_are_not_drowned_by_classes_that_tiny_coalitions_lack():
    """A fraction of the range that refits have: their smallest probability is some 36 below in the log-likelihood."""
    train, test, _ = one_class_each(2)
    problem = ValuationProblem(logistic().fit(*train), train, test)
    tiny = np.eye(30, dtype=bool)
    assert lacks_a_class(problem, problem.retained(tiny)).all()
    assert UnlearningGame(problem, "newton")(tiny).min() > -8
    assert UnlearningGame(problem, "retrain")(tiny).max() < -10


def test_what_has_no_classes_or_all_of_them_lacks_none():
    from sklearn.linear_model import Ridge

    train, test, groups = one_class_each(3)
    numbers = ValuationProblem(Ridge().fit(train[0], train[0][:, 0]), (train[0], train[0][:, 0]), (X, X[:, 0]))
    assert not lacks_a_class(numbers, torch.ones(2, 30, dtype=torch.bool)).any()
    problem = ValuationProblem(logistic().fit(*train), train, test, groups=groups)
    ends = lacks_a_class(problem, torch.stack([torch.ones(30), torch.zeros(30)]).bool())
    assert ends.tolist() == [False, False], "nor does the empty coalition, of which nothing is trained"
