"""A coalition that is evaluated alone has the bits that it has among others, whatever the layers and the method."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bits import assert_same_bits
from sklearn.datasets import load_wine
from sklearn.preprocessing import scale
from torch import nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem
from unshap_plugin.losses import cross_entropy

DATA = load_wine()
ORDER = np.random.default_rng(0).permutation(len(DATA.target))[:90]
X, Y = torch.as_tensor(scale(DATA.data)[ORDER], dtype=torch.float32), torch.as_tensor(DATA.target[ORDER])
NETWORKS = {
    "wide": lambda: nn.Sequential(nn.Linear(13, 16), nn.ReLU(), nn.Linear(16, 3)),
    "batch norm": lambda: nn.Sequential(nn.Linear(13, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Linear(16, 3)),
    "convolutions": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 13, 1)), nn.Conv2d(1, 8, (3, 1)), nn.ReLU(), nn.Conv2d(8, 6, (3, 1)), nn.Flatten(),
        nn.Linear(54, 3),
    ),
}  # fmt: skip
METHODS = ["retrain", "finetune", "replay", "graddiff", "gradient_ascent", "npo", "influence", "merge", "newton"]


def problem(network):
    torch.manual_seed(0)
    start = NETWORKS[network]()
    recipe = Recipe("adam", lr=0.01, epochs=3, batch_size=16, init=start)
    model = recipe.train(start, cross_entropy, X[:48], Y[:48])
    return ValuationProblem(model, (X[:48], Y[:48]), (X[48:], Y[48:]), groups=np.arange(48) % 8, fit=recipe)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("method", METHODS)
def test_one_at_a_time_gives_the_same_bits(network, method):
    settings = {} if method in ("retrain", "influence", "merge") else {"steps": 3}
    asked = problem(network)
    coalitions = np.random.default_rng(0).random((12, 8)) < 0.5
    whole = UnlearningGame(asked, method, **settings)(coalitions)
    for chunk in (1, 5):
        assert_same_bits(UnlearningGame(asked, method, chunk=chunk, **settings)(coalitions), whole)
