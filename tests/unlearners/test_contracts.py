"""The contracts (docs/contracts.md), for every built-in unlearner."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import random
import warnings

import numpy as np
import pytest
import torch
from problems import UNLEARNERS, coalitions, early_stopped
from torch import nn

from unshap_plugin import UnlearningGame, UnshapError, ValuationProblem, shapley_values
from unshap_plugin.errors import AccessError, DivergenceError
from unshap_plugin.plugin import Access, Unlearner
from unshap_plugin.plugins.registry import resolve_unlearner
from unshap_plugin.unlearners.models import StackedModels

EVERY = pytest.mark.parametrize("name", UNLEARNERS)


def parameters(problem, name, matrix, seed=0):
    models = resolve_unlearner(name).unlearn(problem, matrix, seed)
    assert isinstance(models, StackedModels)
    return torch.cat([p.flatten(1) for p in models.state.values()], dim=1)


# 1. Utility is a function of the coalition.


@EVERY
def test_order_batch_and_chunk_do_not_change_a_bit(problem, name):
    matrix = coalitions(23, problem.n_players)
    whole = UnlearningGame(problem, name)(matrix)
    assert np.array_equal(whole, UnlearningGame(problem, name)(matrix)), "the same call twice"
    assert np.array_equal(whole[::-1], UnlearningGame(problem, name)(matrix[::-1]))
    assert np.array_equal(whole, UnlearningGame(problem, name, chunk=3)(matrix))
    one = UnlearningGame(problem, name)
    assert np.array_equal(whole, np.concatenate([one(row[None]) for row in matrix]))


@EVERY
def test_a_coalition_is_evaluated_once(problem, name):
    game = UnlearningGame(problem, name)
    matrix = np.repeat(coalitions(5, problem.n_players), 3, axis=0)
    first = game(matrix)
    everybody = np.ones((1, problem.n_players), dtype=bool)  # which is known from the start
    assert game.evaluations == len(np.unique(np.concatenate([matrix, everybody]), axis=0))
    assert np.array_equal(first, game(matrix))


def test_the_seed_matters_where_there_is_randomness(problem):
    matrix = coalitions(8, problem.n_players)
    assert not np.array_equal(
        UnlearningGame(problem, "retrain", seed=0)(matrix), UnlearningGame(problem, "retrain", seed=1)(matrix)
    )


# 2. Unlearning nothing changes nothing, and removing a little changes a little.


@EVERY
@pytest.mark.parametrize("hidden", [0, 4])
def test_keeping_everybody_is_the_given_model_bit_for_bit(name, hidden):
    problem = early_stopped(hidden=hidden)
    full = np.ones((1, problem.n_players), dtype=bool)
    given = torch.cat([p.flatten() for p in problem.model.parameters()])
    assert torch.equal(parameters(problem, name, full)[0], given)
    assert np.array_equal(UnlearningGame(problem, name)(full)[0], problem.given_utility)


@pytest.mark.parametrize("name", [name for name in UNLEARNERS if name != "retrain"])  # which starts anew
@pytest.mark.parametrize("hidden", [0, 4])
def test_removing_a_little_changes_a_little(name, hidden):
    problem = early_stopped(hidden=hidden)
    n = problem.n_players
    one = ~np.eye(n, dtype=bool)
    rng = np.random.default_rng(0)
    half = np.array([rng.permutation(n) < n // 2 for _ in range(n)])
    given = torch.cat([p.flatten() for p in problem.model.parameters()])
    moved = [(parameters(problem, name, matrix) - given).norm(dim=1).mean() for matrix in (one, half)]
    assert 0 < moved[0] < 0.35 * moved[1]


# 3. The given model is never modified, nor is any global state.


@EVERY
def test_nothing_of_the_callers_is_touched(name):
    problem = early_stopped(hidden=4)
    model = copy.deepcopy(problem.model).train()
    model[0].weight.grad = torch.ones_like(model[0].weight)
    before = copy.deepcopy(model.state_dict())
    train, test = (problem.x.clone(), problem.y.clone()), (problem.x_test, problem.y_test)
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    given = {"fit": problem.recipe, "reference": problem.reference[0].clone()}
    mine = ValuationProblem(model, train, test, metric="log_likelihood", **given)
    shapley_values(UnlearningGame(mine, name), budget=200)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert model.training
    assert torch.equal(model[0].weight.grad, torch.ones_like(model[0].weight))
    assert all(p.requires_grad for p in model.parameters())
    assert torch.equal(train[0], problem.x)
    assert torch.equal(train[1], problem.y)
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state()[1])
    assert states[2] == random.getstate()


# 4. Batched equals one by one.


@EVERY
@pytest.mark.parametrize("hidden", [0, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_batched_equals_looped(name, hidden, dtype):
    fast, slow = early_stopped(dtype, hidden=hidden), early_stopped(dtype, hidden=hidden)
    slow.engine.batched = False
    matrix = coalitions(9, fast.n_players)
    a, b = parameters(fast, name, matrix), parameters(slow, name, matrix)
    # Adam divides small gradients by their own size; Newton's systems for linear heads are solved roughly, to an end
    # that comes sooner in single precision.
    head = name in ("newton", "pseudo_background") and hidden == 0
    tolerance = (1e-2 if head else 2e-3) if dtype == torch.float32 else (2e-3 if head else 1e-8)
    torch.testing.assert_close(a, b, atol=tolerance, rtol=tolerance)
    assert fast.engine.batched, "the fast path fell back to the loop"


class DataDependent(nn.Module):
    """``vmap`` cannot follow a branch on the data."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 2).double()

    def forward(self, x):
        out = self.linear(x)
        return out if out.sum() > 0 else out * 1.0


