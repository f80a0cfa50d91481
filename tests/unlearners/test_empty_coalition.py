"""Without a row to learn from, the answer is that of the initial model, where it is known, whatever the method."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem
from unshap_plugin.losses import cross_entropy, mse

GROUPS = np.repeat(list("abcd"), [3, 5, 4, 6])
torch.manual_seed(0)
X, XT = torch.randn(18, 3).double(), torch.randn(25, 3).double()
NUMBERS, NUMBERS_T = (5 + x @ torch.tensor([1.0, -1.0, 0.5]).double() for x in (X, XT))
FULL, NOBODY = [True] * 4, [False] * 4


def problem(start, loss="mse", known=True, **recipe):
    trained = Recipe("adam", lr=0.1, epochs=5, batch_size=6, init=start, **recipe)
    y, yt = (NUMBERS, NUMBERS_T) if loss == "mse" else ((NUMBERS > 5).long(), (NUMBERS_T > 5).long())
    model = trained.train(start, mse if loss == "mse" else cross_entropy, X, y)
    fit = trained if known else None
    return ValuationProblem(model, (X, y), (XT, yt), groups=GROUPS, loss=loss, fit=fit)


def linear(k=1):
    torch.manual_seed(1)
    layer = nn.Linear(3, k).double()
    nn.init.constant_(layer.bias, 4.0)
    return layer


def network(k=1):
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, k)).double()


@pytest.mark.parametrize("made", [linear, network])
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize("unlearner", ["auto", "newton", "finetune", "replay", "retrain"])
def test_it_is_the_initial_model(made, loss, unlearner):
    start = made(1 if loss == "mse" else 2)
    asked = problem(start, loss)
    given, none = UnlearningGame(asked, unlearner)([FULL, NOBODY])
    with torch.no_grad():
        outputs = start(XT)
        right = -mse(outputs, NUMBERS_T) if loss == "mse" else -cross_entropy(outputs, (NUMBERS_T > 5).long())
    assert none == pytest.approx(float(right.mean()), abs=1e-9)
    assert given == asked.given_utility


@pytest.mark.parametrize("l2", [0.0, 0.5])
def test_of_the_exact_solution_too_penalised_or_not(l2):
    start = linear()
    recipe = Recipe("lbfgs", lr=1.0, epochs=200, batch_size=None, l2=l2, init=start)
    model = recipe.train(start, mse, X, NUMBERS)
    asked = ValuationProblem(model, (X, NUMBERS), (XT, NUMBERS_T), groups=GROUPS, loss="mse", fit=recipe)
    right = -float(mse(start(XT), NUMBERS_T).mean().detach())
    for unlearner in ("auto", "linear_exact", "newton"):
        assert UnlearningGame(asked, unlearner)([NOBODY])[0] == pytest.approx(right, abs=1e-9)


def test_where_it_is_not_known_each_method_has_a_convention():
    asked = problem(linear(), known=False)
    zero = -float(NUMBERS_T.square().mean())
    assert UnlearningGame(asked, "newton")([NOBODY])[0] == pytest.approx(zero, abs=1e-9)
    kept = UnlearningGame(asked, "finetune")([NOBODY])[0]
    assert kept > zero, "the bias is as given, the weight is shrunk"
    drawn = ValuationProblem(
        asked.given_model, (X, NUMBERS), (XT, NUMBERS_T), groups=GROUPS, loss="mse", fit=Recipe(epochs=1)
    )
    first, second = (UnlearningGame(drawn, "retrain", seed=seed)([NOBODY])[0] for seed in (0, 1))
    assert first != second, "drawn from the seed"
