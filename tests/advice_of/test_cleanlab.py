"""What errors of the adapter for cleanlab advise, followed to the letter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import unshap_cleanlab  # noqa: F401 (registers the type of issue)
from advice import Case, check, without_a_case
from cleanlab import Datalab
from problems import breast_cancer
from sklearn.linear_model import LogisticRegression
from torch import nn

FOLDERS = ["adapters/unshap_cleanlab"]

(X, Y), (XT, YT) = breast_cancer(12, 10)
NAMES = np.array(["benign", "malignant"])
TWO = {"ll": "log_likelihood", "hits": "accuracy"}
with torch.random.fork_rng():
    torch.manual_seed(0)
    MODULE = nn.Linear(6, 2).double()


def found(lab=None, **asked):
    lab = Datalab({"y": Y}, label_name="y", verbosity=0) if lab is None else lab
    given = {"model": LogisticRegression().fit(X, Y), "features": X, "test": (XT, YT), "budget": 100, **asked}
    lab.find_issues(issue_types={"negative_value": {name: one for name, one in given.items() if one is not None}})
    return lab.get_info("negative_value")


def plausible(info):
    """The values sum to what all rows are worth."""
    result = info["result"]
    np.testing.assert_allclose(info["values"].sum(), result.utility_all - result.utility_none)


def named(kept=slice(None)):
    lab = Datalab({"y": NAMES[Y]}, label_name="y", verbosity=0)
    labels = np.where(np.arange(10) == 3, "unclear", NAMES[YT])
    return found(lab, model=MODULE, unlearner="influence", test=(XT[kept], labels[kept]))


def regression(labels):
    lab, line = Datalab({"y": labels}, "regression", "y", verbosity=0), nn.Linear(6, 1).double()
    return found(lab, model=line, loss="mse", unlearner="influence", test=(XT, YT + 0.5))


CASES = [
    Case(
        "what is missing",
        lambda: found(model=None, test=None),
        "pass issue_types={'negative_value': {'model': ..., 'features': ..., 'test': (x, y)}}",
        (lambda: plausible(found()),),
    ),
    Case(
        "several metrics",
        lambda: found(metric=TWO),
        "name a metric that is one number",
        (lambda: plausible(found(metric="accuracy")),),
    ),
    Case(
        "no labels",
        lambda: found(Datalab({"y": Y}, verbosity=0)),
        "make it with label_name=, the column of them",
        (lambda: plausible(found(Datalab({"y": Y}, label_name="y", verbosity=0))),),
    ),
    Case(
        "names of numbers",
        lambda: regression([f"{one}.5" for one in Y]),
        "but its task is regression: pass numbers",
        (lambda: plausible(regression([one + 0.5 for one in Y])),),
    ),
    Case(
        "a label that the data set lacks",
        named,
        "drop those test rows",
        (lambda: plausible(named(np.arange(10) != 3)),),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_an_error_advises_helps(case):
    check(case)


def test_all_that_is_advised_is_followed():
    assert without_a_case(FOLDERS, CASES) == []
