"""``pseudo_background`` of a linear model: the minimum of its loss, which goes smoothly to the given model."""

from __future__ import annotations

import numpy as np
import pytest
from problems import breast_cancer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from torch import nn

from unshap_plugin import UnlearningGame, ValuationProblem, compute_artifacts
from unshap_plugin.errors import InvalidTypeError, InvalidValueError
from unshap_plugin.unlearners import PseudoBackground

(X, Y), (REST, Y_REST) = breast_cancer(200, 369)
X_TEST, Y_TEST, SPARE = REST[:150], Y_REST[:150], REST[150:]
OWN = 60


def partial(model=None, **others):
    model = LogisticRegression().fit(X, Y) if model is None else model
    given = {"access": "partial", "trained_rows": 200, "reference": SPARE, **others}
    return ValuationProblem(model, (X[:OWN], Y[:OWN]), (X_TEST, Y_TEST), **given)


#: Everybody, and everybody but one.
ALL_BUT_ONE = np.vstack([np.ones((1, OWN), dtype=bool), ~np.eye(OWN, dtype=bool)])


@pytest.mark.parametrize("model", [LogisticRegression(), Ridge()], ids=lambda model: type(model).__name__)
def test_what_a_row_adds_to_all_others_is_what_retraining_says(model):
    # Reference rows have the given model's answers for labels, at which they do not pull: without a correction the
    # given parameters would be no optimum, and leaving out any row at all would make a jump of the same size.
    model.fit(X, Y)
    owner = np.append(np.arange(OWN), np.full(200 - OWN, -1))
    full = ValuationProblem(model, (X, Y), (X_TEST, Y_TEST), groups=owner, valued=list(range(OWN)))
    ours, true = (
        utilities[0] - utilities[1:]
        for utilities in (
            UnlearningGame(partial(model), "pseudo_background")(ALL_BUT_ONE),
            UnlearningGame(full, "retrain")(ALL_BUT_ONE),
        )
    )
    assert np.corrcoef(ours, true)[0, 1] > 0.9
    assert np.sqrt(np.mean((ours - true) ** 2)) < 0.5 * true.std()


def test_where_the_number_of_rows_is_not_known_a_note_says_so_and_nothing_is_promised():
    told, untold = partial(), partial(trained_rows=None)
    assert not any("trained_rows" in note for note in told.notes)
    assert any("the 60 at hand were taken for all of them" in note for note in untold.notes)
    assert "correlated with those of retraining" in UnlearningGame(told).reason
    assert "correlated" not in UnlearningGame(untold).reason
    assert "correlated" not in UnlearningGame(partial(metric="accuracy")).reason


def test_memory_counts_the_reference_rows():
    few, many = (partial(reference=SPARE[:rows]) for rows in (20, 200))
    method = PseudoBackground()
    assert method.bytes_per_coalition(many) > 2 * method.bytes_per_coalition(few)
    network = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2)).double()
    few, many = (partial(network, reference=SPARE[:rows]) for rows in (20, 200))
    assert method.bytes_per_coalition(many) > 1.5 * method.bytes_per_coalition(few)
    assert PseudoBackground(batch_size=4).bytes_per_coalition(many) < method.bytes_per_coalition(few)
    alone = partial(network, trained_rows=OWN)
    assert method.bytes_per_coalition(alone) < method.bytes_per_coalition(few)


def test_artefacts_know_how_many_rows_there_were():
    model = SGDClassifier(loss="log_loss", alpha=0.01, random_state=0).fit(X, Y)
    artifacts = compute_artifacts(ValuationProblem(model, (X, Y), (X_TEST, Y_TEST)))
    assert partial(model, trained_rows=None, artifacts=artifacts).trained_rows == 200
    with pytest.raises(InvalidTypeError, match="trained_rows is 'a'"):
        partial(model, trained_rows="a")


@pytest.mark.parametrize(("rows", "shape"), [(SPARE[0], "\\[\\]"), (SPARE[:12].reshape(2, 6, 6), "\\[6, 6\\]")])
def test_reference_rows_of_another_shape_are_refused(rows, shape):
    with pytest.raises(InvalidValueError, match=f"reference rows have shape {shape}, but train rows have"):
        partial(reference=rows)
