"""The approximators of shapiq itself, as estimators. Collected where shapiq is installed."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from unshap_plugin import UnlearningGame, shapley_values
from unshap_plugin.errors import BudgetError, UnknownNameError
from unshap_plugin.plugins.registry import find_estimator

NAMES = ["KernelSHAP", "UnbiasedKernelSHAP", "SVARM", "PermutationSamplingSV", "StratifiedSamplingSV", "OwenSamplingSV"]


class Tanh:
    """A game that counts what it is asked for."""

    n_players = 6

    def __init__(self):
        self.asked = []

    def __call__(self, coalitions):
        self.asked.append(coalitions)
        return np.tanh(coalitions @ np.arange(6) / 5) + coalitions[:, 0] * coalitions[:, 1]


@pytest.mark.parametrize("name", NAMES)
def test_its_values_are_those_that_shapiq_has_on_the_same_game(name):
    from shapiq import approximator

    game = Tanh()
    result = shapley_values(game, f"shapiq:{name}", 50, seed=3)
    plain = getattr(approximator, name)(n=6, random_state=3)
    theirs = plain.approximate(50, lambda rows: Tanh()(np.atleast_2d(rows)))
    np.testing.assert_array_equal(result.values, [theirs[(player,)] for player in range(6)])
    asked = np.concatenate(game.asked[:-1])  # without the ends, which the result shows
    assert len(np.unique(asked, axis=0)) == len(asked) == result.asked <= 50
    assert np.isnan(result.std_errors).all()
    assert result.notes[0].startswith(f"estimator 'shapiq:{name}' has no standard errors")
    assert (result.estimator, result.seed) == (f"shapiq:{name}", 3)
    assert "shapiq" in result.versions


@pytest.mark.parametrize("name", ["KernelSHAP", "UnbiasedKernelSHAP", "SVARM"])
def test_all_coalitions_give_the_shapley_values(name):
    np.testing.assert_allclose(
        shapley_values(Tanh(), f"shapiq:{name}", 64).values, shapley_values(Tanh(), "exact").values, atol=1e-6
    )


def test_a_real_game_with_two_metrics_is_valued_column_by_column(five_providers):
    game = UnlearningGame(five_providers, "newton")
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    one = shapley_values(game, "shapiq:KernelSHAP", 20, seed=1)
    assert torch.equal(states[0], torch.get_rng_state())
    assert (states[1] == np.random.get_state()[1]).all()
    assert states[2] == random.getstate()

    class Twice:
        n_players = 5

        def __call__(self, coalitions):
            return np.stack([game(coalitions), -2 * game(coalitions)], axis=1)

    both = shapley_values(Twice(), "shapiq:KernelSHAP", 20, seed=1)
    np.testing.assert_allclose(both.values, np.stack([one.values, -2 * one.values], axis=1), atol=1e-12)


def test_names_that_give_no_shapley_values_are_not_offered():
    with pytest.raises(UnknownNameError, match=r"'shapiq:KernelSHPA' \(did you mean 'shapiq:KernelSHAP'\?\)"):
        find_estimator("shapiq:KernelSHPA")
    with pytest.raises(UnknownNameError, match=r"unknown estimator 'shapiq:KernelSHAPIQ'"):
        find_estimator("shapiq:KernelSHAPIQ")


def test_a_budget_that_does_not_reach_everybody_is_refused():
    with pytest.raises(BudgetError, match=r"budget=4 is too small: with it .* player number 0; give a larger one\."):
        shapley_values(Tanh(), "shapiq:PermutationSamplingSV", 4)
