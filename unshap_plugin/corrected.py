"""Values of retraining, paid with few retrainings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import gmean

from unshap_plugin.cautions import left_out
from unshap_plugin.errors import (
    BudgetError,
    InvalidTypeError,
    InvalidValueError,
    UnknownNameError,
    check_integer,
    in_short,
)
from unshap_plugin.estimated import Game, check_game, estimated
from unshap_plugin.estimators import Stratified
from unshap_plugin.estimators.base import Estimate, Estimator
from unshap_plugin.estimators.corrected import Corrected, DrawnFromSmall
from unshap_plugin.estimators.helpers import Helpers
from unshap_plugin.estimators.semivalue import Kind, semivalue_of
from unshap_plugin.estimators.sizes import sizes_of
from unshap_plugin.estimators.stopping import Stopping
from unshap_plugin.estimators.stratified import least_of
from unshap_plugin.game import UnlearningGame
from unshap_plugin.numerics.round_off import round_off
from unshap_plugin.plugins.catalogue import BUILTIN, Registered
from unshap_plugin.plugins.registry import find_estimator
from unshap_plugin.results.result import ValuationResult
from unshap_plugin.retraining import Remembered, own_retraining_game, retraining_game
from unshap_plugin.support.progress import Progress, check_progress
from unshap_plugin.unlearners import Retrain
from unshap_plugin.unlearners._own_fit import Fit

__all__ = ["check_corrected", "corrected_values"]

#: Of "auto": what errors may be left, and how many retrainings for a player at most.
AUTO_ERROR, AUTO_MOST = "10%", 10


def corrected_values(
    game: Game | Sequence[Game],
    retrainings: int | Literal["auto"] = 60,
    seed: int = 0,
    *,
    retrained: Game | None = None,
    fit: Fit | None = None,
    retries: int = 2,
    kind: Kind | None = None,
    budget: int | None = None,
    target_error: float | str | None = None,
    max_time: float | None = None,
    stable_top: int | None = None,
    progress: Callable[[Progress], object] | None = None,
) -> ValuationResult:
    """Return the values of *retraining*, estimated from few retrainings and many unlearnings.

    Unlearned utilities are cheap and biased. Here they are features of a surrogate for the retrained ones, which counts
    them for as much as they foretell these, and retrainings correct what is left: the values have no bias, whatever the
    unlearner does, and their standard errors are about retraining. Where unlearning goes along with retraining, they
    are as small as those of many times more retrainings; where it does not, retrainings count alone.

    Parameters
    ----------
    game
        The game whose utilities are cheap, or several, such as of different unlearners.
    retrainings
        How many retrained utilities may be asked for, those known already (as from an ``audit`` of the game) included;
        some three to ten for each player. ``"auto"``: as many as leave the ``target_error``, by default 10% of the
        spread of the values, and at most ten for each player; ``result.reasons`` says so.
    seed
        Seed of the estimator.
    retrained
        The game of retraining, or any other one over the same players that is dear: a function of coalitions with
        ``n_players``, such as of fits on a cluster. ``None``: retrains as the problem of the (first) game says, with
        the first seed of its audit. In partial access nobody can retrain: make it of the problem with all data, with
        ``valued=`` the same players. A utility of NaN says that a fit failed, as below.
    fit, retries
        How to retrain instead: a function from the numbers of the rows that are kept, int64 ``[r]``, to a model of the
        kind of the given one. Where it raises an exception, that is logged, and it is asked again, so many times. A
        coalition for which it fails each time is left out with its complement, and counted in ``result.excluded``. What
        it trained is remembered for the same function, so that more ``retrainings`` go on, but not in a store: what a
        function does, no store can tell.
        Trained are as many at a time as the (first) game has ``n_jobs``.
    kind
        Another semivalue, see ``semivalues``; ``None`` for Shapley values.
    budget
        How many utilities each cheap game may be asked for: by default all of up to 14 players, and otherwise 5,000, or
        four to a player if that is more.
    target_error, max_time, stable_top, progress
        See ``shapley_values``; rules are for retrainings, and progress is reported of unlearning, then of retraining.

    Returns
    -------
    ValuationResult
        That of the retrained game. ``retrainings`` says how many were asked for, ``variance_ratio`` how many times the
        variance their values would have without unlearning, and ``unlearned`` what the values of the cheap games are.

    Raises
    ------
    AccessError
        If the model cannot be retrained.
    BudgetError
        If the retrainings, or the budget, are too few.
    DivergenceError
        If the utility of a coalition cannot be had.
    InvalidTypeError, InvalidValueError, UnknownNameError
        If an argument cannot be used.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.preprocessing import scale
    >>> from unshap_plugin import UnlearningGame, ValuationProblem
    >>> x, y = load_breast_cancer(return_X_y=True)
    >>> x = scale(x)
    >>> model = LogisticRegression().fit(x[:60], y[:60])
    >>> problem = ValuationProblem(model, (x[:60], y[:60]), (x[60:], y[60:]), groups=list("abcdef") * 10)
    >>> result = corrected_values(UnlearningGame(problem, "newton"), retrainings=24)
    >>> result.unlearner, result.estimator, result.retrainings, list(result.unlearned)
    ('retrain', 'corrected', 24, ['newton'])
    >>> values, errors = result.unlearned["newton"]
    >>> values.shape, result.variance_ratio > 1
    ((6,), True)
    """
    games = list(game) if isinstance(game, Sequence) else [game]
    if not games:
        raise InvalidValueError("game is an empty list, but at least one game of unlearned utilities is needed.")
    for one in games:
        check_game(one, budget, seed)
    if isinstance(retrainings, str) and retrainings != "auto":
        raise UnknownNameError("retrainings", retrainings, ["auto"])
    if retrainings != "auto":
        check_integer("retrainings", retrainings, 1)
    if not (fit is None or callable(fit)):
        raise InvalidTypeError(f"fit is a {type(fit).__name__}, but a function from row numbers to a model is needed.")
    check_integer("retries", retries, 0)
    check_progress(progress)
    dear = _retrained(games, retrained, None if fit is None else partial(own_retraining_game, fit=fit, retries=retries))
    check_game(dear, None, seed, "retrained")
    for one in games:
        _check_players(one, dear)
    n = int(dear.n_players)
    if not isinstance(dear, UnlearningGame):
        dear = Remembered(dear)
    reasons = {}
    if retrainings == "auto":
        most, target_error = min(AUTO_MOST * n, 2**n), AUTO_ERROR if target_error is None else target_error
        reasons["retrainings"] = f"until standard errors are at most {target_error}, but at most {AUTO_MOST} a player"
    else:
        most = int(retrainings)
    stopping = Stopping(target_error, max_time, stable_top)
    stopping.check_players(n)
    semivalue = None if kind is None else semivalue_of(kind, n)
    weights = np.full(n, 1 / n) if semivalue is None else semivalue.weights
    if n > 1 and not weights[:-1].any():
        raise InvalidValueError(
            f"leave-one-out values of retraining are exact from {n + 1} retrainings, so that nothing is left to "
            f"correct: take semivalues(game, 'loo') with unlearner='retrain', without retrainings."
        )
    needed = least_of(sizes_of(weights))
    if most < needed:
        raise BudgetError(
            f"retrainings={retrainings} are too few: values with standard errors need the utilities of none and of all "
            f"of {n} players, and of two coalitions and their complements, {needed} retrainings; give that."
        )
    budgets = (None if budget is None else int(budget)), int(seed)
    helpers = Helpers(games, n, *budgets, weights)
    helpers.learn(progress)
    provider = find_estimator(f"{BUILTIN}:{Stratified.name}").provider
    registered: Registered[type[Estimator]] = Registered(Corrected, provider)
    result = estimated(dear, registered, most, seed, {}, progress, semivalue, stopping, {"helpers": helpers})
    alone = DrawnFromSmall(n, result.asked, int(seed), weights=weights).run(dear)  # which asks for the same
    if isinstance(dear, Remembered):
        result = _with_exclusions(result, *dear.known())
    ratio = _ratio(alone, result)
    names = _names(games)
    many = "" if not np.isfinite(ratio) else f", and without them would have {ratio:.2g} times the variance"
    return dataclasses.replace(
        result,
        retrainings=result.asked,
        reasons={**result.reasons, **reasons},
        variance_ratio=ratio,
        unlearned={
            name: np.stack([one.values, one.std_errors]).reshape(2, *result.values.shape)
            for name, one in zip(names, helpers.alone(), strict=True)
        },
        notes=(
            f"{result.asked} retrainings correct what {' and '.join(names)} would give: the values are those of "
            f"retraining{many}.",
            *_without_a_difference(result, n),
            *result.notes,
        ),
    )


def check_corrected(retrainings: int | str | None, estimator: str) -> None:
    """Refuse an estimator beside retrainings, whose values have one of their own.

    Parameters
    ----------
    retrainings
        ``None``: nothing is corrected, and any estimator will do.
    estimator
        The name of one, or ``"auto"``.

    Raises
    ------
    InvalidValueError
        If both are given.

    Examples
    --------
    >>> check_corrected(60, "auto")
    >>> check_corrected(None, "exact")
    """
    if retrainings is not None and estimator != "auto":
        raise InvalidValueError(
            f"estimator is {in_short(estimator)}, but values that retrainings correct have one of their own: leave it "
            f"out, or leave out retrainings."
        )


def _retrained(games: Sequence[Game], retrained: Game | None, own: Callable[..., UnlearningGame] | None) -> Game:
    """Return the game of retraining; ``own`` makes it of a problem, ``seed`` and ``n_jobs``."""
    if retrained is not None and own is not None:
        raise InvalidValueError("retrained and fit were given, which both say how to retrain: leave out one of them.")
    if retrained is None:
        first = games[0]
        if not isinstance(first, UnlearningGame):
            raise InvalidTypeError(
                f"game is a {type(first).__name__}, which does not say how to retrain: give an UnlearningGame, or the "
                f"game of retraining as retrained=."
            )
        if any(isinstance(game, UnlearningGame) and isinstance(game.unlearner, Retrain) for game in games):
            raise InvalidValueError(
                "unlearner 'retrain' retrains for each utility, so that nothing is left for retrainings to correct: "
                "use another unlearner, or value the game without retrainings."
            )
        if own is not None:
            return own(first.problem, seed=first.seed + 1, n_jobs=first.n_jobs)
        return retraining_game(first.problem, first.seed + 1, first.n_jobs, first.store)
    return retrained


def _check_players(game: Game, dear: Game) -> None:
    mine, others = (list(getattr(one, "players", range(int(one.n_players)))) for one in (game, dear))
    if len(mine) != len(others) or (mine != others and hasattr(game, "players") and hasattr(dear, "players")):
        raise InvalidValueError(
            f"the players of the game are {in_short(mine)}, but those of the retrained one {in_short(others)}: make "
            f"both with the same groups= and valued=."
        )


def _names(games: Sequence[Game]) -> list[str]:
    """Return what to call each game, by its unlearner, with a number where there are several of a name."""
    found = [game.unlearner.name if isinstance(game, UnlearningGame) else "utility" for game in games]
    return [name if found.count(name) == 1 else f"{name} {found[: k + 1].count(name)}" for k, name in enumerate(found)]


def _with_exclusions(
    result: ValuationResult, coalitions: NDArray[np.bool_], utilities: NDArray[np.float64]
) -> ValuationResult:
    """Count the fits of another one's game that failed, and say so."""
    note = left_out(coalitions, utilities, result.missing)
    if note is None:
        return result
    excluded = int(np.isnan(utilities.reshape(len(utilities), -1)).any(axis=1).sum())
    return dataclasses.replace(result, excluded=excluded, notes=(note, *result.notes))


def _without_a_difference(result: ValuationResult, n: int) -> list[str]:
    """Say what errors of zero mean where they come of utilities that were all foretold."""
    none = result.std_errors <= round_off(result)
    if result.asked >= 2**n or not none.any():
        return []
    many = int(none.reshape(n, -1).any(axis=1).sum())
    return [
        f"what was retrained came out as foretold, for {many} of {n} players to the last digit: errors of zero "
        f"say that no difference was seen, not that there is none."
    ]


def _ratio(alone: Estimate, result: ValuationResult) -> float:
    """Return how many times the variance the values would have without help, in the geometric mean over metrics.

    Of metrics that are foretold to the last digit there is nothing to compare.
    """
    before, now = (np.sum(one.std_errors**2, axis=0).reshape(-1) for one in (alone, result))
    counted = np.minimum(now, before) > round_off(result).reshape(-1) ** 2
    return float(gmean(before[counted] / now[counted])) if counted.any() else 1.0
