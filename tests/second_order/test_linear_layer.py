"""A module is linear in its free parameters whatever else of it is frozen: the fast way is the general one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem, shapley_values, value
from unshap_plugin.losses import cross_entropy, mse
from unshap_plugin.model.engine import Engine
from unshap_plugin.second_order.curvature import GeneralCurvature
from unshap_plugin.second_order.linear_head import LinearHead, linear_layer
from unshap_plugin.second_order.normal_equations import NormalEquations

torch.manual_seed(0)
X, Y, NUMBERS = torch.randn(14, 3).double(), torch.arange(14) % 3, torch.randn(14, 2).double()
GROUPS = np.repeat(list("abcd"), [2, 4, 5, 3])


def frozen(module, *names):
    for name, p in module.named_parameters():
        p.requires_grad_(name not in names)
    return module.double()


def body(layer):
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), layer, nn.Tanh(), nn.Linear(3, 3))


HEADS = {
    "weight and bias": lambda: frozen(nn.Linear(3, 3)),
    "the weight alone": lambda: frozen(nn.Linear(3, 3), "bias"),
    "the bias alone": lambda: frozen(nn.Linear(3, 3), "weight"),
    "without a bias": lambda: frozen(nn.Linear(3, 3, bias=False)),
    "in the middle": lambda: frozen(
        body(nn.Linear(4, 3)), "0.weight", "0.bias", "1.weight", "1.bias", "5.weight", "5.bias"
    ),
    "a bias in the middle": lambda: frozen(
        body(nn.Linear(4, 3)), "0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "5.weight", "5.bias"
    ),
}


@pytest.mark.parametrize("made", HEADS.values(), ids=HEADS)
def test_the_fast_way_is_the_general_one(made):
    module = made().eval()
    engine = Engine(module, cross_entropy)
    head, general = LinearHead.of(engine, X, Y), GeneralCurvature(engine, X, Y)
    assert head is not None
    flat = engine.flatten(engine.stack(3)) + 0.1 * torch.randn(3, engine.n_parameters).double()
    weights = torch.rand(3, len(X)).double()
    theta = engine.unflatten(flat)
    for fast, slow in zip(head(theta, weights)[:2], general(theta, weights)[:2], strict=True):
        torch.testing.assert_close(fast, slow, atol=1e-10, rtol=1e-10)
    matrix = head(theta, weights)[2]
    for k, one in enumerate(flat):

        def total(flat, k=k):
            return (weights[k] * engine.loss(engine.call(engine.unflatten(flat), X), Y)).sum()

        torch.testing.assert_close(matrix[k], torch.autograd.functional.hessian(total, one), atol=1e-9, rtol=1e-9)
    vectors = torch.randn(3, engine.n_parameters).double()
    flat = engine.flatten(theta)
    curved = head.expanded(head.heads(flat)).weighted(head.filled(weights)[:, None])
    product = torch.einsum("mpq,mq->mp", matrix, vectors)
    torch.testing.assert_close(
        head.flat(head.sums(curved(head.scores(head.heads(vectors))))), product, atol=1e-9, rtol=1e-9
    )


@pytest.mark.parametrize("free", [("weight", "bias"), ("weight",), ("bias",)])
@pytest.mark.parametrize("l2", [0.0, 0.7])
def test_the_normal_equations_in_the_free_parameters(free, l2):
    """Against least squares on what the frozen part leaves."""
    module = frozen(nn.Linear(3, 2), *{"weight", "bias"} - set(free))
    engine = Engine(module, mse)
    shape = engine.flatten(engine.stack(1))[0]
    equations = NormalEquations.of(engine, X, NUMBERS, torch.full_like(shape, l2), torch.zeros_like(shape))
    assert equations is not None
    kept = torch.rand(5, len(X)) < 0.6
    found = equations.parameters(equations.solve(*equations.sums(kept)), engine)
    assert set(found) == set(free)
    for k, rows in enumerate(kept.numpy()):
        given = {name: p.detach().numpy() for name, p in module.named_parameters()}
        features, left = [], NUMBERS.numpy()[rows].copy()
        for name, z in (("weight", X.numpy()[rows]), ("bias", np.ones((rows.sum(), 1)))):
            if name in free:
                features.append(z)
            else:
                left -= z @ np.atleast_2d(given[name].T)
        z = np.concatenate(features, axis=1)
        theta = np.linalg.solve(z.T @ z + l2 * np.eye(z.shape[1]), z.T @ left)  # two outputs: 2 / c is 1
        got = [found[name][k].numpy().T for name in ("weight", "bias") if name in free]
        np.testing.assert_allclose(np.concatenate([np.atleast_2d(one) for one in got]), theta, atol=1e-9, rtol=0)


@pytest.mark.parametrize("made", HEADS.values(), ids=HEADS)
def test_auto_takes_newton_and_its_values_are_those_of_the_loop(made):
    data = (X.numpy(), Y.numpy()), (X.numpy()[::2], Y.numpy()[::2])
    module, values = made(), []
    assert value(module, *data, groups=GROUPS).unlearner == "newton"
    for batched in (True, False):
        problem = ValuationProblem(module, *data, groups=GROUPS)
        problem.engine.batched = batched
        values.append(shapley_values(UnlearningGame(problem, "newton"), "exact").values)
    if type(module) is nn.Linear:  # else the loop has Gauss-Newton's matrix, where the fast way has the Hessian
        np.testing.assert_allclose(values[0], values[1], atol=1e-6, rtol=1e-6)  # whose systems have matrices
    assert np.isfinite(values).all()


@pytest.mark.filterwarnings("ignore:.*cannot be retrained for many coalitions at once")
@pytest.mark.parametrize("free", [("weight",), ("bias",)])
def test_linear_regression_in_some_of_its_parameters_is_retrained_exactly(free):
    start = frozen(nn.Linear(3, 2), *{"weight", "bias"} - set(free))
    recipe = Recipe("lbfgs", lr=1.0, epochs=300, batch_size=None, l2=dict.fromkeys(free, 0.3), init=start)
    model = recipe.train(start, mse, X, NUMBERS)
    data = (X, NUMBERS), (X[::2], NUMBERS[::2])
    got = value(model, *data, groups=GROUPS, loss="mse", fit=recipe)
    assert got.unlearner == "linear_exact"
    slow = value(model, *data, groups=GROUPS, loss="mse", fit=recipe, unlearner="retrain")
    np.testing.assert_allclose(got.values, slow.values, atol=1e-6, rtol=0)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x):
        return self.layer(self.layer(x))


def hooked(kind):
    module = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
    if kind == "output":
        module[0].register_forward_hook(lambda _layer, _args, out: 3 * out)
    else:
        module[0].register_forward_pre_hook(lambda _layer, args: (3 * args[0],))
    return module


OTHERS = {
    "applied twice": Twice,
    "two layers": lambda: nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)),
    "its output is changed by a hook": lambda: hooked("output"),
    "its input is changed by a hook": lambda: hooked("input"),
    "a convolution": lambda: nn.Sequential(nn.Unflatten(1, (1, 3)), nn.Conv1d(1, 3, 3), nn.Flatten()),
}


@pytest.mark.parametrize("made", OTHERS.values(), ids=OTHERS)
def test_what_is_not_linear_in_its_parameters_is_not_taken_for_it(made):
    torch.manual_seed(1)
    module = made().double()
    assert linear_layer(Engine(module, cross_entropy), X) is None
    result = value(module, (X, Y), (X[::2], Y[::2]), groups=GROUPS)
    assert result.unlearner == "graddiff"
