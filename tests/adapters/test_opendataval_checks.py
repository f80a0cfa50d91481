"""The adapter checks of ``unshap_opendataval``."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from adapter_checks import AdapterChecks

pytest.importorskip("opendataval", reason="OpenDataVal is not installed")

from opendataval.dataloader import DataFetcher
from opendataval.dataval import KNNShapley
from opendataval.experiment import ExperimentMediator
from opendataval.experiment.exper_methods import save_dataval
from opendataval.model import LogisticRegression
from unshap_opendataval import UnlearningShapley

from unshap_plugin import shapley_values
from unshap_plugin.errors import InvalidTypeError, InvalidValueError

# OpenDataVal pins memory whether or not there is a GPU.
pytestmark = pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true:UserWarning")
RECIPE = {"epochs": 5, "batch_size": 8, "lr": 0.05}


def fetcher(data):
    one_hot = [np.eye(2, dtype=np.float32)[y] for y in (data.y, data.y_test)]
    x, x_test = data.x.astype(np.float32), data.x_test.astype(np.float32)
    test = x_test, one_hot[1]
    return DataFetcher.from_data_splits(x, one_hot[0], *test, *test, one_hot=True, random_state=0)


def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LogisticRegression(6, 2)


class TestOpenDataVal(AdapterChecks):
    framework = "opendataval"

    def ask(self, data, adapter=None, *, seed=0, **settings):
        if adapter is None:
            adapter = UnlearningShapley(groups=data.groups, random_state=seed, **settings)
        adapter.train(fetcher(data), model(), **RECIPE)
        assert adapter.data_values.shape == (40,)
        return adapter, adapter.result.values

    def expected(self, data, *, seed=0, **settings):
        adapter, _ = self.ask(data, seed=seed, **settings)
        game = adapter._game(adapter._problem(RECIPE))
        return shapley_values(game, "auto", settings.get("budget"), adapter.seed).values

    def pipeline(self, data):
        mediator = ExperimentMediator(fetcher(data), model(), RECIPE, raises_error=True)
        ours = UnlearningShapley(groups=data.groups, random_state=0)
        mediator.compute_data_values([ours, KNNShapley(5)])
        saved = mediator.evaluate(save_dataval).loc[repr(ours)]
        np.testing.assert_array_equal(saved["data_values"].to_numpy(dtype=float), ours.data_values)

    def mistakes(self, data):
        yield lambda: UnlearningShapley().evaluate_data_values(), InvalidValueError, "there are no values yet"
        yield lambda: UnlearningShapley().train(fetcher(data), model(), None, 4), InvalidTypeError, "by name"
