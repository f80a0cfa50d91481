"""A game and an estimator, and the result of both."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.cautions import undecided, without_errors
from unshap_plugin.covariates import marginal_covariates
from unshap_plugin.errors import AdvisingError, InvalidTypeError, check_integer
from unshap_plugin.estimators.base import EXCLUDES_NONE, Estimator
from unshap_plugin.estimators.leave_one_out import LeaveOneOut
from unshap_plugin.estimators.semivalue import SHAPLEY, Semivalue
from unshap_plugin.estimators.stopping import NEVER, Stopping
from unshap_plugin.estimators.stratified import DEFAULT_BUDGET
from unshap_plugin.evaluation.evaluation import cautious
from unshap_plugin.game import UnlearningGame
from unshap_plugin.plugins.catalogue import Registered
from unshap_plugin.plugins.estimation import estimate_with
from unshap_plugin.plugins.registry import another
from unshap_plugin.provenance import of_game, of_unknown
from unshap_plugin.results.result import ValuationResult
from unshap_plugin.support.progress import Progress
from unshap_plugin.unlearners._own_fit import OwnFit

__all__ = ["Game", "check_game", "estimated"]


class Game(Protocol):
    """Game whose players have values: a function from coalitions to utilities."""

    @property
    def n_players(self) -> int:
        """Number of players."""
        ...

    def __call__(self, coalitions: NDArray[np.bool_], /) -> NDArray[np.float64]:
        """Return the utilities ``[m]`` or ``[m, t]`` of coalitions, bool ``[m, n_players]``."""
        ...


def check_game(game: Game, budget: int | None, seed: int, what: str = "game") -> None:
    """Raise unless these are a game, a budget, and a seed.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If one of them is not.
    """
    if not callable(game) or not isinstance(getattr(game, "n_players", None), int | np.integer):
        raise InvalidTypeError(
            f"{what} is a {type(game).__name__}, but an UnlearningGame, or a callable with n_players, is needed."
        )
    if budget is not None:
        check_integer("budget", budget, 0)
    check_integer("seed", seed, 0)
    check_integer("n_players", game.n_players, 1)


def estimated(
    game: Game,
    registered: Registered[type[Estimator]],
    budget: int | None,
    seed: int,
    reasons: Mapping[str, str],
    progress: Callable[[Progress], object] | None = None,
    semivalue: Semivalue | None = None,
    stopping: Stopping = NEVER,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> ValuationResult:
    """Return the values of the players of a game by an estimator.

    Parameters
    ----------
    game, budget, seed, progress
        See ``shapley_values``.
    registered
        The estimator.
    reasons
        Why it is that one.
    semivalue
        What is estimated, by an estimator that is ``weighted`` or has values of no other; ``None`` for Shapley values.
    stopping
        Rules that end the run.
    more
        What else the estimator takes.

    Raises
    ------
    UnshapError
        See ``shapley_values``.
    """
    begin, n = time.perf_counter(), int(game.n_players)
    most = None if budget is None else int(budget)
    try:
        weights = semivalue.weights if semivalue is not None and registered.offer.weighted else None
        assisted = registered.offer.assisted
        covariates = marginal_covariates(game, most or DEFAULT_BUDGET, int(seed)) if assisted else None
        given = {"weights": weights, "covariates": covariates, **more}
        given = {name: one for name, one in given.items() if one is not None}
        run = estimate_with(registered, game, most, int(seed), progress, stopping, **given)
    except AdvisingError as error:
        if EXCLUDES_NONE not in error.advice or not isinstance(game, UnlearningGame):
            raise
        others = () if isinstance(game.unlearner, OwnFit) else another(game.unlearner, game.problem, game.provider)
        ways = (*cautious(game.unlearner), *others)
        rest = (way for way in error.advice if way != EXCLUDES_NONE)
        raise error.advising((*ways, *rest)) from error
    # Leaving one out takes the coalition of nobody for nothing: it is not evaluated for the sake of showing it.
    nobody = [] if registered.offer is LeaveOneOut else [[False] * n]
    ends = np.asarray(game(np.array([[True] * n, *nobody])), dtype=np.float64)
    estimate = run.estimate
    everybody, none = ends[0], ends[1] if nobody else np.full_like(ends[0], np.nan)
    missing = everybody - none - estimate.values.sum(axis=0)
    if semivalue is not None:  # which sum to nothing in particular
        missing = np.full_like(missing, np.nan)
    made_with = of_game(game, missing) if isinstance(game, UnlearningGame) else of_unknown(game, run.asked)
    if reasons and run.estimator != registered.name:
        reasons = {"estimator": f"{reasons['estimator']}, but only {run.asked} were"}
    unknown = (without_errors(registered.name),) if np.isnan(estimate.std_errors).all() else ()
    unclear = undecided(estimate.values, estimate.std_errors, estimate.degrees_of_freedom, run.asked)
    return ValuationResult(
        values=estimate.values,
        std_errors=estimate.std_errors,
        degrees_of_freedom=estimate.degrees_of_freedom,
        utility_all=everybody,
        utility_none=none,
        asked=run.asked,
        stopped=run.ending,
        estimator=run.estimator,
        seed=int(seed),
        seconds=time.perf_counter() - begin,
        semivalue=SHAPLEY if semivalue is None else semivalue.name,
        **{
            **made_with,
            "notes": (*([] if unclear is None else [unclear]), *unknown, *made_with["notes"]),
            "reasons": {**reasons, **made_with["reasons"]},
            "versions": {registered.provider.distribution: registered.provider.version, **made_with["versions"]},
        },
    )
