"""Columns as people have them: years, incomes, dates in milliseconds, beside shares and flags, and nothing scaled.

scikit-learn's own fits are the reference. Values of such columns were once those of another penalty, without a word.
"""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
import sklearn
from packaging.version import Version
from scipy.linalg import LinAlgWarning
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, SGDClassifier
from sklearn.metrics import get_scorer

from unshap_plugin import UnlearningGame, ValuationProblem, shapley_values, value
from unshap_plugin.second_order.objective import Objective
from unshap_plugin.unlearners.newton import FEW_PARAMETERS

COALITIONS = np.array(list(itertools.product([False, True], repeat=5)))[1:]
GENERATOR = np.random.default_rng(0)
PLAIN = GENERATOR.normal(size=(60, 3))
SCORES = PLAIN @ (1.0, -2.0, 0.5)
NUMBERS = SCORES + 0.3 * GENERATOR.normal(size=60)
LABELS = (SCORES + GENERATOR.logistic(size=60) > 0).astype(int)
GROUPS = np.arange(40) % 5
#: Means and standard deviations of the columns.
COLUMNS = {
    "plain": ((0, 0, 0), (1, 1, 1)),
    "years": ((2000, 0, 0), (5, 1, 1)),
    "an income and a share": ((0, 0, 0), (1e6, 1, 1e-3)),
    "a number of many digits": ((12345, 0, 0), (10, 1, 1)),
}
DATES = ((1.6e12, 0, 0), (1e7, 1, 1))


def problem(model, means, scales, targets, **settings):
    x = PLAIN * scales + means
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, of such columns
        model.fit(x[:40], targets[:40])
    return ValuationProblem(model, (x[:40], targets[:40]), (x[40:], targets[40:]), groups=GROUPS, **settings)


