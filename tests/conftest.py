"""Fixtures of all tests."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from problems import early_stopped
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler
from torch import nn

from unshap_plugin import Recipe, ValuationProblem
from unshap_plugin.estimators.stopping import Stopping
from unshap_plugin.evaluation.evaluation import Evaluation
from unshap_plugin.losses import cross_entropy

pytest.register_assert_rewrite("adapter_checks")

# Frameworks, clusters and language models are extras: their tests are no tests where these are not installed.
collect_ignore = [
    test
    for test, package in (
        ("adapters/test_cleanlab.py", "cleanlab"),
        ("adapters/test_dattri.py", "dattri"),
        ("adapters/test_pydvl.py", "pydvl"),
        ("adapters/test_shapiq.py", "shapiq"),
        ("advice_of/test_cleanlab.py", "cleanlab"),
        ("advice_of/test_dattri.py", "dattri"),
        ("advice_of/test_pydvl.py", "pydvl"),
        ("advice_of/test_shapiq.py", "shapiq"),
        ("benchmarks/test_dattri.py", "dattri"),
        ("benchmarks/test_frameworks.py", "pydvl"),
        ("benchmarks/test_frameworks.py", "dattri"),
        ("evaluation/test_dask.py", "distributed"),
        ("evaluation/test_ray.py", "ray"),
        ("adapters/test_tokenizers.py", "peft"),  # OpenDataVal brings transformers too, but an older one
        ("adapters/transformers", "peft"),
        ("advice_of/test_transformers_models.py", "peft"),
    )
    if importlib.util.find_spec(package) is None
]


@pytest.fixture
def problem():
    return early_stopped()


@pytest.fixture(scope="session")
def five_providers():
    """Five providers with unequal numbers of digits and unequal label noise, and a converged logistic model."""
    x, y = load_digits(return_X_y=True)
    keep = y < 3
    x, y = StandardScaler().fit_transform(x[keep])[:, 10:30], y[keep].copy()
    rng = np.random.default_rng(0)
    provider = rng.choice(list("abcde"), 80, p=[0.1, 0.15, 0.2, 0.25, 0.3])
    wrong = (rng.random(80) < 0.5) & np.isin(provider, ["b", "e"])
    labels = np.where(wrong, (y[:80] + 1) % 3, y[:80])
    start = nn.Linear(20, 3).double()
    nn.init.zeros_(start.weight)
    nn.init.zeros_(start.bias)
    recipe = Recipe("lbfgs", lr=1.0, epochs=200, batch_size=None, l2={"weight": 1.0}, init=start)
    model = recipe.train(start, cross_entropy, torch.as_tensor(x[:80]), torch.as_tensor(labels))
    return ValuationProblem(
        model, (x[:80], labels), (x[80:], y[80:]), metric="log_likelihood", groups=provider, fit=recipe
    )


@pytest.fixture
def counted(monkeypatch):
    """How many coalitions each pass took."""
    passes, plain = [], Evaluation.utilities

    def counting(self, coalitions):
        passes.append(len(coalitions))
        return plain(self, coalitions)

    monkeypatch.setattr(Evaluation, "utilities", counting)
    return passes


@pytest.fixture(autouse=True)
def _no_minute(monkeypatch):
    """Keep commands from going on for a minute by default, and tests from depending on the clock."""
    monkeypatch.setattr("unshap_plugin.cli.value.DEFAULT", Stopping())
