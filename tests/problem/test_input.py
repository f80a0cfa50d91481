"""Input that once gave a wrong number, or a traceback of somebody else's, in silence."""

# ruff: noqa: E501
from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from problems import breast_cancer, coalitions, early_stopped
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression, Ridge
from torch import nn
from torch.nn import functional as F

from unshap_plugin import Recipe, UnlearningGame, UnshapError, ValuationProblem, compute_artifacts, shapley_values
from unshap_plugin.errors import AccessError, DivergenceError, InvalidTypeError, InvalidValueError

(X, Y), (XT, YT) = breast_cancer()


def net(outputs=2):
    torch.manual_seed(0)
    return nn.Linear(6, outputs).double()


class Returns(nn.Module):
    """Returns something else than its outputs."""

    def __init__(self, what):
        super().__init__()
        self.linear, self.what = net(), what

    def forward(self, x):
        return {"dict": {"scores": self.linear(x)}, "tuple": (self.linear(x),), "none": None}[self.what]


def raises_for_some(outputs, targets):
    if (outputs.argmax(1) == targets).double().mean() < 0.7:
        raise KeyError("no score")
    return 1.0


REAL, REAL_TEST = X[:, 0].copy(), XT[:, 0].copy()
BAD = {
    "column labels for a classifier": (lambda: ValuationProblem(LogisticRegression().fit(X, Y), (X, Y), (XT, np.stack([YT, YT], 1))), "one class label per row"),
    "labels that it was not fitted on": (lambda: ValuationProblem(LogisticRegression().fit(X, 2 * Y - 1), (X, Y), (XT, YT)), r"train y has class 0 in row \d+, but the model was fitted on -1, 1"),
    "log-likelihood of real numbers": (lambda: ValuationProblem(net(1), (X, REAL), (XT, REAL_TEST), loss="mse", metric="log_likelihood"), "metric 'log_likelihood' needs class labels"),
    "accuracy of several outputs": (lambda: ValuationProblem(net(2), (X, X[:, :2]), (XT, XT[:, :2]), loss="mse", metric="accuracy"), "metric 'accuracy' needs class labels"),
    "logistic loss of -1 and 1": (lambda: ValuationProblem(net(1), (X, 2.0 * Y - 1), (XT, YT), loss="binary_cross_entropy_with_logits"), "needs targets from 0 to 1, but they go from -1 to 1"),
    "one class of a logistic loss": (lambda: ValuationProblem(net(1), (X, 0.0 * Y), (XT, YT), loss="binary_cross_entropy_with_logits"), "train has the single class 0"),
    "penalty of no parameter": (lambda: ValuationProblem(net(), (X, Y), (XT, YT), fit={"l2": {"wieght": 1.0}}), r"'wieght' \(did you mean 'weight'\?\)"),
    "nan among text": (lambda: ValuationProblem(net(), (X, Y), (XT, YT), groups=[float("nan"), *"ab" * 19, "a"]), "groups has no label in 1 rows"),
    "missing time": (lambda: ValuationProblem(net(), (X, Y), (XT, YT), groups=pd.to_datetime([None, *["2020-01-01"] * 39])), "groups has no label in 1 rows"),
    "dict outputs": (lambda: ValuationProblem(Returns("dict"), (X, Y), (XT, YT)), "the model returned a dict, but a tensor"),
    "tuple outputs": (lambda: ValuationProblem(Returns("tuple"), (X, Y), (XT, YT)), "the model returned a tuple, but a tensor"),
    "no outputs": (lambda: ValuationProblem(Returns("none"), (X, Y), (XT, YT)), "the model returned a NoneType, but a tensor"),
    "loss of None": (lambda: ValuationProblem(net(), (X, Y), (XT, YT), loss=lambda o, y: None), "the loss returned a NoneType"),
    "metric with a bug": (lambda: ValuationProblem(net(), (X, Y), (XT, YT), metric=lambda o, y: {}["x"]), r"cannot be computed .*KeyError"),
    "one valued": (lambda: ValuationProblem(net(), (X, Y), (XT, YT), valued=3), "valued is 3, but a list of groups"),
    "text valued": (lambda: ValuationProblem(net(), (X, Y), (XT, YT), groups=list("ab") * 20, valued="a"), "valued is 'a', but a list of groups"),
    "columns of other names": (lambda: ValuationProblem(net(), (pd.DataFrame(X), Y), (pd.DataFrame(XT, columns=list("abcdef")), YT)), "train x has the columns 0, 1, .*, but test x lacks the columns 0, .* and has the columns 'a', .* beyond them"),
    "numbers as text": (lambda: ValuationProblem(net(), (X.astype(str), Y), (XT, YT)), "train x has dtype <U.*, but numbers are needed"),
    "ragged rows": (lambda: ValuationProblem(net(), ([[1.0], [1.0, 2.0]], Y), (XT, YT)), "train x is not an array"),
    "no problem": (lambda: UnlearningGame(3), "problem is a int, but a ValuationProblem"),
    "artefacts of a model": (lambda: compute_artifacts(net()), "problem is a Linear, but a ValuationProblem"),
    "no game": (lambda: shapley_values(lambda c: c.sum(1)), "game is a function, but an UnlearningGame"),
    "steps of text": (lambda: UnlearningGame(early_stopped(), "newton", steps="3"), "steps is '3', but a whole number"),
    "half steps": (lambda: UnlearningGame(early_stopped(), "finetune", steps=2.5), "steps is 2.5, but a whole number"),
    "true steps": (lambda: UnlearningGame(early_stopped(), "finetune", steps=True), "steps is True, but a whole number"),
    "rate of text": (lambda: UnlearningGame(early_stopped(), "finetune", lr="x"), "lr is 'x', but a finite number above 0"),
    "chunk of text": (lambda: UnlearningGame(early_stopped(), chunk="3"), "chunk is '3', but a whole number"),
    "huge seed": (lambda: UnlearningGame(early_stopped(), seed=2**65), "seed is 36893488147419103232, but a whole number from 0 to 9"),
    "true seed": (lambda: UnlearningGame(early_stopped(), seed=True), "seed is True, but a whole number"),
    "epochs of text": (lambda: Recipe(epochs="2"), "epochs is '2', but a whole number"),
    "unknown option": (lambda: Recipe(options={"betes": 1}), r"no option 'betes' \(did you mean 'betas'\?\)"),
    "init of a number": (lambda: Recipe(init=3), "init is a int"),
    "few macro steps": (lambda: UnlearningGame(early_stopped(), "replay", steps=1), "steps is 1, but a whole number of at least 3"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD)
def test_is_one_clear_sentence(make, message):
    with pytest.raises(UnshapError, match=message) as caught:
        make()
    assert isinstance(caught.value, InvalidTypeError | InvalidValueError)


def test_a_metric_that_fails_for_some_coalition_names_it_and_can_be_excluded():
    problem = ValuationProblem(LogisticRegression().fit(X, Y), (X, Y), (XT, YT), metric=raises_for_some)
    nobody = np.zeros((1, 40), dtype=bool)
    with pytest.raises(
        DivergenceError,
        match=r"metric 'raises_for_some' with KeyError: 'no score' for the coalition that keeps 0 of 40",
    ):
        UnlearningGame(problem)(nobody)
    game = UnlearningGame(problem, on_error="exclude")
    assert np.isnan(game(nobody)).all()
    assert game.excluded == 1


@pytest.mark.parametrize("name", ["auto", "retrain", "newton"])
def test_frozen_models_are_refused(name):
    frozen = net().requires_grad_(False)
    problem = ValuationProblem(frozen, (X, Y), (XT, YT), fit=Recipe())
    with pytest.raises(AccessError, match="no registered unlearner would work"):
        UnlearningGame(problem, name)


def test_integer_targets_of_a_regressor_are_numbers():
    y, y_test = np.arange(40), np.arange(60)
    problem = ValuationProblem(Ridge().fit(X, y), (X, y), (XT, y_test), metric="r2")
    assert np.isfinite(UnlearningGame(problem)(coalitions(3, 40))).all()


def test_a_single_provider_can_be_valued_in_partial_access():
    problem = ValuationProblem(net(), (X, Y), (XT, YT), groups=["me"] * 40, access="partial")
    result = shapley_values(UnlearningGame(problem, "gradient_ascent"), "exact")
    np.testing.assert_allclose(result.values, [result.utility_all - result.utility_none])


@pytest.mark.parametrize("kind", [">f8", "f2"])
def test_numbers_that_torch_has_no_type_for_are_converted(kind):
    x, xt = (np.abs(a * 10).astype(kind) for a in (X, XT))
    problem = ValuationProblem(net(), (x, Y.astype("u4")), (xt, YT))
    np.testing.assert_allclose(problem.x.numpy(), x.astype(float))


class Tied(nn.Module):
    """Two names for one parameter, and dropout as a function."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Linear(6, 6).double(), nn.Linear(6, 6).double()
        self.b.weight = self.a.weight
        self.head = nn.Linear(6, 2).double()

    def forward(self, x):
        return self.head(F.dropout(self.b(self.a(x).tanh()).tanh(), 0.5, self.training))


def test_tied_weights_and_functional_dropout_are_retrained_one_by_one():
    problem = ValuationProblem(Tied(), (X, Y), (XT, YT), metric="log_likelihood", fit=Recipe(epochs=2, init=Tied()))
    matrix = coalitions(4, 40)
    with pytest.warns(UserWarning, match="because of Tied in training mode"):
        values = UnlearningGame(problem, "retrain")(matrix)
    assert np.isfinite(values).all()
    np.testing.assert_array_equal(values, UnlearningGame(problem, "retrain")(matrix))
    assert UnlearningGame(problem).unlearner.name == "graddiff", "a replay would not see the dropout"


@pytest.mark.parametrize("name", ["newton", "replay", "finetune", "retrain"])
def test_without_a_row_the_model_is_the_initial_one(name):
    problem = early_stopped(hidden=4)
    nobody = np.zeros((1, 40), dtype=bool)
    initial = ValuationProblem(
        _with(problem.model, problem.recipe.init), (problem.x, problem.y), (problem.x_test, problem.y_test),
        metric={"accuracy": "accuracy", "ll": "log_likelihood"},
    )  # fmt: skip
    np.testing.assert_allclose(UnlearningGame(problem, name)(nobody)[0], initial.given_utility, rtol=1e-12)


def _with(module, state):
    import copy

    other = copy.deepcopy(module)
    other.load_state_dict(state)
    return other


def test_the_replay_of_a_network_is_nearer_to_retraining_than_doing_nothing():
    (x, y), test = breast_cancer(rows=120, tests=150, features=30)
    torch.manual_seed(0)
    start = nn.Sequential(nn.Linear(30, 8), nn.ReLU(), nn.Linear(8, 2))
    recipe = Recipe("adam", lr=0.01, epochs=10, batch_size=32, init=start)
    loss = F.cross_entropy
    model = recipe.train(
        start, lambda o, t: loss(o, t, reduction="none"), torch.as_tensor(x, dtype=torch.float32), torch.as_tensor(y)
    )
    problem = ValuationProblem(model, (x, y), test, metric="log_likelihood", fit=recipe)
    matrix = coalitions(150, 120)
    retrained = UnlearningGame(problem, "retrain", seed=1)(matrix)
    replayed = UnlearningGame(problem, "replay")(matrix)
    assert np.abs(replayed - retrained).mean() < 0.3 * np.abs(problem.given_utility - retrained).mean()
    assert spearmanr(replayed, retrained)[0] > 0.9
