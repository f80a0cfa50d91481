"""Columns of tables go by their names."""

# ruff: noqa: E501, RUF043
from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest
import torch
from bits import assert_same_bits
from brute import refitted
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tables import GROUPS, NAMES, XT, YT, X, Y, frame, values
from torch import nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem, value
from unshap_plugin.errors import InvalidValueError

OTHER = list("dbca")


def logistic():
    return LogisticRegression(tol=1e-10, max_iter=1000)


def test_values_are_those_of_brute_force_whatever_the_order():
    truth = refitted(logistic, (X, Y), (XT, YT), GROUPS)
    model = logistic().fit(frame(X), Y)
    for train, test in ((frame(X), frame(XT)[OTHER]), (frame(X)[OTHER], frame(XT))):
        np.testing.assert_allclose(values(model, train, Y, test, YT, unlearner="retrain"), truth, atol=1e-6)
        np.testing.assert_allclose(values(model, train, Y, test, YT), truth, atol=1e-3)  # five Newton steps


@functools.cache
def values_in_order(make):
    return values(make().fit(X, Y))


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [logistic, lambda: KNeighborsClassifier(3), lambda: make_pipeline(StandardScaler(), logistic())],
    ids=["linear", "neighbours", "pipeline"],
)
@settings(max_examples=8, deadline=None)
@given(orders=st.tuples(*[st.permutations(NAMES)] * 3), named=st.booleans())
def test_no_order_of_any_table_changes_a_value(make, orders, named):
    """Of the table that the model was fitted on, of the training table, and of the test table."""
    fitted, train, test = (list(order) for order in orders)
    # A model that was fitted on an array knows no names: those of the training table are what the test table is held to.
    model = make().fit(frame(X)[fitted], Y) if named else make().fit(frame(X)[train].to_numpy(), Y)
    np.testing.assert_allclose(values(model, frame(X)[train], Y, frame(XT)[test], YT), values_in_order(make), atol=1e-6)


def test_a_model_that_was_fitted_on_names_takes_arrays_by_position():
    model = logistic().fit(frame(X), Y)
    truth = values(logistic().fit(X, Y))
    np.testing.assert_allclose(values(model), truth, atol=1e-6)
    np.testing.assert_allclose(values(model, frame(X), Y, XT, YT), truth, atol=1e-6)
    np.testing.assert_allclose(values(model, X, Y, frame(XT)[OTHER], YT), truth, atol=1e-6)


def test_an_object_that_was_fitted_on_an_array_takes_tables_without_a_warning():
    model = KNeighborsClassifier(3).fit(X, Y)
    np.testing.assert_array_equal(values(model, frame(X), Y, frame(XT), YT), values(model))
    named = KNeighborsClassifier(3).fit(frame(X), Y)
    np.testing.assert_array_equal(values(named), values(model))


def test_names_may_be_numbers():
    model = logistic().fit(X, Y)
    flipped = pd.DataFrame(XT).iloc[:, ::-1]
    assert_same_bits(values(model, pd.DataFrame(X), Y, flipped, YT), values(model))


def test_a_reference_table_is_aligned_too():
    extra = np.random.default_rng(5).normal(size=(12, 4))

    def problem(reference):
        model = LogisticRegression().fit(frame(X), Y)
        sets = {"train": (frame(X), Y), "test": (frame(XT), YT), "reference": reference}
        return ValuationProblem(model, **sets, groups=GROUPS, access="partial", trained_rows=60)

    np.testing.assert_array_equal(
        problem(frame(extra)[OTHER]).reference[0].numpy(), problem(frame(extra)).reference[0].numpy()
    )
    with pytest.raises(InvalidValueError, match="but reference lacks the columns 'a'"):
        problem(frame(extra).drop(columns="a"))


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(2, 2).double(), nn.Linear(2, 2).double()

    def forward(self, left, right):
        return self.left(left) + 2 * self.right(right)


