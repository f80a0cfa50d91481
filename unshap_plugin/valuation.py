"""From a game to a result."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from unshap_plugin.errors import InvalidTypeError, check_integer
from unshap_plugin.estimators import resolve_estimator
from unshap_plugin.game import UnlearningGame
from unshap_plugin.result import ValuationResult
from unshap_plugin.versions import versions

__all__ = ["shapley_values"]


def shapley_values(
    game: UnlearningGame,
    estimator: str = "permutation",
    budget: int | None = None,
    seed: int = 0,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> ValuationResult:
    """Return the Shapley values of the players of a game.

    Parameters
    ----------
    game
        The game.
    estimator
        ``"permutation"`` (antithetic permutation sampling), or ``"exact"`` (all coalitions, up to 20 players).
    budget
        How many utilities the estimator may ask for, those already known included. By default 5,000, or as many as
        two antithetic pairs of permutations take if that is more; ``exact`` takes all.
    seed
        Of the estimator; the unlearner has its own, in the game.
    progress
        Called with the number of utilities so far, and in all.

    Raises
    ------
    BudgetError
        If the estimator cannot work within the budget.
    DivergenceError
        If the utility of a coalition cannot be had.
    """
    begin = time.perf_counter()
    if not isinstance(game, UnlearningGame):
        raise InvalidTypeError(f"game is a {type(game).__name__}, but an UnlearningGame is needed.")
    if budget is not None:
        check_integer("budget", budget, 0)
    check_integer("seed", seed, 0)
    method = resolve_estimator(estimator)(game.n_players, None if budget is None else int(budget), int(seed))
    estimate = method.run(game, progress)
    ends = game(np.array([[True] * game.n_players, [False] * game.n_players]))
    problem = game.problem
    return ValuationResult(
        players=tuple(game.players),
        values=estimate.values,
        std_errors=estimate.std_errors,
        degrees_of_freedom=estimate.degrees_of_freedom,
        metric=problem.metric.name,
        columns=problem.metric.parts,
        utility_all=ends[0],
        utility_none=ends[1],
        evaluations=game.evaluations,
        asked=method.asked,
        excluded=game.excluded,
        estimator=method.name,
        unlearner=game.unlearner.name,
        settings=dict(game.unlearner.settings),
        seed=int(seed),
        game_seed=game.seed,
        access=problem.access,
        seconds=time.perf_counter() - begin,
        versions=versions(game),
        notes=problem.notes,
    )
