"""``linear_exact`` against scikit-learn, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from problems import coalitions, early_stopped
from sklearn.datasets import load_diabetes, load_linnerud
from sklearn.linear_model import LinearRegression, Ridge
from torch import nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem
from unshap_plugin.errors import AccessError
from unshap_plugin.plugins.registry import resolve_unlearner


def data(outputs):
    x, y = load_diabetes(return_X_y=True) if outputs == 1 else load_linnerud(return_X_y=True)
    x, y = ((t - t.mean(axis=0)) / t.std(axis=0) for t in (x, y.reshape(len(y), -1)))
    return x[:60], y[:60]


def fitted(outputs, *, alpha, bias, dtype=torch.float64, start=None):
    """A model of scikit-learn's as a torch module, and its problem."""
    x, y = data(outputs)
    ridge = Ridge(alpha=alpha, fit_intercept=bias) if alpha else LinearRegression(fit_intercept=bias)
    ridge.fit(x, y)
    head = nn.Linear(x.shape[1], outputs, bias=bias).to(dtype)
    with torch.no_grad():
        head.weight.copy_(torch.as_tensor(ridge.coef_).reshape(head.weight.shape))
        if bias:
            head.bias.copy_(torch.as_tensor(ridge.intercept_))
    # Its objective is the sum of squares; ours is the mean over the outputs. Without a penalty, nothing is said at all.
    recipe = Recipe("lbfgs", l2={"1.weight": 2 * alpha / outputs}, init=start) if alpha or start is not None else None
    model = nn.Sequential(nn.Flatten(), head)
    problem = ValuationProblem(model, (x, y), (x, y), loss="mse", metric="neg_mean_squared_error", fit=recipe)
    return problem, ridge, x, y


def state(problem, matrix):
    theta = resolve_unlearner("linear_exact").unlearn(problem, matrix, 0).state
    weight, bias = (next((p for n, p in theta.items() if n.endswith(part)), None) for part in ("weight", "bias"))
    return weight.double().numpy(), None if bias is None else bias.double().numpy()


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("alpha", [0.0, 0.1, 30.0])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_equals_scikit_learn(outputs, alpha, bias, dtype):
    problem, ridge, x, y = fitted(outputs, alpha=alpha, bias=bias, dtype=dtype)
    matrix = coalitions(30, len(x), seed=1)
    matrix = matrix[matrix.sum(axis=1) > x.shape[1] + 1]
    weight, intercept = state(problem, matrix)
    tolerance = 1e-9 if dtype == torch.float64 else 1e-4
    for k, kept in enumerate(matrix):
        ridge.fit(x[kept], y[kept])
        np.testing.assert_allclose(weight[k], ridge.coef_.reshape(weight[k].shape), atol=tolerance)
        if bias:
            np.testing.assert_allclose(intercept[k], ridge.intercept_.reshape(-1), atol=tolerance)


def test_where_rows_do_not_determine_the_parameters_the_nearest_to_the_initial_ones_are_taken():
    torch.manual_seed(0)
    start = nn.Sequential(nn.Flatten(), nn.Linear(10, 1)).double()
    problem, _, x, y = fitted(1, alpha=0.0, bias=True, start=start)
    start = start[1]
    matrix = np.zeros((3, len(x)), dtype=bool)
    matrix[1, :4] = matrix[2, 10:17] = True
    weight, intercept = state(problem, matrix)
    np.testing.assert_allclose(weight[0], start.weight.detach().numpy(), atol=1e-12)
    np.testing.assert_allclose(intercept[0], start.bias.detach().numpy(), atol=1e-12)
    for k in (1, 2):
        z = np.hstack([x[matrix[k]], np.ones((matrix[k].sum(), 1))])
        first = np.append(start.weight.detach().numpy(), start.bias.detach().numpy())[:, None]
        nearest = first + np.linalg.lstsq(z, y[matrix[k]] - z @ first, rcond=None)[0]
        np.testing.assert_allclose(np.append(weight[k], intercept[k]), nearest[:, 0], atol=1e-8)


def test_auto_takes_it():
    problem, *_ = fitted(1, alpha=1.0, bias=True)
    game = UnlearningGame(problem)
    assert game.unlearner.name == "linear_exact"
    assert "linear regression at its optimum" in game.reason


def test_what_is_no_linear_regression_at_its_optimum_is_refused():
    with pytest.raises(AccessError, match="needs a linear layer trained with loss='mse', but Sequential is"):
        UnlearningGame(early_stopped(), "linear_exact")
    problem, _, x, y = fitted(1, alpha=30.0, bias=True)
    data = {"train": (x, y), "test": (x, y), "loss": "mse", "metric": "neg_mean_squared_error"}
    with pytest.raises(AccessError, match=r"at the optimum of its training loss, but .* fit=Recipe\(l2=...\)"):
        UnlearningGame(ValuationProblem(problem.model, **data), "linear_exact")
    bent = nn.Sequential(problem.model, nn.Tanh())
    with pytest.raises(AccessError, match="but Sequential is another model or has another loss"):
        UnlearningGame(ValuationProblem(bent, **data), "linear_exact")
    frozen = nn.Linear(10, 1).double()
    frozen.bias.requires_grad_(False)
    with pytest.raises(
        AccessError, match=r"at the optimum of its training loss, but the outputs of Linear are .* away"
    ):
        UnlearningGame(ValuationProblem(frozen, **data), "linear_exact")
