"""Averages of models that were trained on each player alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from problems import breast_cancer, coalitions, early_stopped
from sklearn.linear_model import LogisticRegression
from torch import nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem
from unshap_plugin.errors import AccessError
from unshap_plugin.losses import cross_entropy
from unshap_plugin.unlearners import Merge
from unshap_plugin.unlearners import merge as module

GROUPS = np.repeat(list("abcde"), [3, 5, 8, 10, 14])


def made(**kwargs):
    return early_stopped(hidden=4, **{"groups": GROUPS, **kwargs})


def naive(problem, coalition, seed):
    """The formula of the docstring, one player after the other."""
    recipe, given = problem.recipe, dict(problem.model.named_parameters())
    start = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    start.load_state_dict(recipe.init)

    def average(players):
        total, rows = {name: torch.zeros_like(p) for name, p in given.items()}, 0
        for player in players:
            mine = torch.as_tensor(problem.player_of_row == player)
            alone = recipe.train(start, cross_entropy, problem.x, problem.y, rows=mine, seed=seed)
            rows += int(mine.sum())
            for name, p in alone.named_parameters():
                total[name] += int(mine.sum()) * (p.detach() - recipe.init[name])
        return {name: recipe.init[name] + p / max(rows, 1) for name, p in total.items()}

    background = [-1] if (problem.player_of_row == -1).any() else []
    everybody = [*range(problem.n_players), *background]
    kept = [*np.flatnonzero(coalition), *background]
    share = np.isin(problem.player_of_row, kept).mean()
    own, whole = average(kept), average(everybody)
    return {name: own[name] + share * (p.detach() - whole[name]) for name, p in given.items()}


@pytest.mark.parametrize("valued", [None, ["a", "c", "d"]], ids=["all", "with a background"])
@pytest.mark.parametrize("at_once", [64, 2])
def test_equals_the_plain_loop_of_its_formula(valued, at_once, monkeypatch):
    monkeypatch.setattr(module, "_PLAYERS", at_once)
    problem = made(valued=valued)
    n = problem.n_players
    matrix = np.vstack([coalitions(4, n, seed=1), np.zeros((1, n), dtype=bool), np.ones((1, n), dtype=bool)])
    state = Merge().unlearn(problem, matrix, seed=3).state
    for k, coalition in enumerate(matrix):
        for name, expected in naive(problem, coalition, 3).items():
            torch.testing.assert_close(state[name][k], expected, atol=1e-9, rtol=1e-9)
    if valued is None:
        assert all(torch.equal(state[name][4], p) for name, p in problem.recipe.init.items()), "no rows"


def test_the_players_are_trained_once_for_each_seed(monkeypatch):
    asked, trainings = [], module.trained
    monkeypatch.setattr(
        module, "trained", lambda problem, rows, seed: asked.append((len(rows), seed)) or trainings(problem, rows, seed)
    )
    problem = made()
    game = UnlearningGame(problem, "merge", seed=0)
    everything = (np.arange(32)[:, None] >> np.arange(5) & 1).astype(bool)
    assert len(np.unique(game(everything))) > 20
    game(everything[::-1])
    assert asked == [(6, 0)]
    Merge().unlearn(game.problem, everything[:3], 1)
    assert asked == [(6, 0), (6, 1)]


def test_statistics_of_batch_norm_are_averaged_and_stay_variances():
    train, test = breast_cancer()
    torch.manual_seed(0)
    start = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)).double()
    recipe = Recipe("adam", lr=0.05, epochs=4, batch_size=8, init=start)
    model = recipe.train(start, cross_entropy, torch.as_tensor(train[0]), torch.as_tensor(train[1]))
    problem = ValuationProblem(model, train, test, groups=GROUPS, fit=recipe)
    matrix = (np.arange(32)[:, None] >> np.arange(5) & 1).astype(bool)
    state = Merge().unlearn(problem, matrix, 0).state
    means, variances = state["1.running_mean"], state["1.running_var"]
    assert bool((variances > 0).all())
    assert torch.equal(means[-1], model[1].running_mean)
    assert torch.equal(means[0], start[1].running_mean)
    sizes = np.array([3, 5, 8, 10, 14])
    alone = [
        recipe.train(start, cross_entropy, problem.x, problem.y, rows=torch.as_tensor(one == GROUPS))[1].running_mean
        for one in "ab"
    ]
    merged = (sizes[0] * alone[0] + sizes[1] * alone[1]) / 8
    torch.testing.assert_close(means[3], merged + 8 / 40 * (model[1].running_mean - merged), atol=1e-9, rtol=1e-9)
    assert "1.num_batches_tracked" not in state, "it counts: the given one"


def test_what_it_does_not_know_is_refused():
    train, test = breast_cancer()
    known = made()
    for fit in (None, Recipe("adam", epochs=3)):
        problem = ValuationProblem(known.model, (known.x, known.y), test, groups=GROUPS, fit=fit)
        with pytest.raises(AccessError, match=r"pass fit=Recipe\(..., init=...\) to the problem"):
            UnlearningGame(problem, "merge")
    with pytest.raises(AccessError, match="but LogisticRegression is fitted otherwise; unlearners that would work"):
        UnlearningGame(ValuationProblem(LogisticRegression().fit(*train), train, test, groups=GROUPS), "merge")
    with pytest.raises(AccessError, match=r"'merge' needs access to .*RETAIN"):
        UnlearningGame(made(access="partial"), "merge")
