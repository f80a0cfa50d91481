"""Newton against retraining, its matrices against autograd, and its estimate of what held training back."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from problems import breast_cancer, coalitions, early_stopped
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from torch import nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem
from unshap_plugin.errors import AccessError, InvalidValueError
from unshap_plugin.losses import cross_entropy, mse
from unshap_plugin.model.engine import Engine
from unshap_plugin.second_order.curvature import GeneralCurvature, second_order
from unshap_plugin.second_order.linear_head import LinearHead
from unshap_plugin.second_order.objective import Objective, _estimated_proximal
from unshap_plugin.second_order.solvers import conjugate_gradients, solve_damped
from unshap_plugin.unlearners import Newton, newton
from unshap_plugin.unlearners.models import StackedModels


def sigmoid_cross_entropy(outputs, targets):
    return nn.functional.binary_cross_entropy(
        outputs, nn.functional.one_hot(targets, 3).double(), reduction="none"
    ).mean(1)


def hessian(engine, theta, weights, x, y):
    """The slow twin: the Hessian by differentiating twice, one coalition at a time."""

    def total(flat, w):
        return (w * engine.loss(engine.call({k: v[0] for k, v in engine.unflatten(flat[None]).items()}, x), y)).sum()

    flat = engine.flatten(theta)
    return torch.stack(
        [torch.autograd.functional.hessian(lambda t, k=k: total(t, weights[k]), flat[k]) for k in range(len(flat))]
    )


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("tail", "loss"), [(nn.Identity(), cross_entropy), (nn.Sigmoid(), sigmoid_cross_entropy)])
def test_the_matrices_of_a_linear_head_are_the_hessians(bias, tail, loss):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(6, 3, bias=bias), tail).double()
    engine = Engine(module, loss)
    x, y = torch.randn(11, 2, 3, dtype=torch.float64), torch.randint(0, 3, (11,))
    theta = {k: v + 0.3 * torch.randn_like(v) for k, v in engine.stack(4).items()}
    weights = torch.rand(4, 11, dtype=torch.float64)
    head = LinearHead.of(engine, x, y)
    assert head is not None
    value, gradient, matrix = head(theta, weights)
    torch.testing.assert_close(matrix, hessian(engine, theta, weights, x, y), atol=1e-9, rtol=0)
    torch.testing.assert_close(gradient, engine.flatten(engine.gradients(theta, weights, x, y)), atol=1e-12, rtol=0)
    torch.testing.assert_close(value, engine.losses(theta, weights, x, y), atol=1e-12, rtol=0)


def test_the_general_matrices_are_gauss_newton():
    torch.manual_seed(0)
    linear = nn.Linear(4, 3).double()
    engine = Engine(linear, cross_entropy)
    x, y = torch.randn(9, 4, dtype=torch.float64), torch.randint(0, 3, (9,))
    theta, weights = engine.stack(3), torch.rand(3, 9, dtype=torch.float64)
    fast, slow = LinearHead.of(engine, x, y)(theta, weights), GeneralCurvature(engine, x, y)(theta, weights)
    for a, b in zip(fast, slow, strict=True):  # for linear outputs both splits are the Hessian
        torch.testing.assert_close(a, b, atol=1e-12, rtol=0)
    net = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)).double()
    engine = Engine(net, mse)
    targets = torch.randn(9, 2, dtype=torch.float64)
    theta = engine.stack(1)
    matrix = second_order(engine, x, targets)(theta, weights[:1])[2]
    flat = engine.flatten(theta)[0]
    jacobian = torch.autograd.functional.jacobian(
        lambda t: engine.call({k: v[0] for k, v in engine.unflatten(t[None]).items()}, x), flat
    )
    expected = torch.einsum("i,iap,iaq->pq", weights[0], jacobian, jacobian)  # the Hessian of mse over 2 outputs is I
    torch.testing.assert_close(matrix[0], expected, atol=1e-12, rtol=0)


def test_solving_damps_only_what_is_not_definite():
    torch.manual_seed(0)
    a = torch.randn(3, 5, 5, dtype=torch.float64)
    matrices = a @ a.mT + torch.eye(5, dtype=torch.float64)
    matrices[1] = torch.diag(torch.tensor([1.0, 1.0, 1.0, 1.0, -0.5], dtype=torch.float64))
    vectors = torch.randn(3, 5, dtype=torch.float64)
    solved = solve_damped(matrices, vectors)
    for k in (0, 2):
        torch.testing.assert_close(matrices[k] @ solved[k], vectors[k], atol=1e-10, rtol=0)
    assert torch.isfinite(solved[1]).all()
    assert vectors[1] @ solved[1] > 0, "minus the solution must be a direction of descent"
    matrices[2, 0, 0] = torch.nan
    solved = solve_damped(matrices, vectors)
    assert torch.isnan(solved[2]).all()
    assert torch.isfinite(solved[:2]).all()


def test_conjugate_gradients_solve_each_system_alone():
    torch.manual_seed(0)
    a = torch.randn(5, 12, 12, dtype=torch.float64)
    matrices = a @ a.mT + torch.eye(12, dtype=torch.float64)
    vectors = torch.randn(5, 12, dtype=torch.float64)
    vectors[2] = 0

    def solve(rows):
        def product(v):
            return (matrices[rows] @ v[:, :, None])[:, :, 0]

        return conjugate_gradients(product, lambda v: v / 3, vectors[rows], tolerance=1e-10)

    whole = solve(slice(5))
    expected = torch.linalg.solve(matrices, vectors)
    torch.testing.assert_close(whole, expected, atol=1e-7, rtol=0)
    torch.testing.assert_close(whole, torch.cat([solve(slice(k, k + 1)) for k in range(5)]), atol=1e-12, rtol=0)


def test_conjugate_gradients_descend_where_the_matrix_is_not_definite():
    matrix = torch.diag(torch.tensor([2.0, 1.0, -1.0], dtype=torch.float64))
    for vector in torch.eye(3, dtype=torch.float64) + 0.1:
        solution = conjugate_gradients(lambda v: v @ matrix, lambda v: v, vector[None])
        assert torch.isfinite(solution).all()
        assert vector @ solution[0] > 0


@pytest.mark.parametrize("bias", [True, False])
def test_products_are_those_with_the_matrices(bias):
    torch.manual_seed(0)
    engine = Engine(nn.Linear(4, 3, bias=bias).double(), cross_entropy)
    x, y = torch.randn(9, 4, dtype=torch.float64), torch.randint(0, 3, (9,))
    theta = {k: v + 0.3 * torch.randn_like(v) for k, v in engine.stack(5).items()}
    weights = torch.rand(5, 9, dtype=torch.float64)
    head = LinearHead.of(engine, x, y)
    vectors = torch.randn(5, engine.n_parameters, dtype=torch.float64)
    flat = engine.flatten(theta)
    torch.testing.assert_close(head.flat(head.heads(flat)), flat, atol=0, rtol=0)
    curved = head.expanded(head.heads(flat)).weighted(head.filled(weights)[:, None])
    products = head.flat(head.sums(curved(head.scores(head.heads(vectors)))))
    torch.testing.assert_close(products, (head(theta, weights)[2] @ vectors[:, :, None])[:, :, 0], atol=1e-12, rtol=0)


def test_linear_heads_are_solved_alike_with_and_without_their_matrices():
    """The slow twin has a matrix for every coalition, and its Cholesky factor."""
    problem = early_stopped()
    matrix = coalitions(30, problem.n_players)
    game = UnlearningGame(problem, "newton", steps=8)
    values = game(matrix)
    objective = Objective(problem.engine, problem.x, problem.y, problem.once(newton.expansion), problem.recipe)
    objective.centre(None)
    theta = objective.descend(problem.retained(matrix).to(problem.engine.dtype), 8)
    slow = StackedModels(problem.engine, problem.engine.unflatten(theta)).outputs(problem.x_test)
    np.testing.assert_allclose(values[1:], problem.metric.score(slow, problem.y_test).numpy()[1:], atol=2e-3)
    alone = UnlearningGame(problem, "newton", steps=8)
    assert np.array_equal(values, np.concatenate([alone(row[None]) for row in matrix]))
    assert np.array_equal(values, UnlearningGame(problem, "newton", chunk=7, steps=8)(matrix))


def fitted_head(x, y, **kwargs):
    fitted = LogisticRegression(C=1.0, tol=1e-9, max_iter=10_000).fit(x, y)
    head = nn.Linear(x.shape[1], 1).double()
    head.weight.data, head.bias.data = torch.as_tensor(fitted.coef_), torch.as_tensor(fitted.intercept_)
    return ValuationProblem(head, (x, y), **{"loss": "binary_cross_entropy_with_logits", **kwargs})


@pytest.mark.parametrize("fit", [None, {"l2": {"weight": 1.0}}])
def test_newton_is_retraining_where_the_model_is_at_its_optimum(fit):
    """Against scikit-learn's own fits, in each quarter of the coalition sizes, told of the penalty or not."""
    (x, y), test = breast_cancer(rows=80, tests=150)
    problem = fitted_head(x, y, test=test, metric={"accuracy": "accuracy", "ll": "log_likelihood"}, fit=fit)
    matrix = coalitions(160, 80)
    matrix = matrix[[len(np.unique(y[row])) == 2 for row in matrix]]
    matrix = matrix[np.argsort(matrix.sum(axis=1), kind="stable")]
    unlearned = UnlearningGame(problem, "newton")(matrix)
    retrained = np.array([fitted_head(x[row], y[row], test=test, metric="accuracy").given_utility for row in matrix])
    likelihood = np.array(
        [fitted_head(x[row], y[row], test=test, metric="log_likelihood").given_utility for row in matrix]
    )
    assert np.abs(unlearned[:, 0] - retrained).mean() <= 0.01
    for quarter in np.array_split(np.arange(len(matrix)), 4):
        assert spearmanr(unlearned[quarter, 1], likelihood[quarter])[0] >= 0.99


