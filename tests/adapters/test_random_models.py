"""Models that draw from the global generators, as the one of the dry run in OpenDataVal's own tests does."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

pytest.importorskip("opendataval", reason="OpenDataVal is not installed")

from opendataval.dataloader import DataFetcher
from opendataval.metrics import Metrics
from opendataval.model.api import Model
from unshap_opendataval import UnlearningShapley

from unshap_plugin import UnlearningGame
from unshap_plugin.model.generators import moved, states


class Drawing(Model):
    """Every fit and every prediction is another one."""

    def fit(self, x, y, **kwargs):
        self.scale = torch.as_tensor(np.random.rand(y.shape[1]) * random.random()) * torch.rand(1)
        return self

    def predict(self, x):
        noise = torch.as_tensor(np.random.rand(len(x), len(self.scale))) + random.random()
        return (self.scale * torch.rand(len(x), len(self.scale)) + noise).float()


def values(seed, **kwargs):
    fetcher = DataFetcher("iris", random_state=10).split_dataset_by_count(16, 16, 2)
    evaluator = UnlearningShapley("retrain", random_state=seed, **kwargs)
    return evaluator.train(fetcher, Drawing(), Metrics.ACCURACY).data_values


@pytest.mark.parametrize("utility", ["log_likelihood", "metric"])
def test_a_model_that_draws_is_retrained_the_same_way_by_the_same_seed(utility):
    first = values(0, utility=utility, budget=300)
    random.random(), np.random.rand(), torch.rand(1)  # where the global generators stand does not matter
    np.testing.assert_array_equal(first, values(0, utility=utility, budget=300))
    assert not np.array_equal(first, values(1, utility=utility, budget=300))
    assert np.isfinite(first).all()
    assert len(np.unique(first)) > 8


class DrawingAnswers(Drawing):
    """Every prediction is another one, of one and the same fit."""

    def fit(self, x, y, **kwargs):
        self.scale = torch.ones(y.shape[1])
        return self


def test_coalitions_whose_fits_agree_have_answers_of_their_own():
    fetcher = DataFetcher("iris", random_state=10).split_dataset_by_count(16, 16, 2)
    evaluator = UnlearningShapley("retrain", random_state=0, utility="log_likelihood", budget=300)
    problem = evaluator.train(fetcher, DrawingAnswers(), Metrics.ACCURACY)._problem({})
    asked = np.array([np.arange(16) < 15, np.arange(16) > 0])
    first, second = UnlearningGame(problem, "retrain")(asked)
    assert first != second
    np.testing.assert_array_equal(UnlearningGame(problem, "retrain")(asked[::-1]), [second, first])


def test_the_global_generators_are_left_as_they_were():
    DataFetcher("iris", random_state=10)
    before = states()
    values(0, budget=100)
    assert moved(before) is None
    np.random.rand()
    assert moved(before) == "numpy"  # so this would have been seen