@pytest.mark.parametrize("name", ["newton", "finetune", "gradient_ascent"])
def test_a_module_that_cannot_be_batched_is_looped_with_one_warning(problem, name):
    torch.manual_seed(0)
    module = DataDependent()
    data = (problem.x, problem.y), (problem.x_test, problem.y_test)
    looped = ValuationProblem(module, *data, metric="log_likelihood")
    plain = ValuationProblem(nn.Sequential(copy.deepcopy(module.linear)), *data, metric="log_likelihood")
    matrix = coalitions(6, problem.n_players)
    game = UnlearningGame(looped, name, steps=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        values = game(matrix)
        game(~matrix)
    messages = [str(w.message) for w in caught if "cannot be batched" in str(w.message)]
    assert len(messages) == 1
    assert messages[0].startswith("DataDependent cannot be batched by torch.func.vmap")
    assert "slower" in messages[0]
    if name != "newton":  # for a linear head Newton splits elsewhere than for a module that it cannot look into
        np.testing.assert_allclose(values, UnlearningGame(plain, name, steps=2)(matrix), rtol=1e-6)


# 5. Nothing is swallowed.


@dataclasses.dataclass(frozen=True)
class Broken(Unlearner):
    """Gives NaN, or raises, for coalitions that lack player 0."""

    name = "broken"
    how: str = "nan"

    def _unlearn(self, problem, coalitions, seed):
        if self.how == "raise" and not coalitions[:, 0].all():
            raise ZeroDivisionError("no player 0")
        theta = problem.engine.stack(len(coalitions))
        for value in theta.values():
            value[torch.as_tensor(~coalitions[:, 0])] = torch.nan
        return StackedModels(problem.engine, theta)


@pytest.mark.parametrize(("how", "what"), [("nan", "not finite"), ("raise", "ZeroDivisionError: no player 0")])
def test_a_coalition_that_fails_is_named(problem, how, what):
    bad = np.ones((3, problem.n_players), dtype=bool)
    bad[1, 0] = bad[2, 5] = False
    with pytest.raises(DivergenceError) as caught:
        UnlearningGame(problem, Broken(how))(bad)
    message = str(caught.value)
    assert "'broken'" in message
    assert f"how={how!r}" in message
    assert what in message
    assert "keeps 39 of 40 players (1, 2, 3, 4, 5, 6, ...)" in message
    assert caught.value.coalition == tuple(bad[1])
    assert isinstance(caught.value, UnshapError)
    if how == "raise":
        assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("how", ["nan", "raise"])
def test_excluded_coalitions_are_counted_and_do_not_become_numbers(problem, how):
    bad = np.ones((3, problem.n_players), dtype=bool)
    bad[1, 0] = bad[2, 5] = False
    game = UnlearningGame(problem, Broken(how), on_error="exclude")
    values = game(bad)
    assert np.isnan(values[1]).all()
    assert np.isfinite(values[[0, 2]]).all()
    assert game.excluded == 1
    with pytest.raises(DivergenceError, match=r"keeps 0 of 40 players was excluded"):
        shapley_values(game, budget=200)


def test_a_utility_that_is_not_finite_is_an_error(problem):
    def nan_when_bad(outputs, targets):
        accuracy = (outputs.argmax(1) == targets).double().mean()
        return accuracy if accuracy > 0.7 else torch.nan

    data = (problem.x, problem.y), (problem.x_test, problem.y_test)
    picky = ValuationProblem(problem.model, *data, metric=nan_when_bad, fit=problem.recipe)
    with pytest.raises(DivergenceError, match=r"led to a utility of nan for the coalition that keeps 0 of 40"):
        UnlearningGame(picky, "newton")(np.zeros((1, 40), dtype=bool))


# 6. An unlearner states what it needs.


def test_partial_access_refuses_what_needs_retained_rows_and_names_what_works(problem):
    data = (problem.x, problem.y), (problem.x_test, problem.y_test)
    partial = ValuationProblem(problem.model, *data, access="partial", fit=problem.recipe)
    for name in ("retrain", "newton", "finetune"):
        with pytest.raises(AccessError) as caught:
            UnlearningGame(partial, name)
        assert f"unlearner {name!r} needs access to RETAIN" in str(caught.value)
        assert "gradient_ascent" in str(caught.value).split("unlearners that would work: ")[1]
        assert name not in str(caught.value).split("unlearners that would work: ")[1]
    assert Access.RETAIN not in UnlearningGame(partial).unlearner.needs


def test_a_model_without_parameters_refuses_gradient_unlearners():
    from sklearn.tree import DecisionTreeClassifier

    problem = early_stopped()
    train = problem.x.numpy(), problem.y.numpy()
    tree = DecisionTreeClassifier(random_state=0).fit(*train)
    other = ValuationProblem(tree, train, train)
    for name in ("newton", "finetune", "gradient_ascent"):
        with pytest.raises(AccessError) as caught:
            UnlearningGame(other, name)
        assert "takes torch modules with trainable parameters, but DecisionTreeClassifier is not one of these" in str(
            caught.value
        )
        assert str(caught.value).endswith("unlearners that would work: retrain.")
    assert UnlearningGame(other).unlearner.name == "retrain"


# 7. Every number carries its uncertainty and its provenance.


@EVERY
def test_results_say_how_they_were_made(problem, name):
    game = UnlearningGame(problem, name, seed=3)
    result = shapley_values(game, budget=200, seed=5)
    assert result.std_errors.shape == result.values.shape
    assert (result.std_errors >= 0).all()
    assert (result.unlearner, dict(result.settings)) == (name, dict(resolve_unlearner(name).settings))
    assert (result.seed, result.game_seed, result.estimator, result.access) == (5, 3, "stratified", "full")
    assert result.evaluations == game.evaluations <= result.asked <= 200
    assert {"unshap-plugin", "torch", "numpy", "python"} <= set(result.versions)
    assert result.seconds > 0


# 8. Utilities may be vectors.


@EVERY
def test_several_metrics_cost_nothing_and_equal_each_alone(problem, name):
    data = (problem.x, problem.y), (problem.x_test, problem.y_test)
    matrix = coalitions(7, problem.n_players)
    both = UnlearningGame(problem, name)(matrix)
    assert both.shape == (7, 2)
    for column, metric in enumerate(["accuracy", "log_likelihood"]):
        alone = ValuationProblem(
            problem.model, *data, metric=metric, fit=problem.recipe, reference=problem.reference[0]
        )
        assert np.array_equal(both[:, column], UnlearningGame(alone, name)(matrix))


def test_utilities_per_test_point(problem):
    def correct(outputs, targets):
        return (outputs.argmax(1) == targets).double()

    data = (problem.x, problem.y), (problem.x_test, problem.y_test)
    per_point = ValuationProblem(problem.model, *data, metric=correct)
    accuracy = ValuationProblem(problem.model, *data, metric="accuracy")
    # Permutations are linear in the utilities; "stratified" fits each column for itself.
    many = shapley_values(UnlearningGame(per_point, "newton"), "permutation", budget=320)
    one = shapley_values(UnlearningGame(accuracy, "newton"), "permutation", budget=320)
    assert many.values.shape == (40, 60)
    np.testing.assert_allclose(many.values.mean(axis=1), one.values, atol=1e-12)


@EVERY
def test_unlearners_can_be_pickled(name):
    unlearner = resolve_unlearner(name)
    assert pickle.loads(pickle.dumps(unlearner)) == unlearner
