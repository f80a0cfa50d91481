"""What errors of the adapter for pyDVL advise, followed to the letter."""

from __future__ import annotations

import numpy as np
import pytest
from adapter_checks import data
from advice import Case, check, without_a_case
from pydvl.valuation import Dataset, GroupedDataset, LOOValuation, MaxTime, SupervisedScorer
from pydvl.valuation.types import Sample
from sklearn.linear_model import LogisticRegression
from unshap_pydvl import UnlearningUtility, UnlearningValuation

FOLDERS = ["adapters/unshap_pydvl"]
DATA = data()
TEST, ROWS = Dataset(DATA.x_test, DATA.y_test), Dataset(DATA.x[:6], DATA.y[:6])
SCORER = SupervisedScorer("accuracy", TEST, default=0.0)
GROUPS = np.arange(40) % 2


def utility(test=TEST, **kwargs):
    return UnlearningUtility(LogisticRegression(), test, "newton", **kwargs)


def grouped(names=("a", "b")):
    return GroupedDataset(DATA.x, DATA.y, GROUPS, group_names=names)


def fit(train=None, continue_from=None, made=None, seed=0, **kwargs):
    valuation = UnlearningValuation(utility() if made is None else made, seed=seed, **kwargs)
    return valuation.fit(ROWS if train is None else train, continue_from)


def plausible(valuation):
    """Its values sum to what everybody adds."""
    details = valuation.details
    np.testing.assert_allclose(valuation.result.values.sum(), details.utility_all - details.utility_none, atol=1e-9)


CASES = [
    Case(
        "arrays",
        lambda: fit((DATA.x, DATA.y)),
        "make one, as Dataset(x, y)",
        (lambda: plausible(fit(Dataset(DATA.x[:6], DATA.y[:6]))),),
    ),
    Case(
        "two groups of one name",
        lambda: fit(grouped(("a", "a"))),
        "rename one",
        (lambda: plausible(fit(grouped(("a", "b")))),),
    ),
    Case(
        "groups beside the data",
        lambda: utility(groups=GROUPS),
        "pass a GroupedDataset to fit",
        (lambda: plausible(fit(grouped())),),
    ),
    Case(
        "a metric beside a scorer",
        lambda: utility(SCORER, metric="accuracy"),
        "leave it out, or pass test data",
        (
            lambda: plausible(fit(made=utility(SCORER))),
            lambda: plausible(fit(made=utility(TEST, metric="accuracy"))),
        ),
    ),
    Case(
        "two metrics",
        lambda: fit(made=utility(metric={"ll": "log_likelihood", "hits": "accuracy"})),
        "give one metric",
        (lambda: plausible(fit(made=utility(metric="accuracy"))),),
    ),
    Case(
        "no data yet",
        lambda: utility()(None),
        "call with_dataset, or fit a valuation with it",
        (lambda: utility().with_dataset(ROWS)(None), lambda: plausible(fit())),
    ),
    Case(
        "an index of other data",
        lambda: utility().with_dataset(ROWS)(Sample(None, np.array([30]))),
        "use those of with_dataset's data",
        (lambda: utility().with_dataset(ROWS)(Sample(None, ROWS.indices)),),
    ),
    Case(
        "an unlearner for a utility",
        lambda: UnlearningValuation("newton"),
        "make one of a model and test data",
        (lambda: plausible(fit(made=UnlearningUtility(LogisticRegression(), TEST))),),
    ),
    Case(
        "seconds for a criterion",
        lambda: fit(is_done=60),
        "pass one, such as MaxTime(60)",
        (lambda: plausible(fit(is_done=MaxTime(60))),),
    ),
    Case(
        "a result of another method",
        lambda: fit(continue_from=LOOValuation(utility()).fit(ROWS).result),
        "pass one of UnlearningValuation",
        (lambda: plausible(fit(continue_from=fit().result)),),
    ),
    Case(
        "a result of another seed",
        lambda: fit(continue_from=fit(seed=1).result),
        "pass a result of the same one",
        (lambda: plausible(fit(continue_from=fit(seed=1).result, seed=1)),),
    ),
    Case(
        "a result of other data",
        lambda: fit(continue_from=fit(grouped()).result),
        "pass one of the same indices and names, or leave it out",
        (lambda: plausible(fit(continue_from=fit(ROWS).result)), lambda: plausible(fit())),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_an_error_advises_helps(case):
    check(case)


def test_all_that_is_advised_is_followed():
    assert without_a_case(FOLDERS, CASES) == []