def test_the_penalty_of_a_regularised_optimum_is_found():
    (x, y), test = breast_cancer(rows=80)
    problem = fitted_head(x, y, test=test)
    proximal = problem.once(newton._centred, None)[0].proximal
    torch.testing.assert_close(proximal[:-1], torch.ones(6, dtype=torch.float64), atol=1e-4, rtol=0)
    assert proximal[-1] < 1e-2, "the intercept is not penalised"


def test_the_pull_of_a_training_that_stopped_early_holds_the_minimum_as_far_from_the_start():
    problem = early_stopped()
    start = Objective(problem.engine, problem.x, problem.y, problem.once(newton.expansion), problem.recipe)
    steps, step = [], start.step

    def counted(*args):
        steps.append(args)
        return step(*args)

    start.step = counted
    start.proximal = _estimated_proximal(start)
    assert 2 <= len(steps) <= 20, "ten rounds of three steps would be thirty"
    del start.step
    assert len(start.proximal.unique()) == 1, "one strength for all: the given parameters are at no optimum of any"
    pulled = start.descend(start.all, 50)[0]
    assert float((pulled - start.init).norm() / (start.given - start.init).norm()) == pytest.approx(1, abs=1e-3)


def test_forgetting_everything_goes_back_to_the_initial_parameters():
    problem = early_stopped()
    nobody = np.zeros((1, problem.n_players), dtype=bool)
    models = Newton().unlearn(problem, nobody, 0)
    for name, value in models.state.items():
        torch.testing.assert_close(value[0], problem.recipe.init[name], atol=1e-8, rtol=0)


