"""``value``, and what it says to a user who mistypes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge

from unshap_plugin import UnlearningGame, ValuationProblem, audit, shapley_values, value
from unshap_plugin.errors import InvalidTypeError, InvalidValueError, UnknownNameError

RNG = np.random.default_rng(0)
X, X_TEST = RNG.normal(size=(20, 3)), RNG.normal(size=(10, 3))
Y, Y_TEST = X.sum(axis=1) + RNG.normal(size=20), X_TEST.sum(axis=1)
DATA = {"train": (X, Y), "test": (X_TEST, Y_TEST)}
GROUPS = list("abcde") * 4


def test_it_is_the_problem_the_game_and_the_values_in_one_call():
    model = Ridge().fit(X, Y)
    ours = value(model, **DATA, groups=GROUPS, valued=["a", "b"], metric="r2", unlearner="newton", seed=3)
    problem = ValuationProblem(model, **DATA, groups=GROUPS, valued=["a", "b"], metric="r2")
    theirs = shapley_values(UnlearningGame(problem, "newton", seed=3), seed=3)
    assert np.array_equal(ours.values, theirs.values)
    assert (ours.players, ours.metric, ours.unlearner, ours.seed, ours.game_seed) == (("a", "b"), "r2", "newton", 3, 3)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"grups": GROUPS}, r"value has no argument 'grups' \(did you mean 'groups'\?\)"),
        ({"unlerner": "newton"}, r"value has no argument 'unlerner' \(did you mean 'unlearner'\?\)"),
        (
            {"unlearner": "newton", "steps": 2},
            r"UnlearningGame\(.*, steps=\.\.\.\), which shapley_values takes, has it",
        ),
    ],
)
def test_a_name_that_it_does_not_know_is_refused(kwargs, message):
    with pytest.raises(InvalidTypeError, match=message):
        value(Ridge().fit(X, Y), **DATA, **kwargs)


def test_what_is_shown_is_short_and_an_unknown_player_does_not_list_all():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(40, 3))
    y = x.sum(axis=1) + rng.normal(size=40)
    result = value(Ridge().fit(x, y), (x, y), DATA["test"])
    assert repr(result).startswith("ValuationResult(40 players; ")
    assert len(repr(result)) < 200
    with pytest.raises(UnknownNameError, match=r"unknown player 40; expected one of: 0, 1, .*, \.\.\.\."):
        result[40]


def test_one_player_is_said_in_the_singular():
    alone = value(
        Ridge().fit(X, Y), **DATA, groups=["acme", "bolt"] * (len(Y) // 2) + ["acme"] * (len(Y) % 2), valued=["acme"]
    )
    assert repr(alone).startswith("ValuationResult(1 player; acme: ")


def test_a_report_shows_its_verdict():
    problem = ValuationProblem(Ridge().fit(X, Y), **DATA, groups=GROUPS)
    report = audit(UnlearningGame(problem, "newton"))
    assert repr(report) == f"FidelityReport(5 players, 32 coalitions; {report.verdict})"


def test_tables_have_the_columns_that_the_model_was_fitted_on():
    x, x_test = (pd.DataFrame(rows, columns=["a", "b", "c"]) for rows in (X, X_TEST))
    forest = RandomForestRegressor(3, random_state=0).fit(x, Y)  # which warns of rows without names
    result = value(forest, (x, Y), (x_test, Y_TEST), groups=GROUPS)
    assert np.array_equal(result.values, value(forest, **DATA, groups=GROUPS).values)
    for model in (forest, Ridge().fit(x, Y)):
        straight = value(model, (x, Y), (x_test, Y_TEST), groups=GROUPS)
        turned = value(model, (x[["c", "b", "a"]], Y), (x_test[["b", "a", "c"]], Y_TEST), groups=GROUPS)
        assert np.array_equal(turned.values, straight.values)
        with pytest.raises(InvalidValueError, match="fitted on the columns 'a', 'b', 'c', but train x lacks"):
            value(model, (x[["c", "b"]], Y), (x_test, Y_TEST), groups=GROUPS)
