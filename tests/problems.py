"""Small real problems that the tests share."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from torch import nn

from unshap_plugin import Recipe, ValuationProblem
from unshap_plugin.losses import cross_entropy
from unshap_plugin.unlearners import METHODS, LinearExact

torch.set_num_threads(1)

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]

#: Those that take any torch module; a linear regression at its optimum has a file of its own.
UNLEARNERS = [method.name for method in METHODS if method is not LinearExact]


def breast_cancer(rows=40, tests=60, seed=0, features=6):
    x, y = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))[: rows + tests]
    x = StandardScaler().fit_transform(x[order][:, :features])
    return (x[:rows], y[order][:rows]), (x[rows:], y[order][rows:])


def reference(rows=30, seed=0, features=6):
    """Rows that are neither training nor test rows of the problem below."""
    x, y = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))[: 100 + rows]
    return StandardScaler().fit_transform(x[order][:, :features])[100:]


def early_stopped(dtype=torch.float64, *, hidden=0, seed=0, **kwargs):
    """A model that training left away from an optimum, and its problem."""
    train, test = breast_cancer()
    torch.manual_seed(seed)
    layers = [nn.Linear(6, 2)] if not hidden else [nn.Linear(6, hidden), nn.Tanh(), nn.Linear(hidden, 2)]
    start = nn.Sequential(*layers).to(dtype)
    recipe = Recipe("adam", lr=0.05, epochs=3, batch_size=8, init=start)
    x, y = torch.as_tensor(train[0], dtype=dtype), torch.as_tensor(train[1])
    model = recipe.train(start, cross_entropy, x, y, seed=seed)
    kwargs = {
        "metric": {"accuracy": "accuracy", "ll": "log_likelihood"},
        "fit": recipe,
        "reference": reference(),
        **kwargs,
    }
    return ValuationProblem(model, train, test, **kwargs)


def known_of(game):
    """Return the utilities that a game knows, by coalition, as bytes: how fast they come decides on their order."""
    return {coalition.tobytes(): utility.tobytes() for coalition, utility in zip(*game.known(), strict=True)}


def coalitions(m, n, seed=0):
    rng = np.random.default_rng(seed)
    return np.array([rng.permutation(n) < rng.integers(0, n + 1) for _ in range(m)])