def test_the_tables_of_a_dict_are_aligned_one_by_one():
    torch.manual_seed(0)
    model = Two()

    def utility(test):
        train = {"left": frame(X[:, :2], ["a", "b"]), "right": frame(X[:, 2:], ["c", "d"])}
        return ValuationProblem(model, (train, Y), (test, YT), groups=GROUPS, fit=Recipe()).given_utility

    whole = frame(XT)
    straight = utility({"left": whole[["a", "b"]], "right": whole[["c", "d"]]})
    np.testing.assert_array_equal(utility({"left": whole[["b", "a"]], "right": whole[["d", "c"]]}), straight)
    with pytest.raises(InvalidValueError, match="test x lacks the columns 'c', 'd'"):
        utility({"left": whole[["a", "b"]], "right": whole[["a", "b"]]})


class Foreign:
    """A table of another library."""

    def __init__(self, table):
        self.table = table
        self.columns = list(table.columns)

    def __getitem__(self, name):
        return self.table[name].to_numpy()

    def __array__(self, dtype=None, copy=None):
        return self.table.to_numpy()


def test_tables_of_other_libraries_have_names_too():
    model = logistic().fit(X, Y)
    found = values(model, Foreign(frame(X)), Y, Foreign(frame(XT)[OTHER]), YT)
    assert_same_bits(found, values(model))


REFUSED = {
    "another name": (frame(XT, ["a", "b", "c", "dd"]), r"lacks the columns 'd' \(did you mean 'dd'\?\) and has the columns 'dd' beyond them"),
    "one too few": (frame(XT)[list("abc")], "test x lacks the columns 'd': add them"),
    "one too many": (frame(XT).assign(label=YT), "test x has the columns 'label' beyond them: drop them"),
    "one twice": (frame(XT, list("abcc")), "test x has the columns 'c' more than once: rename or drop them"),
    "no names": (pd.DataFrame(XT), "lacks the columns 'a', 'b', 'c', 'd' and has the columns 0, 1, 2, 3 beyond them"),
}  # fmt: skip


@pytest.mark.parametrize(("test", "message"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("make", [LogisticRegression, lambda: KNeighborsClassifier(3)], ids=["module", "object"])
def test_other_names_are_refused_by_name(make, test, message):
    model = make().fit(X, Y)
    with pytest.raises(InvalidValueError, match=message):
        values(model, frame(X), Y, test, YT)


def test_what_the_refusals_advise_helps():
    model = LogisticRegression().fit(frame(X), Y)
    truth = values(model)
    with pytest.raises(
        InvalidValueError, match="the model was fitted on the columns 'a', .*, but train x has the columns"
    ):
        values(model, frame(X).assign(label=Y), Y, frame(XT), YT)
    renamed = frame(XT, ["a", "b", "c", "dd"]).rename(columns={"dd": "d"})
    dropped = frame(XT).assign(label=YT).drop(columns="label")
    for test in (renamed, dropped, pd.DataFrame(XT).to_numpy()):
        np.testing.assert_allclose(values(model, frame(X), Y, test, YT), truth, atol=1e-12)
    with pytest.raises(InvalidValueError, match="train x has the columns 'c' more than once"):
        values(LogisticRegression().fit(X, Y), frame(X, list("abcc")), Y)


def test_a_table_of_one_column_and_indices_that_repeat():
    y, yt = X[:, 1] + 1, XT[:, 1]
    model = Ridge().fit(X[:, :1], y)
    truth = values(model, X[:, :1], y, XT[:, :1], yt)
    table = pd.DataFrame({"a": X[:, 0]}, index=[7] * 30)
    shuffled = pd.Series(y, index=np.arange(30)[::-1])
    np.testing.assert_array_equal(values(model, table, shuffled, XT[:, :1], yt), truth)
    result = value(
        KNeighborsClassifier(3).fit(X, Y),
        (frame(X).set_index(np.zeros(30)), pd.Series(Y, index=[1] * 30)),
        (frame(XT), YT),
        groups=pd.Series(GROUPS, index=[1] * 30),
        estimator="exact",
    )
    np.testing.assert_array_equal(result.values, values(KNeighborsClassifier(3).fit(X, Y)))


def test_a_game_over_tables_is_one_function_of_the_coalition():
    problem = ValuationProblem(
        KNeighborsClassifier(3).fit(frame(X), Y), (frame(X), Y), (frame(XT)[OTHER], YT), groups=GROUPS
    )
    matrix = np.random.default_rng(0).random((6, 5)) < 0.5
    np.testing.assert_array_equal(
        UnlearningGame(problem, chunk=1)(matrix[::-1]), UnlearningGame(problem, chunk=4)(matrix)[::-1]
    )
