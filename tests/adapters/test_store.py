"""Evaluators that share a store: what one evaluated, the others read."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("opendataval", reason="OpenDataVal is not installed")

import torch
from opendataval.dataloader import DataFetcher
from opendataval.model import ClassifierSkLearnWrapper, LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from unshap_opendataval import UnlearningBanzhaf, UnlearningBetaShapley, UnlearningLOO, UnlearningShapley

# OpenDataVal pins memory whether or not there is a GPU.
pytestmark = pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true:UserWarning")
MODELS = {
    "LogisticRegression": (lambda: LogisticRegression(4, 3), {"epochs": 3}),
    "DecisionTree": (lambda: ClassifierSkLearnWrapper(DecisionTreeClassifier, 3, random_state=0), {}),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("utility", ["log_likelihood", "metric"])
def test_what_one_evaluator_stored_the_others_do_not_evaluate(model, utility, tmp_path, counted):
    make, training = MODELS[model]
    data = DataFetcher("iris", random_state=0).split_dataset_by_count(6, 30, 30)

    def values(kind, store, random_state=0):
        torch.manual_seed(0)  # the model draws its first parameters
        evaluator = kind(utility=utility, random_state=random_state, store=store)
        return evaluator.train(data, make(), **training).data_values

    alone = [
        values(kind, None) for kind in (UnlearningShapley, UnlearningBanzhaf, UnlearningBetaShapley, UnlearningLOO)
    ]
    counted.clear()
    path = tmp_path / "values.db"
    np.testing.assert_array_equal(values(UnlearningShapley, path), alone[0])
    assert sum(counted) == 2**6 - 1
    counted.clear()
    for kind, expected in zip((UnlearningBanzhaf, UnlearningBetaShapley, UnlearningLOO), alone[1:], strict=True):
        np.testing.assert_array_equal(values(kind, path), expected)
    assert not counted
    values(UnlearningLOO, path, random_state=1)
    assert sum(counted) == 6, "another random state is another game"
