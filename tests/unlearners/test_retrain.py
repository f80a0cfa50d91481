"""Retraining: batched against the plain loop, and for anything with fit and predict."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from problems import breast_cancer, coalitions
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC
from torch import nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem
from unshap_plugin.errors import AccessError, DivergenceError, InvalidTypeError, InvalidValueError, UnknownNameError
from unshap_plugin.unlearners import Retrain
from unshap_plugin.unlearners.retrain import _train_each, _train_stacked

RECIPES = {
    "adam in minibatches": {"optimizer": "adam", "epochs": 3, "batch_size": 7},
    "adamw": {"optimizer": "adamw", "epochs": 2, "batch_size": 16, "options": {"weight_decay": 0.1}},
    "sgd with momentum": {"optimizer": "sgd", "lr": 0.1, "epochs": 3, "batch_size": 5, "options": {"momentum": 0.9}},
    "full batch with a penalty": {"optimizer": "adam", "epochs": 10, "batch_size": None, "l2": {"0.weight": 2.0}},
    "minibatches with a penalty": {"optimizer": "sgd", "epochs": 3, "batch_size": 9, "l2": 0.5},
    "as transformers trains": {
        "optimizer": "adamw",
        "epochs": 3,
        "batch_size": 6,
        "options": {"weight_decay": 0.1},
        "schedule": "linear",
        "clip": 0.3,
    },
    "half a cosine after a warmup": {"epochs": 4, "batch_size": 7, "schedule": "cosine", "warmup": 0.3},
    "sgd with a warmup": {"optimizer": "sgd", "lr": 0.1, "options": {"momentum": 0.9}, "warmup": 5, "clip": 0.2},
    "a schedule over full batches": {"epochs": 6, "batch_size": None, "schedule": "linear", "l2": 2.0, "clip": 0.5},
}


def network(*extra):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 4), *extra, nn.Tanh(), nn.Linear(4, 2)).double()


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_batched_retraining_equals_training_each(recipe):
    train, test = breast_cancer()
    module = network()
    problem = ValuationProblem(module, train, test, fit={**recipe, "init": network()})
    matrix = np.vstack([coalitions(10, 40), np.zeros((1, 40), dtype=bool), np.ones((1, 40), dtype=bool)])
    retained = problem.retained(matrix)
    initial = problem.recipe.initial_state(module, 3)
    fast = _train_stacked(problem.recipe, problem.engine, initial, problem, retained, 3)
    slow = _train_each(problem.recipe, problem.engine, initial, problem, retained, 3)
    for name in slow:
        torch.testing.assert_close(fast[name], slow[name], atol=1e-10, rtol=0)
    assert torch.equal(fast["0.weight"][10], initial["0.weight"]), "no rows: the initial parameters"


def test_retraining_reproduces_the_given_model():
    """Trained on everything with the seed of the training, retraining is the training."""
    train, test = breast_cancer()
    recipe = Recipe(epochs=4, batch_size=8, init=network())
    x, y = torch.as_tensor(train[0]), torch.as_tensor(train[1])
    from unshap_plugin.losses import cross_entropy

    model = recipe.train(network(), cross_entropy, x, y, seed=5)
    problem = ValuationProblem(model, train, test, fit=recipe)
    everything = np.ones((1, 40), dtype=bool)
    again = Retrain()._unlearn(problem, everything, 5)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(again.state[name][0], value, atol=1e-10, rtol=0)


def test_layers_that_draw_are_trained_one_by_one_with_a_warning():
    train, test = breast_cancer()
    problem = ValuationProblem(
        network(nn.Dropout(0.5)), train, test, fit=Recipe(epochs=2, batch_size=20), metric="log_likelihood"
    )
    matrix = coalitions(6, 40)
    matrix = matrix[matrix.sum(axis=1) > 1]
    with pytest.warns(
        UserWarning, match="Sequential cannot be retrained .* because of Dropout in training mode"
    ) as seen:
        values = UnlearningGame(problem, "retrain")(matrix)
    assert len(seen) == 1
    assert np.array_equal(values[::-1], UnlearningGame(problem, "retrain")(matrix[::-1]))


def test_lbfgs_reaches_the_optimum_of_scikit_learn():
    (x, y), test = breast_cancer()
    start = nn.Linear(6, 1).double()
    recipe = Recipe("lbfgs", lr=1.0, epochs=300, batch_size=None, l2={"weight": 1.0}, init=start)
    problem = ValuationProblem(start, (x, y), test, loss="binary_cross_entropy_with_logits", fit=recipe)
    matrix = coalitions(6, 40)
    matrix = matrix[[len(np.unique(y[row])) == 2 for row in matrix]]
    with pytest.warns(UserWarning, match="because of the optimiser lbfgs"):
        models = Retrain().unlearn(problem, matrix, 0)
    for k, row in enumerate(matrix):
        fitted = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(x[row], y[row])
        np.testing.assert_allclose(models.state["weight"][k].numpy(), fitted.coef_, atol=2e-4)


@pytest.mark.parametrize(
    "model",
    [LogisticRegression(), KNeighborsClassifier(3), LinearSVC(), RandomForestClassifier(5)],
    ids=lambda model: type(model).__name__,
)
def test_scikit_learn_classifiers_are_refitted(model):
    (x, y), (x_test, y_test) = breast_cancer()
    problem = ValuationProblem(model.fit(x, y), (x, y), (x_test, y_test), metric="accuracy")
    game = UnlearningGame(problem, "retrain")
    matrix = coalitions(12, 40, seed=1)
    matrix = matrix[(matrix.sum(axis=1) > 3) & [len(np.unique(y[row])) == 2 for row in matrix]]
    state = np.random.get_state()[1].copy()
    values = game(matrix)
    assert np.array_equal(state, np.random.get_state()[1])
    assert np.array_equal(values, UnlearningGame(problem, "retrain")(matrix[::-1])[::-1])
    if not isinstance(model, RandomForestClassifier | LinearSVC):  # those draw random numbers
        expected = [type(model)(**model.get_params()).fit(x[r], y[r]).score(x_test, y_test) for r in matrix]
        np.testing.assert_allclose(values, expected)
    assert game(np.zeros((1, 40), dtype=bool))[0] == (y_test == 0).mean(), (
        "no rows: all classes alike, the first is said"
    )
    one_class = (y == 1)[None]
    assert game(one_class)[0] == (y_test == 1).mean(), "one class: that class is said"


def test_scikit_learn_regressors_are_refitted():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    y = x @ [1.0, -2.0, 0.5] + rng.normal(size=60)
    problem = ValuationProblem(Ridge().fit(x[:30], y[:30]), (x[:30], y[:30]), (x[30:], y[30:]), metric="r2")
    matrix = coalitions(8, 30)
    matrix = matrix[matrix.sum(axis=1) > 0]
    expected = [Ridge().fit(x[:30][r], y[:30][r]).score(x[30:], y[30:]) for r in matrix]
    np.testing.assert_allclose(UnlearningGame(problem)(matrix), expected, atol=1e-9)


def test_a_fit_that_fails_is_named_and_can_be_excluded():
    (x, y), test = breast_cancer()
    problem = ValuationProblem(KNeighborsClassifier(5).fit(x, y), (x, y), test)
    few = np.zeros((1, 40), dtype=bool)
    few[0, [np.flatnonzero(y == 0)[0], np.flatnonzero(y == 1)[0]]] = True
    with pytest.raises(
        DivergenceError, match=r"'retrain' \(no settings\) failed with ValueError: .* keeps 2 of 40 players"
    ) as caught:
        UnlearningGame(problem)(few)
    assert isinstance(caught.value.__cause__, ValueError)
    game = UnlearningGame(problem, on_error="exclude")
    assert np.isnan(game(few)).all()
    assert game.excluded == 1


class Own(nn.Module):
    """A parameter outside any layer: nobody knows how it is initialised."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(6, 2, dtype=torch.float64))

    def forward(self, x):
        return x @ self.weight


