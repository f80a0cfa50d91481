"""The audit: how far unlearning is from retraining, by coalition size."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from unshap_plugin.audit.report import FidelityReport
from unshap_plugin.audit.retraining import check_retrainable, evaluated, retrained
from unshap_plugin.audit.strata import draw
from unshap_plugin.errors import check_integer
from unshap_plugin.game import UnlearningGame
from unshap_plugin.problem.problem import ValuationProblem
from unshap_plugin.unlearners.base import Unlearner
from unshap_plugin.versions import versions

__all__ = ["audit", "retrain_seeds"]


def audit(
    problem: ValuationProblem,
    unlearner: str | Unlearner = "auto",
    *,
    settings: Mapping[str, Any] | None = None,
    coalitions: int | None = None,
    seeds: int = 2,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> FidelityReport:
    """Compare unlearned utilities with retrained ones, on coalitions of all sizes.

    Two retrainings with different seeds differ too: that is the floor under any error, and the ceiling of any rank
    correlation, and why at least two are made.

    Parameters
    ----------
    problem
        What is valued. All training rows must be at hand, and for a torch module its recipe.
    unlearner, settings
        As for ``UnlearningGame``; ``"retrain"`` is audited too, and comes out at about the floor.
    coalitions
        How many at most: none and all, and the same number from each stratum of sizes (each size for up to 10 players,
        otherwise quarters); all ``2**n`` if these are no more. By default all for up to 8 players, otherwise 100.
    seeds
        How often each coalition is retrained, at least twice: with the seeds ``seed + 1, seed + 2, ...``
    seed
        Chooses the coalitions, and is the seed of the unlearner.
    progress
        Called with the number of utilities so far, and in all.

    Raises
    ------
    AccessError
        If the unlearner cannot work on this problem, or it cannot be retrained; before any work.
    DivergenceError
        If the utility of a coalition cannot be had.
    InvalidValueError, InvalidTypeError, UnknownNameError, PluginError
        If an argument cannot be used.
    """
    begin = time.perf_counter()
    check_integer("seeds", seeds, 2)
    if coalitions is not None:
        check_integer("coalitions", coalitions, 1)
    game = UnlearningGame(problem, unlearner, seed=seed, settings=settings)
    check_retrainable(problem)
    matrix = draw(game.n_players, coalitions, game.seed)
    total, done = (1 + seeds) * len(matrix), 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    start = time.perf_counter()
    unlearned = evaluated(game, matrix, advance)
    middle = time.perf_counter()
    oracle = retrained(problem, matrix, retrain_seeds(game.seed, seeds), advance)
    end = time.perf_counter()
    return FidelityReport(
        players=tuple(game.players),
        coalitions=matrix,
        unlearned=unlearned,
        retrained=oracle,
        utility_all=problem.given_utility.copy(),
        metric=problem.metric.name,
        columns=problem.metric.parts,
        unlearner=game.unlearner.name,
        settings=dict(game.unlearner.settings),
        seed=game.seed,
        access=problem.access,
        retrain_seeds=retrain_seeds(game.seed, seeds),
        seconds_unlearned=middle - start,
        seconds_retrained=end - middle,
        seconds=time.perf_counter() - begin,
        versions=versions(game),
    )


def retrain_seeds(seed: int, seeds: int) -> tuple[int, ...]:
    """Return the seeds of the retrainings: others than that of the unlearner, and most likely of the given model."""
    return tuple((seed + 1 + k) % 2**63 for k in range(seeds))
