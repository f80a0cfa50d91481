"""A registered estimator at work: what a plugin's does wrong is told apart from what the game does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.errors import PluginError, UnshapError
from unshap_plugin.estimators.base import Estimate, Estimator
from unshap_plugin.plugins.catalogue import BUILTIN, Registered

__all__ = ["estimate_with"]


def estimate_with(
    registered: Registered[type[Estimator]],
    game: Callable[[NDArray[np.bool_]], NDArray[np.float64]],
    budget: int | None,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Estimate, int]:
    """Return the values of the players of a game, and for how many utilities the estimator asked.

    Parameters
    ----------
    registered
        The estimator.
    game
        With ``n_players``; from bool ``[m, n_players]`` to float64 ``[m]`` or ``[m, t]``.
    budget, seed, progress
        As in ``shapley_values``.

    Raises
    ------
    PluginError
        If a plugin's estimator fails, or returns something else than an estimate for every player; what the game
        raises passes through.
    """
    n: int = game.n_players  # type: ignore[attr-defined]
    of_the_game: list[BaseException] = []

    def watched(coalitions: NDArray[np.bool_]) -> NDArray[np.float64]:
        try:
            return game(coalitions)
        except BaseException as error:
            of_the_game.append(error)
            raise

    who = f"estimator {registered.name!r} of {registered.provider}"
    try:
        method = registered.offer(n, budget, seed)
        estimate, asked = method.run(watched, progress), method.asked
    except (Exception, SystemExit) as error:
        ours = registered.provider.distribution == BUILTIN or isinstance(error, UnshapError)
        if ours or error in of_the_game:
            raise
        raise PluginError(f"{who} failed with {type(error).__name__}: {error}") from error
    if not isinstance(estimate, Estimate):
        raise PluginError(f"{who} returned a {type(estimate).__name__}, but an Estimate is needed.")
    shapes = {np.shape(one) for one in (estimate.values, estimate.std_errors, estimate.degrees_of_freedom)}
    if len(shapes) > 1 or next(iter(shapes))[:1] != (n,):
        raise PluginError(
            f"{who} returned arrays of the shapes {sorted(map(list, shapes))}, but for {n} players [{n}] or [{n}, t] "
            f"is needed for each."
        )
    return estimate, asked
