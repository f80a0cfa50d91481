"""Linear models of scikit-learn, exactly as they were fitted."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from problems import coalitions
from scipy.stats import spearmanr
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, SGDClassifier
from sklearn.preprocessing import StandardScaler

from unshap_plugin import UnlearningGame, ValuationProblem, audit, shapley_values
from unshap_plugin.errors import InvalidValueError
from unshap_plugin.model.fit_predict import predicted
from unshap_plugin.model.sklearn_linear import hinge, is_linear_model, one_vs_rest, squared_hinge
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.problem.object_problem import ObjectProblem
from unshap_plugin.second_order.linear_head import LinearHead


def data(load, rows=80, tests=60, seed=0, features=None):
    x, y = load(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))[: rows + tests]
    x = StandardScaler().fit(x[order[:rows]]).transform(x[order])[:, :features]
    y = y[order] if y.dtype.kind == "i" else (y[order] - y.mean()) / y.std()
    return (x[:rows], y[:rows]), (x[rows:], y[rows:])


def made(model, load=load_wine, metric=None, **kwargs):
    sizes = {key: kwargs.pop(key) for key in ("rows", "tests", "features") if key in kwargs}
    train, test = data(load, **sizes)
    metric = metric or ("neg_mean_squared_error" if load is load_diabetes else "log_likelihood")
    return ValuationProblem(model.fit(*train), train, test, metric=metric, **kwargs)


class Opaque:
    """Hides what kind of model it is, so that only ``fit`` and ``predict`` are known."""

    def __init__(self, model):
        self.model = model

    def fit(self, x, y):
        self.model.fit(x, y)
        return self

    def predict(self, x):
        return self.model.predict(x)


LOGISTIC = {
    "default": {},
    "strong": {"C": 0.01},
    "no penalty": {"C": np.inf},
    "no intercept": {"fit_intercept": False},
}


@pytest.mark.parametrize("load", [load_breast_cancer, load_wine])
@pytest.mark.parametrize("name", sorted(LOGISTIC))
def test_logistic_regression_says_what_it_said(name, load):
    model = LogisticRegression(max_iter=2000, tol=1e-10, **LOGISTIC[name])
    problem = made(model, load, features=6)
    got = problem.outputs(problem.model, problem.x_test).numpy()
    np.testing.assert_allclose(np.exp(got), model.predict_proba(problem.x_test.numpy()), atol=1e-12)
    old = predicted(model, problem.x_test.numpy(), problem.classes).numpy()  # what an object with fit and predict gives
    likely = old > -15  # of what is less likely, scikit-learn rounds the probability
    np.testing.assert_allclose(got[likely], old[likely], atol=1e-8)
    assert likely.mean() > 0.5
    least = np.log(np.finfo(np.float64).eps)
    assert got.min() >= least - 1e-3  # what is below keeps a billionth of itself


class _Logistic(LogisticRegression):
    """A subclass, which may do anything: stays an object with fit and predict."""


class _Descent(SGDClassifier):
    """Another."""


class _Ridge(Ridge):
    """Another."""


class _Least(LinearRegression):
    """Another."""


def sparse_coalitions(y):
    """Return coalitions of all sizes; nobody, and every class alone and left out."""
    alone = [y == c for c in np.unique(y)] if y.dtype.kind == "i" else []
    return np.vstack([coalitions(20, len(y), seed=2), np.zeros((1, len(y)), dtype=bool), *alone, *[~a for a in alone]])


def raw(load, rows=80, tests=60):
    x, y = load(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))[: rows + tests]
    return (x[order[:rows]], y[order[:rows]]), (x[order[rows:]], y[order[rows:]])


@pytest.mark.parametrize("load", [load_breast_cancer, load_wine])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("metric", ["accuracy", "log_likelihood", "callable"])
def test_refits_of_classifiers_are_worth_what_objects_are(metric, intercept, load):
    train, test = data(load, features=6)
    measure = (lambda outputs, y: float((outputs[:, 1].exp() * (1 + y)).sum())) if metric == "callable" else metric
    ours, theirs = (
        ValuationProblem(kind(fit_intercept=intercept).fit(*train), train, test, metric=measure)
        for kind in (LogisticRegression, _Logistic)
    )
    assert isinstance(ours, ModuleProblem)
    assert isinstance(theirs, ObjectProblem)
    matrix = sparse_coalitions(train[1])
    np.testing.assert_allclose(
        UnlearningGame(ours, "retrain")(matrix), UnlearningGame(theirs, "retrain")(matrix), atol=1e-9
    )


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("kind", "twin"), [(Ridge, _Ridge), (LinearRegression, _Least)])
def test_refits_of_regressions_are_worth_what_objects_are(kind, twin, intercept):
    train, test = data(load_diabetes)
    ours, theirs = (
        ValuationProblem(one(fit_intercept=intercept).fit(*train), train, test, loss="mse", metric="r2")
        for one in (kind, twin)
    )
    assert isinstance(ours, ModuleProblem)
    assert isinstance(theirs, ObjectProblem)
    matrix = sparse_coalitions(train[1])
    expected = UnlearningGame(theirs, "retrain")(matrix)
    np.testing.assert_allclose(UnlearningGame(ours, "retrain")(matrix), expected, atol=1e-9, rtol=1e-9)
    np.testing.assert_allclose(UnlearningGame(ours, "linear_exact")(matrix), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_refits_of_sgd_choose_no_class_that_they_have_not_seen(loss, intercept):
    train, test = raw(load_digits)  # whose scores are far below zero
    ours, theirs = (
        ValuationProblem(
            kind(loss=loss, fit_intercept=intercept, max_iter=20, tol=None, random_state=0).fit(*train),
            train,
            test,
            metric="accuracy",
        )
        for kind in (SGDClassifier, _Descent)
    )
    matrix = sparse_coalitions(train[1])[20:]
    refits = UnlearningGame(ours, "retrain").unlearner.unlearn(ours, matrix[-10:], 0)
    assert float(refits.outputs(ours.x_test).max(dim=-1).values.min()) < np.log(np.finfo(np.float64).eps)
    np.testing.assert_array_equal(UnlearningGame(ours, "retrain")(matrix), UnlearningGame(theirs, "retrain")(matrix))


def test_rows_that_are_far_off_still_have_a_gradient():
    # Values are clipped where objects clip them; gradients and Hessians are those of the loss itself.
    train, test = data(load_breast_cancer, features=4)
    problem = ValuationProblem(LogisticRegression().fit(*train), train, test, metric="log_likelihood")
    engine = problem.engine
    theta = {name: 100 * p[None] for name, p in engine.theta0.items()}
    one = torch.ones(1, len(problem.y), dtype=torch.float64)
    scores = problem.x @ theta["linear.weight"][0, 0] + theta["linear.bias"][0, 0]
    exact = torch.nn.functional.softplus(-(2 * problem.y - 1) * scores)
    assert float(exact.max()) > 40
    off = (torch.sigmoid(scores) - problem.y)[:, None]
    gradients = engine.gradients(theta, one, problem.x, problem.y)
    torch.testing.assert_close(gradients["linear.weight"][0, 0], (off * problem.x).sum(dim=0))
    torch.testing.assert_close(gradients["linear.bias"][0], off.sum(dim=0))
    curvature = LinearHead.of(engine, problem.x, problem.y)(theta, one)[2][0]
    z = torch.cat([problem.x, torch.ones_like(off)], dim=1)
    p = torch.sigmoid(scores)
    torch.testing.assert_close(curvature, z.T @ ((p * (1 - p))[:, None] * z), rtol=1e-6, atol=1e-9)


def test_frozen_coefficients_stay_in_retraining():
    problem = made(LogisticRegression(), load_breast_cancer, features=6, parameters="linear.bias")
    matrix = coalitions(3, problem.n_players, seed=4)
    models = UnlearningGame(problem, "retrain").unlearner
    with pytest.warns(UserWarning, match="cannot be retrained for many coalitions at once"):
        state = models.unlearn(problem, matrix, 0).state
    slope = torch.as_tensor(problem.given_model.coef_[0])
    for k, row in enumerate(torch.as_tensor(matrix)):
        if row.any() and len(problem.y[row].unique()) > 1:
            # With the given slope, the free intercept makes the mean probability that of the labels.
            p = torch.sigmoid(whole_x(problem)[row] @ slope + state["linear.bias"][k])
            assert float(p.mean()) == pytest.approx(float(problem.y[row].double().mean()), abs=1e-5)


def whole_x(problem):
    return problem.x if problem.trained.whole is None else problem.trained.whole[1]


def test_making_its_problem_draws_nothing():
    before = torch.get_rng_state()
    made(LogisticRegression())
    assert torch.equal(before, torch.get_rng_state())


def test_what_happens_to_the_model_later_does_not_matter():
    model = LogisticRegression()
    problem = made(model, load_breast_cancer, features=6)
    matrix = coalitions(4, problem.n_players, seed=1)
    before = UnlearningGame(problem, "retrain")(matrix)
    model.set_params(C=1e-4).fit(problem.x.numpy(), 1 - problem.y.numpy())
    np.testing.assert_array_equal(UnlearningGame(problem, "retrain")(matrix), before)


def test_two_classes_with_a_score_for_each_stay_an_object(caplog):
    train, _ = data(load_breast_cancer, features=6)
    model = LogisticRegression().fit(*train)
    model.multi_class = "multinomial"  # a setting of scikit-learn up to 1.7, whose probabilities are others
    with caplog.at_level(logging.INFO, logger="unshap_plugin"):
        assert not is_linear_model(model)
    assert "its two classes are fitted with a score for each" in caplog.text


def test_a_fit_is_an_optimum_of_its_loss_and_penalty():
    for model, load in (
        (LogisticRegression(C=0.5, tol=1e-10, max_iter=5000), load_wine),
        (LogisticRegression(C=0.5, tol=1e-10, max_iter=5000), load_breast_cancer),
        (LogisticRegression(C=0.5, tol=1e-10, max_iter=5000, solver="liblinear"), load_breast_cancer),
        (Ridge(alpha=3.0), load_diabetes),
        (LinearRegression(), load_diabetes),
    ):
        problem = made(model, load, features=6)
        everything = torch.ones(1, len(problem.y), dtype=torch.float64)
        engine = problem.engine
        gradients = engine.gradients(engine.stack(1), everything, problem.x, problem.y)
        for name, gradient in gradients.items():
            total = gradient[0] + problem.recipe.strength(name) * engine.theta0[name]
            assert float(total.abs().max()) < 2e-3, (model, name)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("model", [Ridge(alpha=2.0), LinearRegression(), Ridge(alpha=2.0, fit_intercept=False)])
def test_regressions_say_what_they_said(model, outputs):
    (x, y), (x_test, y_test) = data(load_diabetes)
    many = np.column_stack([y, x[:, 0] * y, y**2]) if outputs == 3 else y
    tested = np.column_stack([y_test] * 3) if outputs == 3 else y_test
    problem = ValuationProblem(model.fit(x, many), (x, many), (x_test, tested), metric="neg_mean_squared_error")
    got = problem.outputs(problem.model, problem.x_test).numpy()
    expected = model.predict(x_test)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, atol=1e-10)
    # retraining by scikit-learn, and from the normal equations
    matrix = coalitions(12, 80)
    exact, again = UnlearningGame(problem, "linear_exact")(matrix), UnlearningGame(problem, "retrain")(matrix)
    np.testing.assert_allclose(exact, again, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("model", [Ridge(alpha=0.7), LinearRegression()])
@pytest.mark.parametrize("players", [None, np.repeat(np.arange(8), 10)])
def test_linear_exact_equals_refits_where_rows_are_too_few_too(model, players):
    problem = made(model, load_diabetes, groups=players)
    matrix = coalitions(60, problem.n_players, seed=3)
    assert (matrix.sum(axis=1) * len(problem.y) / problem.n_players < 10).any(), "fewer rows than features"
    exact, again = UnlearningGame(problem, "linear_exact")(matrix), UnlearningGame(problem, "retrain")(matrix)
    np.testing.assert_allclose(exact, again, atol=1e-6, rtol=1e-6)
    opaque = ValuationProblem(
        Opaque(model),
        (problem.x.numpy(), problem.y.numpy()),
        (problem.x_test.numpy(), problem.y_test.numpy()),
        loss="mse",
        metric="neg_mean_squared_error",
        groups=players,
    )
    some = matrix[matrix.any(axis=1)][:10]
    np.testing.assert_allclose(
        UnlearningGame(opaque, "retrain")(some), UnlearningGame(problem, "retrain")(some), atol=1e-9, rtol=1e-9
    )


@pytest.mark.parametrize("load", [load_breast_cancer, load_wine, load_digits])
def test_newton_ranks_as_refits_do(load):
    problem = made(LogisticRegression(tol=1e-6, max_iter=1000), load, metric={"a": "accuracy", "l": "log_likelihood"})
    classes = len(problem.y.unique())
    matrix = coalitions(60, 80, seed=1)
    complete = np.array([len(np.unique(problem.y[torch.as_tensor(row)])) == classes for row in matrix])
    matrix = matrix[complete]
    assert len(matrix) > 20
    a, b = UnlearningGame(problem, "newton")(matrix), UnlearningGame(problem, "retrain")(matrix)
    assert min(spearmanr(a[:, k], b[:, k])[0] for k in range(2)) >= 0.99
    assert np.abs(a[:, 0] - b[:, 0]).mean() <= 0.01


def test_coalitions_without_a_class_or_a_row_are_constant_or_narrower():
    problem = made(LogisticRegression(), load_wine, features=5)
    n = problem.n_players
    matrix = np.zeros((3, n), dtype=bool)
    matrix[1] = (problem.y == 1).numpy()
    matrix[2] = (problem.y != 2).numpy()
    models = UnlearningGame(problem, "retrain").unlearner.unlearn(problem, matrix, 0)
    p = models.outputs(problem.x_test).exp().numpy()
    np.testing.assert_allclose(p[0], 1 / 3)
    assert (p[1][:, 1] > 1 - 1e-12).all()
    keep = matrix[2]
    expected = LogisticRegression().fit(problem.x.numpy()[keep], problem.y.numpy()[keep])
    np.testing.assert_allclose(p[2][:, :2], expected.predict_proba(problem.x_test.numpy()), atol=1e-12)
    assert (p[2][:, 2] < 1e-12).all()


@pytest.mark.parametrize("loss", ["log_loss", "hinge", "squared_hinge"])
@pytest.mark.parametrize("load", [load_breast_cancer, load_wine])
def test_stochastic_gradient_descent_decides_as_it_decided(load, loss):
    model = SGDClassifier(loss=loss, random_state=0)
    problem = made(model, load, metric="accuracy")
    x = problem.x_test.numpy()
    got = problem.outputs(problem.model, problem.x_test).numpy()
    np.testing.assert_array_equal(got.argmax(axis=1), model.predict(x))
    scores = model.decision_function(x)
    if scores.ndim == 1 and loss == "log_loss":  # log-probabilities, the least of which are clipped
        np.testing.assert_allclose(np.exp(got), model.predict_proba(x), atol=1e-12)
        scores = np.clip(scores, np.log(np.finfo(np.float64).eps), -np.log(np.finfo(np.float64).eps))
    np.testing.assert_allclose(got[:, 1] - got[:, 0] if scores.ndim == 1 else got, scores, atol=1e-9)
    assert problem.recipe.strength("linear.weight") == pytest.approx(1e-4 * 80)
    game = UnlearningGame(problem)
    assert game.unlearner.name == "retrain"
    assert game.reason.startswith("SGDClassifier stops far from the optimum")
    values = game(coalitions(6, 80))
    assert np.isfinite(values).all()
    assert np.isfinite(UnlearningGame(problem, "retrain")(coalitions(3, 80))).all()


def test_the_losses_are_those_of_each_class_against_the_others():
    rng = np.random.default_rng(0)
    z, y = torch.as_tensor(rng.normal(size=(20, 3))), torch.as_tensor(rng.integers(0, 3, 20))
    for function, of_margin in (
        (hinge, lambda m: max(0.0, 1 - m)),
        (squared_hinge, lambda m: max(0.0, 1 - m) ** 2),
        (one_vs_rest, lambda m: np.log1p(np.exp(-m))),
    ):
        expected = [sum(of_margin(float(z[i, c]) * (1 if y[i] == c else -1)) for c in range(3)) for i in range(20)]
        np.testing.assert_allclose(function(z, y), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (LogisticRegression(class_weight="balanced"), "its rows have weights by class"),
        (Ridge(positive=True, solver="lbfgs"), "constrained to be positive"),
        (SGDClassifier(loss="modified_huber"), "its loss 'modified_huber' is none of"),
        (SGDClassifier(penalty="l1"), "its penalty is not l2"),
        (SGDClassifier(average=True), "averages over the training"),
    ],
)
def test_what_cannot_be_exact_stays_an_object_and_says_why(model, why, caplog):
    load = load_diabetes if isinstance(model, Ridge) else load_breast_cancer
    with caplog.at_level(logging.INFO, logger="unshap_plugin"):
        problem = made(model, load, metric="neg_mean_squared_error" if isinstance(model, Ridge) else "accuracy")
    assert isinstance(problem, ObjectProblem)
    assert f"{type(model).__name__} stays an object with fit and predict" in caplog.text
    assert why in caplog.text
    assert UnlearningGame(problem).unlearner.name == "retrain"


def test_subclasses_and_unfitted_models_are_left_alone():
    class Mine(Ridge):
        pass

    (x, y), _ = data(load_diabetes)
    assert not is_linear_model(Mine().fit(x, y))
    assert not is_linear_model(Ridge())


def test_whole_numbers_are_features_too():
    x, y = load_digits(return_X_y=True)
    x, y = x[:60].astype(np.int32), y[:60]
    model = LogisticRegression(max_iter=1000).fit(x, y)
    whole, floating = (ValuationProblem(model, (a, y), (a, y), metric="log_likelihood") for a in (x, x.astype(float)))
    matrix = coalitions(3, 60)
    for name in ("newton", "retrain"):
        np.testing.assert_allclose(
            UnlearningGame(whole, name)(matrix), UnlearningGame(floating, name)(matrix), rtol=1e-9
        )


def test_a_recipe_or_another_loss_is_refused():
    train, test = data(load_diabetes)
    model = Ridge().fit(*train)
    with pytest.raises(InvalidValueError, match=r"^fit was given, but Ridge says itself how it was trained"):
        ValuationProblem(model, train, test, metric="r2", fit={"l2": 1.0})
    with pytest.raises(InvalidValueError, match=r"^loss is 'binary_cross_entropy_with_logits', but Ridge was fitted"):
        ValuationProblem(model, train, test, metric="r2", loss="binary_cross_entropy_with_logits")
    assert ValuationProblem(model, train, test, metric="r2", loss="mse").linear is not None


def test_the_model_is_not_touched_and_auto_and_the_audit_work():
    model = LogisticRegression()
    problem = made(model, load_breast_cancer, groups=np.repeat(np.arange(5), 16))
    before = model.coef_.copy()
    result = shapley_values(UnlearningGame(problem), "exact")
    assert result.unlearner == "newton"
    report = audit(UnlearningGame(problem))
    assert report.value_agreement().pearson > 0.99
    assert np.array_equal(model.coef_, before)
