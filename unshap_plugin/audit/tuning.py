"""Settings of an unlearner, fitted to retraining on a few coalitions."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unshap_plugin.audit.agreement import residuals
from unshap_plugin.audit.audit import retrain_seeds
from unshap_plugin.audit.retraining import check_retrainable, checked_game, evaluated, retrained
from unshap_plugin.audit.sizes import draw
from unshap_plugin.errors import (
    DivergenceError,
    InvalidTypeError,
    InvalidValueError,
    check_integer,
    nearest,
)
from unshap_plugin.game import UnlearningGame
from unshap_plugin.plugins.registry import registered_name

__all__ = ["Tuning", "tune"]


@dataclass(frozen=True, eq=False)
class Tuning:
    """The settings with which an unlearner is nearest to retraining, and how the others did.

    ``game.with_settings(**tuning.settings)`` plays with them, for the game that was tuned.

    Parameters
    ----------
    unlearner
        Its name.
    settings
        The settings that were tuned, with the best values.
    table
        A row per candidate, in the order of the grid: its settings, ``score`` (0 is retraining, 1 is doing nothing, see
        ``tune``), ``error`` (mean absolute error against the mean retrained utilities, in the units of the metric,
        averaged over metrics), ``seconds`` per coalition (NaN where all utilities were known), and ``failure``: what
        happened to one that diverged, whose figures are NaN.
    coalitions
        Number of coalitions.
    retrainings
        Number of retrained utilities: each coalition with each seed, once for all candidates.

    Examples
    --------
    >>> table = pd.DataFrame({"steps": [1, 5], "score": [0.3, 0.01], "error": [0.1, 0.02], "seconds": [0.1, 0.5]})
    >>> Tuning("newton", {"steps": 5}, table.assign(failure=""), coalitions=8, retrainings=16).settings
    {'steps': 5}
    """

    unlearner: str
    settings: Mapping[str, Any]
    table: pd.DataFrame
    coalitions: int
    retrainings: int


def tune(
    game: UnlearningGame,
    grid: Mapping[str, Iterable[Any]] | None = None,
    *,
    coalitions: int | None = None,
    seeds: int = 2,
) -> Tuning:
    """Choose among settings of an unlearner those with which it is nearest to retraining.

    The score is the root mean squared error of the utilities against the mean retrained ones, after the mean error of
    each coalition size is taken away (Shapley values are linear in the error, and what depends on the size alone shifts
    them all equally), over the standard deviation of the retrained utilities at equal size. The given model scores 1.
    Of several metrics the root mean square counts; one whose retrained utilities are all equal at equal size is left
    out.

    The settings are chosen on these coalitions, so that they look better on them than on others. With some tens of
    coalitions and a grid of a few candidates that is little; to see how good the choice is, ``audit`` the game with it
    and another seed (``with_settings`` and ``with_seed``), which draws other coalitions.

    Parameters
    ----------
    game
        The game with the unlearner whose settings are looked for, which must be a registered one. Utilities that it
        knows are not computed again. All training rows must be at hand, and for a torch module its recipe.
    grid
        Values to try for each setting; all combinations are tried, and other settings stay as in the game. Without
        a grid the ``tunable`` settings of the unlearner, and those of the game.
    coalitions, seeds
        See ``audit``.

    Raises
    ------
    InvalidValueError, InvalidTypeError
        If there is nothing to tune, or the grid cannot be used; before any work.
    AccessError
        If the model cannot be retrained, or a candidate cannot work on it; before any work.
    DivergenceError
        If all candidates diverge.

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
    >>> tuning = tune(UnlearningGame(problem, "newton"), {"steps": [1, 2, 5]})
    >>> tuning.settings
    {'steps': 5}
    >>> tuning.table[["steps", "score"]].astype(float).round(2)
       steps  score
    0    1.0   0.33
    1    2.0   0.08
    2    5.0   0.00
    """
    problem = checked_game(game).problem
    if game.provider is None:
        raise InvalidTypeError(
            f"the game has an instance of {type(game.unlearner).__name__}, which nobody registered, but an unlearner "
            f"that is made by name is needed: register it as a plugin, or audit a game for each of its settings."
        )
    check_integer("seeds", seeds, 2)
    if coalitions is not None:
        check_integer("coalitions", coalitions, 1)
    candidates = _candidates(game, grid)
    games = [_with(game, one) for one in candidates]
    check_retrainable(problem)

    if problem.n_players == 1:
        raise InvalidValueError(
            "settings are compared by coalitions of one size, but one player has one of each size: value at least two."
        )

    matrix = draw(problem.n_players, coalitions, game.seed)
    m = len(matrix)
    truth, _ = retrained(problem, matrix, retrain_seeds(game.seed, seeds), n_jobs=game.n_jobs, store=game.store)
    target = truth.mean(axis=0).reshape(m, -1)
    spread = _within(matrix, target)
    told = spread > 0
    if not told.any():
        raise InvalidValueError(
            f"the retrained utilities ({problem.metric.name}) of coalitions of one size are all equal, so that nothing "
            f"can be tuned to them: use a smoother metric, or larger groups."
        )
    table, failures = [], []
    for settings, candidate in zip(candidates, games, strict=True):
        known, begin = candidate.evaluations, time.perf_counter()
        try:
            utilities = evaluated(candidate, matrix).reshape(m, -1)
        except DivergenceError as failure:
            failures.append(failure)
            table.append({**settings, "score": np.nan, "error": np.nan, "seconds": np.nan, "failure": str(failure)})
            continue
        new = candidate.evaluations - known
        seconds = (time.perf_counter() - begin) / new if new else np.nan
        score = float(np.sqrt((_within(matrix, utilities - target)[told] / spread[told]).mean()))
        error = float(np.abs(utilities - target).mean())
        table.append({**settings, "score": score, "error": error, "seconds": seconds, "failure": ""})
    if len(failures) == len(table):
        raise DivergenceError(
            f"all {len(table)} candidates diverged, the first with: {failures[0]}", failures[0].coalition
        ) from failures[0]
    best = int(np.nanargmin([row["score"] for row in table]))
    return Tuning(
        unlearner=registered_name(game.unlearner.name, game.provider),
        settings=candidates[best],
        table=_table(table, candidates[best]),
        coalitions=m,
        retrainings=seeds * m,
    )


def _with(game: UnlearningGame, settings: Mapping[str, Any]) -> UnlearningGame:
    """Return the game with these settings: itself, with all that it knows, where it has them already."""
    own = {name: game.unlearner.settings[name] for name in settings}
    return game if own == dict(settings) else game.with_settings(**settings)


def _candidates(game: UnlearningGame, grid: Mapping[str, Iterable[Any]] | None) -> list[dict[str, Any]]:
    """Return the settings to try, all combinations of the grid."""
    method, own = game.unlearner, grid is None
    known = list(method.settings)
    if not known:
        raise InvalidValueError(f"unlearner {method.name!r} has no settings to tune: use it as it is.")
    if grid is None:
        grid = method.tunable
        if not grid:
            raise InvalidValueError(
                f"unlearner {method.name!r} does not say which settings to try: give a grid, values to try for some of "
                f"{', '.join(known)}."
            )
    if not isinstance(grid, Mapping):
        raise InvalidTypeError(
            f"grid is a {type(grid).__name__}, but a dict from settings to lists of values is needed."
        )
    if not grid:
        raise InvalidValueError(
            f"grid is empty, but values to try are needed for at least one of {', '.join(known)}; leave it out for the "
            f"unlearner's own."
        )
    values = {}
    for name, options in grid.items():
        if name not in known:
            raise InvalidValueError(
                f"unlearner {method.name!r} has no setting {name!r}{nearest(name, known)}; it has: {', '.join(known)}."
            )
        if isinstance(options, str) or not isinstance(options, Iterable):
            raise InvalidTypeError(f"grid has {options!r} for setting {name!r}, but a list of values is needed.")
        values[name] = list(options)
        if not values[name]:
            raise InvalidValueError(f"grid has no values for setting {name!r}: give some, or leave the setting out.")
    candidates = [dict(zip(values, combination, strict=True)) for combination in itertools.product(*values.values())]
    default = {name: method.settings[name] for name in values}
    return [default, *candidates] if own and default not in candidates else candidates


def _table(rows: list[dict[str, Any]], settings: Iterable[str]) -> pd.DataFrame:
    """Return the rows as a table that leaves settings as they are, where pandas would make NaN of ``None``."""
    own = {name: pd.Series([row[name] for row in rows], dtype=object) for name in settings}
    return pd.DataFrame(rows).assign(**own)


def _within(coalitions: NDArray[np.bool_], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the variance of each column ``[m, t] -> [t]`` among coalitions of one size, averaged over coalitions."""
    residual, weight = residuals(coalitions, values)
    known = ~np.isnan(weight)
    variance: NDArray[np.float64] = (weight[known, None] * np.square(residual[known])).mean(axis=0)
    return variance
