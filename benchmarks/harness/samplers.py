"""What is compared: estimators of ours, of shapiq and of pyDVL, on the same game with the same budget."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.games import Known
from harness.timing import NotRun
from unshap_plugin.errors import BudgetError, InvalidValueError
from unshap_plugin.estimators import METHODS, Permutation, Stratified
from unshap_plugin.estimators.auto import choose

__all__ = ["AUTO", "PERMUTATION", "SAMPLERS", "Sampler"]

#: From a game, a budget and a seed to values, and which of them lie within their 95% intervals, if there are any.
Sampler = Callable[[Known, int, int], tuple[NDArray[np.float64], NDArray[np.bool_] | None]]

PERMUTATION, AUTO = "permutation", "auto"
#: Beyond so many players those of others are not run.
MOST_PLAYERS = 60
ROUND_OFF = 1e-9


def ours(
    make: Callable[..., Any], game: Known, budget: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return values, and whether the true ones lie within their intervals.

    Raises
    ------
    NotRun
        If the budget is too small, or there are too many players.
    """
    try:
        result = make(game.n_players, budget, seed).run(game.utilities)
    except (BudgetError, InvalidValueError) as error:
        raise NotRun(str(error)) from error
    half = stats.t.ppf(0.975, result.degrees_of_freedom) * result.std_errors + ROUND_OFF
    return result.values, np.abs(result.values - game.values) <= half


def auto(players: int, budget: int, seed: int) -> Any:
    """Return the estimator that ``auto`` chooses."""
    name = choose(players, budget)[0]
    return {one.name: one for one in METHODS}[name](players, budget, seed)


def shapiq(name: str, game: Known, budget: int, seed: int) -> tuple[NDArray[np.float64], None]:
    """Return the values of one of shapiq's approximators.

    Raises
    ------
    NotRun
        If shapiq is not installed, or there are too many players for it to be done soon.
    """
    if game.n_players > MOST_PLAYERS:
        raise NotRun("too many players")
    try:
        from shapiq import approximator
    except ImportError as error:
        raise NotRun("shapiq is not installed") from error
    made = getattr(approximator, name)(n=game.n_players, random_state=seed)
    found = made.approximate(budget, lambda coalitions: game.utilities(np.atleast_2d(coalitions).astype(bool)))
    return np.array([found[(player,)] for player in range(game.n_players)]), None


def pydvl(name: str, game: Known, budget: int, seed: int) -> tuple[NDArray[np.float64], None]:
    """Return the values by one of pyDVL's samplers of permutations, each of which takes a utility to a player.

    Raises
    ------
    NotRun
        If pyDVL is not installed, there are too many players for it to be done soon, or too few utilities for one.
    """
    if game.n_players > MOST_PLAYERS:
        raise NotRun("too many players")
    try:
        from pydvl.valuation import dataset, methods, samplers, stopping
        from pydvl.valuation.utility.base import UtilityBase
    except ImportError as error:
        raise NotRun("pyDVL is not installed") from error

    class Utility(UtilityBase):  # type: ignore[misc]
        """The game, asked for one coalition at a time."""

        def __call__(self, sample: Any) -> float:
            kept = np.zeros((1, game.n_players), dtype=bool)
            kept[0, [] if sample is None else np.asarray(sample.subset, dtype=int)] = True
            return float(game.utilities(kept)[0])

    rows = np.arange(game.n_players, dtype=float)
    sampler, enough = getattr(samplers, name)(seed=seed), stopping.MinUpdates(budget // game.n_players)
    found = methods.ShapleyValuation(Utility(), sampler, enough).fit(dataset.Dataset(rows[:, None], rows)).result
    values = np.full(game.n_players, np.nan)
    values[np.asarray(found.indices)] = found.values
    return values, None


SAMPLERS: dict[str, Sampler] = {
    PERMUTATION: partial(ours, Permutation),
    "stratified, linear": partial(ours, partial(Stratified, surrogate="linear")),
    "stratified, gp": partial(ours, partial(Stratified, surrogate="gp")),
    AUTO: partial(ours, auto),
    "shapiq, KernelSHAP": partial(shapiq, "KernelSHAP"),
    "shapiq, UnbiasedKernelSHAP": partial(shapiq, "UnbiasedKernelSHAP"),
    "shapiq, SVARM": partial(shapiq, "SVARM"),
    "shapiq, StratifiedSamplingSV": partial(shapiq, "StratifiedSamplingSV"),
    "pyDVL, permutations": partial(pydvl, "PermutationSampler"),
    "pyDVL, antithetic permutations": partial(pydvl, "AntitheticPermutationSampler"),
}