def test_unknown_initial_parameters():
    train, test = breast_cancer()
    problem = ValuationProblem(network(), train, test, fit=Recipe(epochs=1))
    state = problem.recipe.initial_state(problem.model, 0)
    assert torch.equal(state["0.weight"], problem.recipe.initial_state(problem.model, 0)["0.weight"])
    assert not torch.equal(state["0.weight"], problem.recipe.initial_state(problem.model, 1)["0.weight"])
    with pytest.raises(InvalidValueError, match=r"Own cannot draw its own .*pass fit=Recipe\(init=...\)"):
        UnlearningGame(ValuationProblem(Own(), train, test, fit=Recipe()), "retrain")(coalitions(2, 40))
    with pytest.raises(InvalidValueError, match=r"init lacks '0.weight'"):
        Recipe(init={}).initial_state(problem.model, 0)
    with pytest.raises(
        AccessError, match=r"pass fit=Recipe\(...\) to the problem; unlearners that would work: .*newton"
    ):
        UnlearningGame(ValuationProblem(network(), train, test), "retrain")


@pytest.mark.parametrize(
    ("fit", "error", "message"),
    [
        ({"optimiser": "adam"}, InvalidValueError, r"fit has no setting 'optimiser' \(did you mean 'optimizer'\?\)"),
        ({"optimizer": "adma"}, UnknownNameError, r"unknown optimizer 'adma' \(did you mean 'adam'\?\)"),
        ({"lr": 0.0}, InvalidValueError, "lr is 0.0"),
        ({"epochs": 0}, InvalidValueError, "epochs is 0"),
        ({"batch_size": 0}, InvalidValueError, "batch_size is 0"),
        ({"l2": -1.0}, InvalidValueError, "l2 is -1.0"),
        ({"schedule": "cosin"}, UnknownNameError, r"unknown schedule 'cosin' \(did you mean 'cosine'\?\)"),
        ({"warmup": 1.5}, InvalidValueError, "warmup is 1.5, but a whole number of steps, or a share of them"),
        ({"warmup": -1}, InvalidValueError, "warmup is -1, but a whole number of steps"),
        ({"warmup": "5"}, InvalidTypeError, "warmup is '5', but a whole number of steps"),
        ({"clip": 0.0}, InvalidValueError, "clip is 0.0"),
        ({"optimizer": "lbfgs", "warmup": 3}, InvalidValueError, "which lbfgs does not: leave them out"),
        ("adam", InvalidTypeError, "fit is a str"),
    ],
)
def test_bad_recipes(fit, error, message):
    train, test = breast_cancer()
    with pytest.raises(error, match=message):
        ValuationProblem(network(), train, test, fit=fit)
