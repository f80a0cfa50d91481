"""Every unlearner on every device and in every precision, and no tensor on a device that nobody asked for."""

from __future__ import annotations

import sys
import warnings
from importlib.metadata import version

import numpy as np
import pytest
import torch
from packaging.version import Version
from problems import DEVICES, UNLEARNERS, breast_cancer, coalitions
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem, compute_artifacts
from unshap_plugin.losses import cross_entropy, mse
from unshap_plugin.plugins.registry import resolve_unlearner
from unshap_plugin.unlearners.base import Unlearner
from unshap_plugin.unlearners.models import StackedModels

(X, Y), (XT, YT) = breast_cancer()
REFERENCE = breast_cancer(seed=5)[1][0][:20] + 0.01
GROUPS = np.array(list("abcdefgh") * 5)
MATRIX = np.vstack([np.ones((1, 8), dtype=bool), np.zeros((1, 8), dtype=bool), coalitions(3, 8)])
CASES = [("linear", name) for name in [*UNLEARNERS, "linear_exact"]] + [("network", name) for name in UNLEARNERS]


class Elsewhere(TorchFunctionMode):
    """A default device that holds no numbers, for what this package makes: torch's own code keeps the usual one."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        caller = sys._getframe(1).f_globals["__name__"]
        if func in _device_constructors() and kwargs.get("device") is None and not caller.startswith("torch."):
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def spread(outputs, targets):
    return float(outputs.std())


def make(kind, name, device="cpu", dtype=torch.float64):
    torch.manual_seed(0)
    regression = name == "linear_exact"
    start = nn.Linear(6, 1 if regression else 2)
    if kind == "network":
        start = nn.Sequential(nn.Linear(6, 32), nn.Tanh(), nn.Dropout(0.1), nn.Linear(32, 2))
    start = start.to(device=device, dtype=dtype)
    x = torch.as_tensor(X, dtype=dtype, device=device)
    keywords = dict(groups=GROUPS, reference=REFERENCE)
    if regression:
        y = torch.as_tensor(X[:, :1] * 2 + Y[:, None], dtype=dtype, device=device)
        recipe = Recipe("lbfgs", lr=1.0, epochs=200, batch_size=None, l2=1.0, init=start)
        model, loss, metric = recipe.train(start, mse, x, y), "mse", {"r2": "r2", "spread": spread}
        return ValuationProblem(model, (X, y), (XT, XT[:, :1]), loss=loss, metric=metric, fit=recipe, **keywords)
    recipe = Recipe("adam", lr=0.05, epochs=3, batch_size=10, l2=0.1, init=start)
    model = recipe.train(start, cross_entropy, x, torch.as_tensor(Y, device=device))
    metric = {"ll": "log_likelihood", "accuracy": "accuracy", "spread": spread, "loss": "neg_loss"}
    return ValuationProblem(model, (X, Y), (XT, YT), metric=metric, fit=recipe, **keywords)


def play(problem, name):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*cannot be retrained for many coalitions at once")
        return UnlearningGame(problem, name, seed=3, **{"steps": 3} if name in ("newton", "replay") else {})(MATRIX)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("kind", "name"), CASES)
def test_every_unlearner_on_every_device(kind, name, device, dtype):
    problem = make(kind, name, device, dtype)
    models = resolve_unlearner(name, None).unlearn(problem, MATRIX[2:], 3) if kind == "linear" else None
    if models is not None:
        assert all((p.device.type, p.dtype) == (device, dtype) for p in models.state.values())
        assert models.outputs(problem.x_test).device.type == device
    values = play(problem, name)
    assert values.dtype == np.float64
    assert np.isfinite(values).all()
    assert np.array_equal(values[0], problem.given_utility)
    if device != "cpu":  # dropout draws other numbers there
        expected = play(make(kind, name, "cpu", dtype), name)
        tolerance = 0.5 if (kind, name) == ("network", "retrain") else 0.05 if dtype == torch.float32 else 1e-6
        np.testing.assert_allclose(values, expected, atol=tolerance)


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_no_tensor_lands_on_the_default_device(kind, name):
    """Where the default device holds no numbers, a tensor that was made without a device cannot meet another."""
    expected = play(make(kind, name), name)
    problem = make(kind, name)
    with Elsewhere():
        values = play(problem, name)
    assert np.array_equal(values, expected)


@pytest.mark.parametrize("name", ["finetune", "graddiff", "reference_teacher"])
def test_no_minibatch_lands_on_the_default_device(name):
    unlearner = resolve_unlearner(name, {"batch_size": 7})
    expected = play(make("network", name), unlearner)
    problem = make("network", name)
    with Elsewhere():
        assert np.array_equal(play(problem, unlearner), expected)


@pytest.mark.skipif(Version(version("safetensors")) < Version("0.6.2"), reason="it read onto the default device then")
@pytest.mark.parametrize("parameters", [None, "head"])
def test_problems_and_artefacts_are_made_on_the_device_of_the_model(parameters, tmp_path):
    given = make("network", "newton")
    keywords = dict(metric="log_likelihood", groups=GROUPS, fit=given.recipe, parameters=parameters)

    def values(path):
        full = ValuationProblem(given.model, (X, Y), (XT, YT), **keywords)
        compute_artifacts(full).save(path)
        partial = ValuationProblem(given.model, (X, Y), (XT, YT), access="partial", artifacts=path, **keywords)
        return np.concatenate([play(partial, name) for name in ("influence", "ssd", "anchored")])

    expected = values(tmp_path / "expected")
    with Elsewhere():
        assert np.array_equal(values(tmp_path / "elsewhere"), expected)


def test_objects_with_fit_and_predict_work_on_the_cpu():
    def values():
        problem = ValuationProblem(LogisticRegression().fit(X, Y), (X, Y), (XT, YT), groups=GROUPS)
        return UnlearningGame(problem, "retrain")(MATRIX)

    expected = values()
    with Elsewhere():
        assert np.array_equal(values(), expected)


class Misplaced(Unlearner):
    """Makes a tensor without saying where."""

    name = "misplaced"

    def _unlearn(self, problem, coalitions, seed):
        share = torch.as_tensor(coalitions.mean(axis=1))
        theta = problem.engine.stack(len(coalitions))
        return StackedModels(problem.engine, {key: p + share[:, None].to(p)[:1] * 0 for key, p in theta.items()})


def test_a_misplaced_tensor_is_caught():
    problem = make("linear", "newton")
    assert np.isfinite(UnlearningGame(problem, Misplaced())(MATRIX[2:])).all()
    with Elsewhere(), pytest.raises(ValueError, match=r"(?s)misplaced.*(meta|Meta)"):
        UnlearningGame(problem, Misplaced())(~MATRIX[2:])