def utilities(found, unlearner):
    with warnings.catch_warnings():
        for kind in (ConvergenceWarning, LinAlgWarning):  # of fits on such columns
            warnings.simplefilter("ignore", kind)
        return UnlearningGame(found, unlearner)(COALITIONS)


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("settings", [{}, {"C": 0.01}, {"C": 100}, {"fit_intercept": False}], ids=str)
def test_logistic_regressions_are_those_of_scikit_learn(columns, settings):
    model = LogisticRegression(solver="newton-cholesky", tol=1e-9, max_iter=1000, **settings)
    found = problem(model, *COLUMNS[columns], LABELS)
    np.testing.assert_allclose(utilities(found, "newton"), utilities(found, "retrain"), atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("columns", [*COLUMNS.values(), DATES], ids=[*COLUMNS, "dates"])
@pytest.mark.parametrize("make", [Ridge, lambda: Ridge(0.01), lambda: Ridge(fit_intercept=False)])
def test_ridge_regressions_are_those_of_scikit_learn(columns, make):
    found = problem(make(), *columns, NUMBERS)
    exact, refits = (utilities(found, name) for name in ("linear_exact", "retrain"))
    tolerance = 1e-8 if columns != DATES or found.given_model.fit_intercept else 1e-3
    np.testing.assert_allclose(exact, refits, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("columns", [*COLUMNS.values(), DATES], ids=[*COLUMNS, "dates"])
@pytest.mark.parametrize("intercept", [True, False])
def test_linear_regressions_are_those_of_scikit_learn(columns, intercept):
    """It leaves out columns that are tiny beside others: those are fitted again."""
    found = problem(LinearRegression(fit_intercept=intercept), *columns, NUMBERS)
    game = UnlearningGame(found, "auto")
    np.testing.assert_allclose(game(COALITIONS), utilities(found, "retrain"), atol=1e-8, rtol=1e-8)
    tiny = max(columns[1]) >= 1e6 * min(columns[1]) or (not intercept and max(columns[0]) >= 1e6)
    if Version(sklearn.__version__) >= Version("1.7"):  # before, it left out fewer
        assert game.unlearner.name == ("retrain" if tiny else "linear_exact")


@pytest.mark.parametrize("load", [load_breast_cancer, load_wine])
def test_real_tables_as_they_are(load):
    x, y = load(return_X_y=True)
    order = np.random.default_rng(1).permutation(len(y))
    train, test = order[: len(y) // 2], order[len(y) // 2 :]
    model = LogisticRegression(solver="newton-cholesky", tol=1e-10, max_iter=1000).fit(x[train], y[train])
    found = ValuationProblem(model, (x[train], y[train]), (x[test], y[test]), groups=np.arange(len(train)) % 5)
    newton, refits = (shapley_values(UnlearningGame(found, name)) for name in ("newton", "retrain"))
    assert np.ptp(refits.values) > 0.05
    np.testing.assert_allclose(newton.values, refits.values, atol=2e-3, rtol=0)


def drawn(seed):
    """A table of columns of any scale and mean, and a penalty."""
    generator = np.random.default_rng(seed)
    rows, columns = int(generator.choice([80, 160])), int(generator.choice([2, 4, 8]))
    plain = generator.normal(size=(2 * rows, columns))
    scores = plain @ generator.normal(size=columns) - generator.choice([0, 1])
    scales = 10 ** generator.uniform(-1.5, 1.5, columns)
    x = (plain + generator.choice([0, 1, 10], size=columns)) * scales
    y = (scores + generator.logistic(size=2 * rows) > 0).astype(int)
    return x, y, float(generator.choice([0.1, 1, 10, 100, 1e3, 1e4]))


@pytest.mark.parametrize("seed", range(12))
def test_drawn_tables_and_penalties(seed):
    """Also where ``lbfgs`` stops at its tolerance: what it leaves over is no early stopping."""
    x, y, c = drawn(seed)
    n = len(y) // 2
    data = {"train": (x[:n], y[:n]), "test": (x[n:], y[n:]), "groups": np.arange(n) % 4}
    exact = LogisticRegression(C=c, solver="newton-cholesky", tol=1e-10).fit(*data["train"])
    refits = value(exact, unlearner="retrain", **data).values
    for model in (exact, LogisticRegression(C=c, max_iter=5000).fit(*data["train"])):
        found = value(model, **data)
        if found.unlearner == "newton":
            np.testing.assert_allclose(found.values, refits, atol=5e-3 * np.abs(refits).max(), rtol=0)


@pytest.mark.parametrize("model", [LogisticRegression(C=1e4), SGDClassifier(loss="log_loss", random_state=0)], ids=str)
def test_ranks_of_rows_that_are_far_off_are_told_apart(model):
    """Probabilities of 0 and 1 are clipped, and all alike."""
    x, y = load_breast_cancer(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x[::2], y[::2])
    found = ValuationProblem(model, (x[::2], y[::2]), (x[1::2], y[1::2]), groups=np.arange(285) % 3, metric="roc_auc")
    assert float(found.given_utility) == pytest.approx(get_scorer("roc_auc")(model, x[1::2], y[1::2]), abs=1e-9)


def test_newton_that_settles_is_not_blamed_for_a_model_that_knows_nothing():
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(60, 3)), np.arange(60) % 2
    model = LogisticRegression(C=1e-4, solver="newton-cholesky").fit(x[:40], y[:40])
    data = {"train": (x[:40], y[:40]), "test": (x[40:], y[40:]), "groups": np.arange(40) % 4}
    notes = [value(model, unlearner=name, **data).notes for name in ("newton", "retrain")]
    assert notes[0] == notes[1]


def stopped():
    x, y = load_breast_cancer(return_X_y=True)
    with pytest.warns(ConvergenceWarning):
        model = LogisticRegression(max_iter=20).fit(x[::3], y[::3])
    return model, (x[::3], y[::3]), (x[1::3], y[1::3])


def separated():
    x, y = load_iris(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(C=np.inf, max_iter=20000).fit(x[::2], y[::2])
    return model, (x[::2], y[::2]), (x[1::2], y[1::2])


def nanometres():
    x = PLAIN * (1e9, 1, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", LinAlgWarning)
        model = LogisticRegression(solver="newton-cholesky").fit(x[:40], LABELS[:40])
    return model, (x[:40], LABELS[:40]), (x[40:], LABELS[40:])


def rare():
    """A level without a row of one class, in some coalitions."""
    generator = np.random.default_rng(5)
    plain = generator.normal(size=(800, 4))
    x = np.concatenate([np.eye(8)[generator.integers(0, 8, 800)], plain], axis=1)
    y = (plain @ [1, -1, 0.5, 0.2] - 3 + generator.logistic(size=800) > 0).astype(int)
    return LogisticRegression(C=np.inf).fit(x[:400], y[:400]), (x[:400], y[:400]), (x[400:], y[400:])


@pytest.mark.parametrize("made", [separated, rare])
def test_models_without_a_penalty_are_fitted_again(made):
    model, train, test = made()
    game = UnlearningGame(ValuationProblem(model, train, test, groups=np.arange(len(train[1])) % 5), "auto")
    assert game.unlearner.name == "retrain"
    assert game.reason == (
        "LogisticRegression has no penalty: where a plane separates classes, values go by where each fit stops"
    )


@pytest.mark.parametrize("made", [stopped, nanometres])
def test_fits_that_stopped_short_of_an_optimum_are_fitted_again(made):
    """Where each of them stops is chance, which Newton steps know nothing of."""
    model, train, test = made()
    found = ValuationProblem(model, train, test, groups=np.arange(len(train[1])) % 5)
    game = UnlearningGame(found, "auto")
    assert game.unlearner.name == "retrain"
    assert game.reason is not None
    assert "stopped before the optimum of its loss" in game.reason
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert not [note for note in shapley_values(game).notes if "optimum" in note]
        with_newton = shapley_values(UnlearningGame(found, "influence"))
    assert [note for note in with_newton.notes if "stopped before the optimum of its loss" in note]


@pytest.mark.parametrize("settings", [{"max_iter": 5000}, {"solver": "newton-cholesky"}, {"C": 3}])
def test_advice_to_scale_or_go_on_helps(settings):
    x, y = load_breast_cancer(return_X_y=True)
    x = x if settings.get("solver") == "newton-cholesky" else (x - x.mean(axis=0)) / x.std(axis=0)
    model = LogisticRegression(**settings).fit(x[::3], y[::3])
    found = value(model, (x[::3], y[::3]), (x[1::3], y[1::3]), groups=np.arange(190) % 3)
    assert found.unlearner == "newton"
    assert not [note for note in found.notes if "optimum" in note]


def test_coalitions_that_do_not_settle_are_said():
    model, train, test = separated()
    found = ValuationProblem(model, train, test, groups=np.arange(75) % 5)
    with pytest.warns(UserWarning, match="newton did not settle in 50 steps for some coalitions of LogisticRegression"):
        UnlearningGame(found, "newton")(COALITIONS)


@pytest.mark.parametrize(
    ("model", "targets"),
    [
        (LogisticRegression(solver="newton-cholesky"), LABELS),
        (Ridge(), NUMBERS),
        (LinearRegression(), NUMBERS),
        (Ridge(), np.stack([NUMBERS, SCORES], axis=1)),
        (Ridge(fit_intercept=False), NUMBERS),
    ],
)
@pytest.mark.parametrize("unlearner", ["auto", "retrain", "influence"])
@pytest.mark.parametrize("wide", [False, True])
def test_no_bit_depends_on_the_chunk(model, targets, unlearner, wide):
    """A model of one output is a vector, and products with one vector are added up otherwise than with several."""
    x = np.random.default_rng(0).normal(size=(60, 70)) if wide else PLAIN
    model.fit(x[:40], targets[:40])
    found = ValuationProblem(model, (x[:40], targets[:40]), (x[40:], targets[40:]), groups=GROUPS)
    some = COALITIONS[::3]
    whole = UnlearningGame(found, unlearner)(some)
    for chunk in (1, 3):
        assert np.array_equal(UnlearningGame(found, unlearner, chunk=chunk)(some), whole)


def test_of_many_columns_no_matrix_of_all_parameters_is_made(monkeypatch):
    """A table of texts has thousands of them: whether the fit arrived is not worth their eigenvalues."""
    monkeypatch.setattr(Objective, "short_of_optimum", lambda _: pytest.fail("it asked for the matrix"))
    x, y = np.random.default_rng(0).random((40, FEW_PARAMETERS)), np.arange(40) % 2
    model = LogisticRegression().fit(x[:30], y[:30])
    found = value(model, (x[:30], y[:30]), (x[30:], y[30:]), groups=np.arange(30) % 3)
    assert found.unlearner == "graddiff"
    assert np.isfinite(found.values).all()
