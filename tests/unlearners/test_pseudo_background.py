"""``pseudo_background`` of a linear model: the minimum of its loss, which goes smoothly to the given model."""

from __future__ import annotations

import numpy as np
import pytest
from problems import breast_cancer
from sklearn.linear_model import LogisticRegression, Ridge

from unshap_plugin import UnlearningGame, ValuationProblem

(X, Y), (REST, Y_REST) = breast_cancer(200, 369)
X_TEST, Y_TEST, SPARE = REST[:150], Y_REST[:150], REST[150:]
OWN = 60
#: Everybody, and everybody but one.
ALL_BUT_ONE = np.vstack([np.ones((1, OWN), dtype=bool), ~np.eye(OWN, dtype=bool)])


@pytest.mark.parametrize("model", [LogisticRegression(), Ridge()], ids=lambda model: type(model).__name__)
def test_what_a_row_adds_to_all_others_is_what_retraining_says(model):
    # Reference rows have the given model's answers for labels, at which they do not pull: without a correction the
    # given parameters would be no optimum, and leaving out any row at all would make a jump of the same size.
    model.fit(X, Y)
    partial = ValuationProblem(
        model, (X[:OWN], Y[:OWN]), (X_TEST, Y_TEST), access="partial", trained_rows=200, reference=SPARE
    )
    owner = np.append(np.arange(OWN), np.full(200 - OWN, -1))
    full = ValuationProblem(model, (X, Y), (X_TEST, Y_TEST), groups=owner, valued=list(range(OWN)))
    ours, true = (
        utilities[0] - utilities[1:]
        for utilities in (
            UnlearningGame(partial, "pseudo_background")(ALL_BUT_ONE),
            UnlearningGame(full, "retrain")(ALL_BUT_ONE),
        )
    )
    assert np.corrcoef(ours, true)[0, 1] > 0.95
    assert np.sqrt(np.mean((ours - true) ** 2)) < 0.4 * true.std()