def test_an_early_stopped_model_agrees_with_retraining_about_as_well_as_two_seeds_do():
    """Ten epochs of Adam on noisy labels; the benchmark has the figures for OpenDataVal's own model."""
    (x, y), test = breast_cancer(rows=150, tests=150, features=30)
    noisy = np.where(np.random.default_rng(1).random(150) < 0.2, 1 - y, y)
    torch.manual_seed(0)
    start = nn.Linear(30, 2).double()
    recipe = Recipe("adam", lr=0.01, epochs=10, batch_size=32, init=start)
    model = recipe.train(start, cross_entropy, torch.as_tensor(x), torch.as_tensor(noisy))
    problem = ValuationProblem(model, (x, noisy), test, metric="log_likelihood", fit=recipe)
    matrix = coalitions(300, 150)
    first, second = (UnlearningGame(problem, "retrain", seed=seed)(matrix) for seed in (1, 2))
    unlearned = UnlearningGame(problem, "newton")(matrix)
    assert spearmanr(unlearned, first)[0] >= 0.85 * spearmanr(first, second)[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps is 0, but a whole number of at least 1"),
        ({"proximal": -1.0}, "proximal is -1.0, but a finite number of at least 0"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(InvalidValueError, match=message):
        Newton(**settings)


def test_too_many_parameters_are_refused_before_any_work():
    (x, y), test = breast_cancer()
    wide = nn.Sequential(nn.Linear(6, 800), nn.ReLU(), nn.Linear(800, 2)).double()
    with pytest.raises(
        AccessError, match=r"at most 4096, but Sequential has 7202; unlearners that would work: .*finetune"
    ):
        UnlearningGame(ValuationProblem(wide, (x, y), test), "newton")


@pytest.mark.parametrize("unlearner", ["newton", "influence", "auto"])
@pytest.mark.parametrize("hidden", [0, 20])
def test_a_model_that_equals_its_initial_parameters_is_named_and_the_advice_helps(unlearner, hidden):
    """What comes of init=model after a training in place; but an optimum may be where it began."""
    given = early_stopped(hidden=hidden)
    data = (given.x, given.y), (given.x_test, given.y_test)
    start = copy.deepcopy(given.model)
    start.load_state_dict(given.recipe.init)
    mistaken = ValuationProblem(given.model, *data, fit=Recipe("sgd", init=given.model))
    if hidden and unlearner == "auto":
        unlearner = "influence"
    with pytest.raises(InvalidValueError, match=r"equals the initial parameters .* copy.deepcopy\(model.state_d"):
        UnlearningGame(mistaken, unlearner)(~np.eye(40, dtype=bool)[:2])
    right = ValuationProblem(given.model, *data, fit=Recipe("sgd", init=copy.deepcopy(start.state_dict())))
    assert np.isfinite(UnlearningGame(right, unlearner)(~np.eye(40, dtype=bool)[:2])).all()


def test_an_optimum_may_be_where_training_began():
    x, y = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]]).double(), torch.tensor([0, 0, 1, 1])
    model = torch.nn.Linear(1, 2).double()
    torch.nn.init.zeros_(model.weight)
    torch.nn.init.zeros_(model.bias)
    problem = ValuationProblem(model, (x, y), (x, y), fit=Recipe("sgd", init=model))
    assert np.isfinite(UnlearningGame(problem, "newton")([[True, True, True, False], [False] * 4])).all()
