"""What a result says of utilities that look wrong: exclusions, ends that say nothing forgot, classes that lack."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC
from torch import nn

from unshap_plugin import (
    Recipe,
    UnlearningGame,
    ValuationProblem,
    ValuationResult,
    compute_artifacts,
    shapley_values,
    value,
)
from unshap_plugin.cautions import biased, far_below, hardly_forgets, lacking_classes, left_out, undecided
from unshap_plugin.errors import BudgetError, DivergenceError
from unshap_plugin.plugin import Unlearner
from unshap_plugin.unlearners.models import ModelList, StackedModels

RNG = np.random.default_rng(0)
X, X_TEST = RNG.normal(size=(30, 4)), RNG.normal(size=(40, 4))
Y, Y_TEST = (X[:, 0] + 0.5 * X[:, 1] > 0).astype(int), (X_TEST[:, 0] + 0.5 * X_TEST[:, 1] > 0).astype(int)
DATA = {"train": (X, Y), "test": (X_TEST, Y_TEST), "groups": np.repeat(np.arange(5), 6)}
EVERY = np.array(list(itertools.product([False, True], repeat=5)))


def by_definition(utility, n):
    """The Shapley values of a function of sets, by enumeration."""
    values = np.zeros(n)
    for i in range(n):
        for size in range(n):
            weight = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
            for others in itertools.combinations([k for k in range(n) if k != i], size):
                values[i] += weight * (utility({*others, i}) - utility(set(others)))
    return values


# Exclusions.


def neighbours(**kwargs):
    model = KNeighborsClassifier(7).fit(X, Y)
    return UnlearningGame(ValuationProblem(model, **DATA, metric="accuracy"), "retrain", **kwargs)


def test_neighbours_of_more_rows_than_there_are_fail_by_name():
    with pytest.raises(DivergenceError, match=r"n_neighbors = 7, n_samples_fit = 6.*keeps 1 of 5 players"):
        shapley_values(neighbours(), "exact")
    with pytest.raises(DivergenceError, match=r"5 were excluded.*use a model that .*, or estimator='perm"):
        shapley_values(neighbours(on_error="exclude"), "exact")


def test_exclusions_by_size_are_counted_and_the_values_marked():
    result = shapley_values(neighbours(on_error="exclude"), "permutation")

    def utility(kept):
        rows = np.isin(DATA["groups"], list(kept))
        if not kept:
            return 0.5  # the first class is chosen; the test has as many of both within rounding
        return KNeighborsClassifier(min(7, rows.sum())).fit(X[rows], Y[rows]).score(X_TEST, Y_TEST)

    right = by_definition(utility, 5)
    assert np.abs(result.values - right).max() > 5 * result.std_errors.max(), "they are not the game's"
    assert result.biased
    assert result.excluded == 5
    np.testing.assert_allclose(result.missing, result.utility_all - result.utility_none - result.values.sum())
    [note] = [one for one in result.notes if "excluded" in one]
    assert note.startswith("5 of 32 evaluated coalitions were excluded (5 of the 5 that keep 1 player)")
    assert f"the values sum to {-result.missing:.3g} more than v(all) - v(none)" in note
    assert "5 excluded and the values biased" in repr(result)
    again = ValuationResult.from_json(result.to_json())
    assert (again.biased, again.notes, repr(again)) == (True, result.notes, repr(result))


def test_the_advice_to_use_settings_that_exclude_none_gives_the_values_by_enumeration():
    model = KNeighborsClassifier(3).fit(X, Y)
    result = value(model, **DATA, metric="accuracy")

    def utility(kept):
        rows = np.isin(DATA["groups"], list(kept))
        if len(np.unique(Y[rows])) < 2:
            constant = Y[rows][0] if kept else 0
            return (constant == Y_TEST).mean()
        return KNeighborsClassifier(3).fit(X[rows], Y[rows]).score(X_TEST, Y_TEST)

    np.testing.assert_allclose(result.values, by_definition(utility, 5), atol=1e-12)
    assert not result.biased
    assert "excluded" not in repr(result)


@dataclasses.dataclass(frozen=True)
class Loses(Unlearner):
    """Retraining of a Gaussian model that fails for some coalitions."""

    name = "loses"
    takes = ValuationProblem(KNeighborsClassifier(1).fit(X, Y), **DATA).kind
    which: str = "player"

    def _unlearn(self, problem, coalitions, seed):
        models = []
        for coalition, rows in zip(coalitions, problem.retained(coalitions).numpy(), strict=True):
            fails = {
                "player": coalition[0] and not coalition[1] and not coalition[2],
                "always": coalition[0] and not coalition[1],
                "size": coalition.sum() == 3,
                "one": coalition.tolist() == [True, False, True, False, False],
            }[self.which]
            if fails:
                raise RuntimeError("lost")
            x, y = problem.x.numpy(), problem.y.numpy()
            enough = len(np.unique(y[rows])) == 2
            models.append(GaussianNB().fit(x[rows], y[rows]) if enough else problem.model)
        return ModelList(problem, models)


@pytest.mark.parametrize("which", ["player", "size", "one"])
def test_exclusions_are_said_whatever_they_depend_on(which):
    problem = ValuationProblem(GaussianNB().fit(X, Y), **DATA, metric="accuracy")
    result = shapley_values(UnlearningGame(problem, Loses(which), on_error="exclude"), "permutation", budget=2000)
    full = shapley_values(UnlearningGame(problem, Loses("one"), on_error="exclude"), "permutation", budget=2000)
    [note] = [one for one in result.notes if "excluded" in one]
    gone = {
        "player": "4 of 32 evaluated coalitions were excluded (1 of the 5 that keep 1 player, 2 of the 10 that keep 2 "
        "players, 1 of the 10 that keep 3 players)",
        "size": "10 of 32 evaluated coalitions were excluded (10 of the 10 that keep 3 players)",
        "one": "1 of 32 evaluated coalitions were excluded (1 of the 10 that keep 2 players)",
    }[which]
    assert note.startswith(gone)
    error = np.sqrt(np.square(result.std_errors).sum())
    assert result.biased == (abs(result.missing) > 2 * error + 1e-9)
    assert full.excluded == 1


def test_where_every_pair_is_touched_no_budget_helps_and_none_is_advised():
    problem = ValuationProblem(GaussianNB().fit(X, Y), **DATA, metric="accuracy")
    for budget in (100, 2000):
        game = UnlearningGame(problem, Loses("always"), on_error="exclude")
        with pytest.raises(BudgetError, match=r"player number 0 has 0 of \d+ pairs .* two are needed; use"):
            shapley_values(game, "permutation", budget)


def test_of_several_metrics_each_missing_sum_is_named():
    kept = np.array([[False, False], [True, False], [False, True], [True, True]])
    utilities = np.array([[0.0, 0.0], [np.nan, 1.0], [1.0, 1.0], [3.0, 2.0]])
    note = left_out(kept, utilities, np.array([0.25, -0.5]))
    assert "1 of 4 evaluated coalitions were excluded (1 of the 2 that keep 1 player)" in note
    assert "sum to 0.25 less, 0.5 more than v(all) - v(none)" in note
    assert "sum to v(all) - v(none) all the same" in left_out(kept, utilities, np.zeros(2))
    assert left_out(kept, np.zeros((4, 2)), np.zeros(2)) is None
    assert biased(np.array([0.0, 0.5]), np.full((2, 2), 0.1))
    assert not biased(np.array([0.0, 0.25]), np.full((2, 2), 0.1))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=8, max_size=8), st.integers(0, 3))
def test_without_exclusions_nothing_is_missing(utilities, seed):
    table = np.array(utilities)

    class Table:
        n_players = 3

        def __call__(self, coalitions):
            return table[coalitions @ [1, 2, 4]]

    for estimator in ("exact", "permutation"):
        result = shapley_values(Table(), estimator, budget=40, seed=seed)
        assert abs(result.missing) < 1e-9
        assert not result.biased


# The ends.


@dataclasses.dataclass(frozen=True)
class Lazy(Unlearner):
    """Moves the parameters by a share of the way to zero that grows with what is forgotten."""

    name = "lazy"
    share: float = 0.01

    def _unlearn(self, problem, coalitions, seed):
        forgotten = 1 - problem.retained(coalitions).double().mean(dim=1)
        theta = problem.engine.stack(len(coalitions))
        scale = {name: (1 - self.share * forgotten).reshape(-1, *[1] * (p.ndim - 1)) for name, p in theta.items()}
        return StackedModels(problem.engine, {name: (scale[name] * p).to(p.dtype) for name, p in theta.items()})


def alarms(result):
    return [note for note in result.notes if "v(none)" in note and "excluded" not in note]


def test_a_method_that_hardly_forgets_is_said_and_the_advice_helps():
    problem = ValuationProblem(LogisticRegression().fit(X, Y), **DATA)
    [note] = alarms(shapley_values(UnlearningGame(problem, Lazy(0.02)), "exact"))
    assert "is close to v(all)" in note
    assert "the unlearner hardly forgets" in note
    for helps in (Lazy(1.0), "newton", "retrain"):
        assert alarms(shapley_values(UnlearningGame(problem, helps), "exact")) == []
    assert alarms(shapley_values(UnlearningGame(problem, Lazy(0.0)), "exact"))[0].startswith("v(none) = ")


@pytest.mark.parametrize(
    "metric", ["accuracy", "log_likelihood", "roc_auc", {"hits": "accuracy", "ll": "log_likelihood"}]
)
def test_the_alarm_is_of_each_metric(metric):
    problem = ValuationProblem(LogisticRegression().fit(X, Y), **DATA, metric=metric)
    notes = alarms(shapley_values(UnlearningGame(problem, Lazy(0.0)), "exact"))
    names = list(metric) if isinstance(metric, dict) else [metric]
    assert len(notes) == len(names)
    for note, name in zip(notes, names, strict=True):
        assert "is no less than v(all) = " in note
        assert f"({name})" in note


def test_a_model_that_is_no_better_than_nothing_is_said_of_retraining_too():
    wrong = (X, 1 - Y)
    result = value(
        LogisticRegression().fit(*wrong), wrong, (X_TEST, Y_TEST), groups=DATA["groups"], unlearner="retrain"
    )
    [note] = alarms(result)
    assert "the given model is no better than one that has seen no data" in note
    assert "forgets" not in note


def test_a_background_or_rows_that_are_not_at_hand_explain_a_high_v_none():
    model = LogisticRegression().fit(X, Y)
    assert alarms(shapley_values(UnlearningGame(ValuationProblem(model, **DATA, valued=[0]), Lazy(0.0)))) == []
    partial = ValuationProblem(model, **DATA, access="partial", trained_rows=100)
    assert alarms(shapley_values(UnlearningGame(partial, Lazy(0.0)))) == []


def test_regression_on_labels_that_are_not_centred_is_said_and_centring_helps():
    beta = np.array([1.0, -0.5, 0.3, 0.0])
    y, y_test = X @ beta + 6, X_TEST @ beta + 6
    for model in (Ridge(), LinearRegression(), KNeighborsRegressorOf3()):
        fitted = model.fit(X, y)
        for metric in ("r2", "neg_mean_squared_error"):
            result = value(fitted, (X, y), (X_TEST, y_test), groups=DATA["groups"], metric=metric, unlearner="retrain")
            [note] = alarms(result)
            assert note.startswith(f"v(none) = {float(result.utility_none):.3g} ({metric}) is far below every other")
        fitted = model.fit(X, y - y.mean())
        centred = value(fitted, (X, y - y.mean()), (X_TEST, y_test - y.mean()), groups=DATA["groups"], metric="r2")
        assert alarms(centred) == []
        background = value(fitted, (X, y - y.mean()), (X_TEST, y_test - y.mean()), groups=DATA["groups"], valued=[1, 2])
        assert alarms(background) == []


def KNeighborsRegressorOf3():  # noqa: N802
    from sklearn.neighbors import KNeighborsRegressor

    return KNeighborsRegressor(3)


@settings(max_examples=200, deadline=None)
@given(*[st.floats(-5, 5)] * 3, st.booleans(), st.lists(st.floats(-5, 5), max_size=6))
def test_alarms_hold_what_they_say(everybody, nobody, uninformed, exact, others):
    note = hardly_forgets(everybody, nobody, uninformed, exact=exact, metric="m", helps=lambda: "audit the game")
    close = everybody - nobody < 0.1 * (everybody - uninformed)
    assert (note is not None) == (nobody >= everybody or (not exact and close))
    far = far_below(everybody, nobody, uninformed, np.array(others), "m", classes=False)
    if far is not None:
        assert nobody < min(others)
        assert nobody < uninformed


# Classes.


def one_class_each(k):
    cut = np.linspace(-1, 1, k + 1)[1:-1]
    y, y_test = (np.digitize(x[:, 0] + 0.3 * x[:, 1], cut) for x in (X, X_TEST))
    order = np.argsort(y, kind="stable")
    groups = np.array([f"only {one}" for one in y[order]])
    groups[::5] = "mixed"
    return {"train": (X[order], y[order]), "test": (X_TEST, y_test), "groups": groups}


def lacking(result):
    return [note for note in result.notes if "none of some class" in note]


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("unlearner", ["newton", "retrain"])
def test_coalitions_that_lack_a_class_are_counted(k, unlearner):
    data = one_class_each(k)
    model = LogisticRegression(max_iter=2000).fit(*data["train"])
    result = value(model, **data, unlearner=unlearner)
    without = 0
    for kept in itertools.product([False, True], repeat=k + 1):
        seen = set(
            data["train"][1][np.isin(data["groups"], [n for n, keep in zip(result.players, kept, strict=True) if keep])]
        )
        without += 0 < len(seen) < k
    [note] = lacking(result)
    assert note.startswith(f"{without} of {2 ** (k + 1)} evaluated coalitions have rows, but none of some class")
    assert lacking(value(model, **data, unlearner=unlearner, metric="accuracy")) == [], "the advice"


def test_where_no_probability_is_floored_or_every_group_has_every_class_nothing_is_said():
    data = one_class_each(2)
    torch.manual_seed(0)
    module = nn.Linear(4, 2).double()
    network = value(module, **data, unlearner="newton", fit=Recipe("lbfgs", l2=1.0, epochs=50, batch_size=None))
    assert lacking(network) == []
    mixed = {**data, "groups": np.arange(30) % 3}
    assert lacking(value(LogisticRegression().fit(*data["train"]), **mixed)) == []
    forest = value(GaussianNB().fit(*data["train"]), **data)
    assert len(lacking(forest)) == 1
    for name in ("neg_loss", "neg_log_loss", {"hits": "accuracy", "ll": "log_likelihood"}):
        assert len(lacking(value(LogisticRegression().fit(*data["train"]), **data, metric=name))) == 1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=9))
def test_what_lacks_a_class_has_rows_of_another(present):
    note = lacking_classes(np.array(present), "log_likelihood")
    count = sum(any(row) and not all(row) for row in present)
    assert (note is None) if count == 0 else note.startswith(f"{count} of {len(present)} evaluated")


# The test set.


def test_training_rows_as_test_rows_are_said():
    model = LogisticRegression().fit(X, Y)
    groups = DATA["groups"]
    for test, seen in (((X, Y), 30), ((X[:9], Y[:9]), 9), ((np.r_[X[:9], X_TEST[:3]], np.r_[Y[:9], Y_TEST[:3]]), 9)):
        result = value(model, (X, Y), test, groups=groups)
        [note] = [one for one in result.notes if "training rows too" in one]
        assert note.startswith(f"{seen} of {len(test[1])} test rows are training rows too")
    mixed = np.r_[X[:3], X_TEST[:9]], np.r_[Y[:3], Y_TEST[:9]]
    assert not [one for one in value(model, (X, Y), mixed, groups=groups).notes if "training rows too" in one]


def test_rows_that_are_not_at_hand_lack_no_class():
    model, one = LogisticRegression().fit(X, Y), Y == 1
    stored = compute_artifacts(ValuationProblem(model, (X, Y), (X_TEST, Y_TEST)))
    problem = ValuationProblem(
        model, (X[one], Y[one]), (X_TEST, Y_TEST), access="partial", artifacts=stored, groups=np.arange(one.sum()) % 2
    )
    result = shapley_values(UnlearningGame(problem, "newton"), "exact")
    assert not any("none of some class" in note for note in result.notes)


@pytest.mark.parametrize(
    ("values", "error", "freedom", "said"),
    [
        (np.linspace(0.9, 1.1, 12), 0.2, np.inf, None),  # far from zero
        (np.r_[1.0, np.zeros(12)], 1e-9, 10, None),  # zero up to round-off
        (np.linspace(-0.01, 0.01, 30), 0.01, 4, r"30 of 30 values .* about budget=\d+ would"),
        (np.linspace(-0.01, 0.01, 10), 0.01, 4, r"10 of 10 values .* budget=1024, all coalitions, would"),
        (np.zeros(30), 0.01, 4, r"30 of 30 values .* more than 1000 times as many"),
    ],
)
def test_values_that_are_not_told_from_zero_are_said_with_what_helps(values, error, freedom, said):
    n = len(values)
    found = undecided(values, np.full(n, error), np.full(n, float(freedom)), 100)
    if said is None:
        assert found is None
    else:
        assert re.search(said, found), found
        more = re.search(r"about budget=(\d+)", found)
        assert more is None or int(more[1]) > 100


def test_nobody_is_told_to_centre_classes():
    model = LinearSVC(dual=False).fit(X, Y)
    result = value(model, **{**DATA, "test": (X_TEST[Y_TEST == 1], Y_TEST[Y_TEST == 1])}, estimator="exact")
    [note] = [note for note in result.notes if "far below" in note]
    assert note.endswith("whoever brings it; keep some rows as background (valued=).")
    kept = value(model, **DATA, valued=[0, 1], estimator="exact")
    assert not any("far below" in note for note in kept.notes)
