"""The audit: how far unlearning is from retraining, by coalition size."""

from __future__ import annotations

import time
from collections.abc import Callable

from unshap_plugin.audit.report import FidelityReport
from unshap_plugin.audit.retraining import check_retrainable, checked_game, evaluated, retrained
from unshap_plugin.audit.sizes import draw
from unshap_plugin.errors import check_integer
from unshap_plugin.game import UnlearningGame
from unshap_plugin.plugins.registry import others
from unshap_plugin.support.progress import Progress, Reporter, check_progress

__all__ = ["audit", "retrain_seeds"]


def audit(
    game: UnlearningGame,
    *,
    coalitions: int | None = None,
    seeds: int = 2,
    progress: Callable[[Progress], object] | None = None,
) -> FidelityReport:
    """Compare unlearned utilities with retrained ones, on coalitions of all sizes.

    Two retrainings with different seeds differ too: that is the floor under any error, and the ceiling of any rank
    correlation, and why at least two are made.

    Parameters
    ----------
    game
        The game that is audited: utilities that it knows already are not computed again. All training rows must be at
        hand, and for a torch module its recipe. The unlearner ``"retrain"`` comes out at about the floor.
    coalitions
        Largest number of them: none and all, and the same number from each range of sizes (each size for up to 10
        players, otherwise quarters); all ``2**n`` if these are no more. By default all for up to 8 players, otherwise
        100.
    seeds
        How often each coalition is retrained, at least twice: with the seeds ``seed + 1, seed + 2, ...`` for the seed
        of the game, which chooses the coalitions too.
    progress
        Called with a ``Progress``.

    Raises
    ------
    AccessError
        If the model cannot be retrained; before any work.
    DivergenceError
        If the utility of a coalition cannot be had.
    InvalidValueError, InvalidTypeError
        If an argument cannot be used.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.preprocessing import scale
    >>> from unshap_plugin import UnlearningGame, ValuationProblem
    >>> x, y = load_breast_cancer(return_X_y=True)
    >>> train, test = (scale(x)[:60], y[:60]), (scale(x)[60:], y[60:])
    >>> model = LogisticRegression().fit(*train)
    >>> problem = ValuationProblem(model, train, test, groups=["acme", "bolt", "cairn"] * 20)
    >>> audit(UnlearningGame(problem)).verdict
    'newton is next to equal to retraining (off by 0.000..., ...): its values can be trusted like retrained ones'
    """
    begin = time.perf_counter()
    check_integer("seeds", seeds, 2)
    if coalitions is not None:
        check_integer("coalitions", coalitions, 1)
    check_progress(progress)
    problem = checked_game(game).problem
    check_retrainable(problem)
    matrix = draw(game.n_players, coalitions, game.seed)
    total, done, report = (1 + seeds) * len(matrix), 0, Reporter(progress)

    def advance(count: int) -> None:
        nonlocal done
        done += count
        report(done, total)

    known, start = game.evaluations, time.perf_counter()
    unlearned = evaluated(game, matrix, advance)
    middle = time.perf_counter()
    truth, seconds = retrained(problem, matrix, retrain_seeds(game.seed, seeds), advance, game.n_jobs, game.store)
    return FidelityReport(
        players=tuple(game.players),
        coalitions=matrix,
        unlearned=unlearned,
        retrained=truth,
        utility_all=problem.given_utility.copy(),
        metric=problem.metric.name,
        columns=problem.metric.parts,
        unlearner=game.unlearner.name,
        settings=dict(game.unlearner.settings),
        seed=game.seed,
        access=problem.access,
        others=tuple(others(game.unlearner, problem, game.provider)),
        retrain_seeds=retrain_seeds(game.seed, seeds),
        evaluations=game.evaluations - known,
        seconds_unlearned=middle - start,
        seconds_retrained=seconds,
        seconds=time.perf_counter() - begin,
        versions=game.versions,
    )


def retrain_seeds(seed: int, seeds: int) -> tuple[int, ...]:
    """Return the seeds of the retrainings: others than that of the unlearner, and most likely of the given model."""
    return tuple((seed + 1 + k) % 2**63 for k in range(seeds))
