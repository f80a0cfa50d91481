"""Batched retraining with batch norm, against training each coalition by itself."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from bits import assert_same_bits
from problems import breast_cancer
from torch import nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem
from unshap_plugin.losses import cross_entropy
from unshap_plugin.unlearners.retrain import _train_each, _train_stacked, _training, obstacle_to_batches

#: Seven players of 1 to 12 rows: no two coalitions have batches of the same sizes.
GROUPS = np.repeat(np.arange(7), [1, 2, 3, 5, 7, 10, 12])
EVERY = (np.arange(128)[:, None] >> np.arange(7) & 1).astype(bool)[::5]


def flat(**options):
    return nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5, **options), nn.Tanh(), nn.Linear(5, 2))


def convolutional():
    return nn.Sequential(
        nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 3, 2, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(8, 2),
    )  # fmt: skip


class Residual(nn.Module):
    """Rows come back after the norms."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last, self.end = (
            nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Linear(6, 2), nn.BatchNorm1d(2)
        )  # fmt: skip

    def forward(self, x):
        return self.end(self.last(x + F.silu(self.norm(self.first(x)))))


NETWORKS = {
    "flat": flat,
    "cumulative": lambda: flat(momentum=None),
    "momentum and eps": lambda: flat(momentum=0.5, eps=0.1),
    "no parameters": lambda: flat(affine=False),
    "first of all": lambda: nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 2)),
    "one output": lambda: nn.Sequential(nn.Linear(6, 1), nn.BatchNorm1d(1), nn.Linear(1, 2)),
    "series": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 3)), nn.Conv1d(2, 3, 2), nn.BatchNorm1d(3), nn.Flatten(), nn.Linear(6, 2)
    ),
    "convolutional": convolutional,
    "residual": Residual,
}
RECIPES = {
    "adam": {"lr": 0.02, "epochs": 4, "batch_size": 9},
    "sgd, a penalty": {"optimizer": "sgd", "lr": 0.1, "epochs": 4, "batch_size": 4, "l2": 0.5},
    "all rows": {"lr": 0.02, "epochs": 6, "batch_size": None},
    "larger than all": {"lr": 0.02, "epochs": 3, "batch_size": 64},
}


def made(network, dtype=torch.float64, **recipe):
    (x, y), (x_test, y_test) = breast_cancer()
    torch.manual_seed(0)
    start = network().to(dtype)
    fit = Recipe(init=start, **recipe)
    x, x_test = (torch.as_tensor(part, dtype=dtype) for part in (x, x_test))
    model = fit.train(start, cross_entropy, x, torch.as_tensor(y))
    return ValuationProblem(model, (x, y), (x_test, y_test), metric="log_likelihood", groups=GROUPS, fit=fit)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_batched_retraining_equals_training_each(network, recipe):
    problem = made(network, **recipe)
    assert obstacle_to_batches(problem) is None
    retained = problem.retained(EVERY)
    initial = problem.recipe.initial_state(problem.model, 3)
    fast = _train_stacked(problem.recipe, problem.engine, initial, problem, retained, 3)
    slow = _train_each(problem.recipe, problem.engine, initial, problem, retained, 3)
    assert fast.keys() == slow.keys()
    assert any(name.endswith("running_var") for name in fast)
    for name, value in slow.items():
        torch.testing.assert_close(fast[name], value, atol=1e-5, rtol=1e-5)
    assert torch.equal(initial["0.weight" if "0.weight" in initial else name], fast.get("0.weight", fast[name])[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_bit_depends_on_the_other_coalitions(dtype):
    problem = made(flat, dtype, **RECIPES["adam"])
    generators = torch.get_rng_state(), np.random.get_state()[1].copy()
    whole = UnlearningGame(problem, "retrain", chunk=26)(EVERY)
    for chunk in (1, 5):
        assert_same_bits(UnlearningGame(problem, "retrain", chunk=chunk)(EVERY[::-1]), whole[::-1], off=0.01)
    assert torch.equal(generators[0], torch.get_rng_state())
    assert np.array_equal(generators[1], np.random.get_state()[1])


def test_rows_that_are_absent_do_not_count():
    """Whatever stands in their place, statistics and gradients are the same."""
    problem = made(convolutional, **RECIPES["adam"])
    training = problem.once(_training)
    theta, present = problem.engine.stack(2), torch.ones(2, 9, dtype=torch.bool)
    present[1, 5:] = False
    found = []
    for other in (0.0, 100.0):
        x = torch.stack([problem.x[:9], problem.x[9:18]])
        x[1, 5:] = other
        statistics = {name: torch.stack([b, b]) for name, b in training.statistics.items()}
        y = problem.y[:18].reshape(2, 9)
        gradients = training.gradients(theta, statistics, present, x, y, rows_per_copy=True)
        found.append({**gradients, **statistics})
    for name, value in found[0].items():
        torch.testing.assert_close(value, found[1][name], atol=1e-12, rtol=1e-12)


def test_the_training_is_the_same_in_a_copy():
    problem = made(convolutional, **RECIPES["adam"])
    training, theta = problem.once(_training), problem.engine.stack(1)
    found = []
    for one in (training, pickle.loads(pickle.dumps(training)), copy.deepcopy(training)):
        statistics = {name: b[None].clone() for name, b in one.statistics.items()}
        gradients = one.gradients(theta, statistics, torch.ones(1, 40, dtype=torch.bool), problem.x, problem.y)
        found.append({**gradients, **statistics})
    for other in found[1:]:
        assert all(torch.equal(value, other[name]) for name, value in found[0].items())


class Drawing(nn.Module):
    """Dropout that is no layer."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)

    def forward(self, x):
        return self.last(F.dropout(self.norm(self.first(x)), 0.01, self.training))


class Counting(Drawing):
    """A statistic of its own, which nobody else can keep."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(4))

    def forward(self, x):
        x = self.first(x)
        if self.training:
            self.seen.add_(x.detach().mean(dim=0))
        return self.last(self.norm(x))


OTHERS = {
    "dropout": lambda: nn.Sequential(*flat(), nn.Dropout(0.5), nn.Linear(2, 2)),
    "dropout in a function": Drawing,
    "a statistic of its own": Counting,
    "no running statistics": lambda: flat(track_running_stats=False),
    "instance norm": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 3)), nn.Conv1d(2, 3, 2), nn.InstanceNorm1d(3, track_running_stats=True), nn.BatchNorm1d(3),
        nn.Flatten(), nn.Linear(6, 2),
    ),
}  # fmt: skip


@pytest.mark.parametrize("network", OTHERS.values(), ids=OTHERS)
def test_what_cannot_be_batched_is_trained_one_by_one(network):
    torch.manual_seed(0)
    start, (train, test) = network().double(), breast_cancer()
    problem = ValuationProblem(start, train, test, groups=GROUPS, fit=Recipe(epochs=1, init=copy.deepcopy(start)))
    state = copy.deepcopy(problem.model.state_dict())
    assert "in training mode" in obstacle_to_batches(problem)
    assert all(torch.equal(value, state[name]) for name, value in problem.model.state_dict().items())


def test_auto_retrains_a_network_with_batch_norm():
    problem = made(convolutional, **RECIPES["adam"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        game = UnlearningGame(problem, "auto")
        assert game.unlearner.name == "retrain"
        assert np.isfinite(game(EVERY)).all()
