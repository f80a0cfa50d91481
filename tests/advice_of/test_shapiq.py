"""What errors of the adapter for shapiq advise, followed to the letter."""

from __future__ import annotations

import numpy as np
import pytest
from adapter_checks import data
from advice import Case, check, without_a_case
from sklearn.linear_model import LogisticRegression
from unshap_shapiq import UnlearningShapiqGame, pairs

from unshap_plugin import UnlearningGame, ValuationProblem

FOLDERS = ["adapters/unshap_shapiq"]
TWO = {"ll": "log_likelihood", "hits": "accuracy"}


def problem(**kwargs):
    given = data()
    model = LogisticRegression().fit(given.x, given.y)
    return ValuationProblem(model, (given.x, given.y), (given.x_test, given.y_test), groups=given.groups, **kwargs)


def plausible(game):
    """Its values sum to what everybody is worth."""
    values = game.exact_values("SV", 1)
    found = [values[(player,)] for player in range(5)]
    np.testing.assert_allclose(sum(found), game(np.ones((1, 5)))[0], atol=1e-9)


def interactions(order):
    return UnlearningShapiqGame(problem()).exact_values("k-SII" if order > 1 else "SV", order)


CASES = [
    Case(
        "settings beside a game",
        lambda: UnlearningShapiqGame(UnlearningGame(problem()), seed=1),
        "give these to that one",
        (lambda: plausible(UnlearningShapiqGame(UnlearningGame(problem(), seed=1))),),
    ),
    Case(
        "a game that excludes",
        lambda: UnlearningShapiqGame(UnlearningGame(problem(), on_error="exclude")),
        "make it with on_error='raise'",
        (lambda: plausible(UnlearningShapiqGame(UnlearningGame(problem(), on_error="raise"))),),
    ),
    Case(
        "several metrics",
        lambda: UnlearningShapiqGame(problem(metric=TWO)),
        "name one as part, or make the problem with one metric",
        (
            lambda: plausible(UnlearningShapiqGame(problem(metric=TWO), part="hits")),
            lambda: plausible(UnlearningShapiqGame(problem(metric="accuracy"))),
        ),
    ),
    Case(
        "pairs of values of single players",
        lambda: pairs(interactions(1), "abcde"),
        "compute them with max_order=2",
        (lambda: pairs(interactions(2), "abcde")["together"].value_counts(),),
    ),
    Case(
        "pairs of other players",
        lambda: pairs(interactions(2), "ab"),
        "pass those of the game",
        (lambda: pairs(interactions(2), UnlearningShapiqGame(problem()).players)["together"].value_counts(),),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_an_error_advises_helps(case):
    check(case)


def test_all_that_is_advised_is_followed():
    assert without_a_case(FOLDERS, CASES) == []
