"""A registered estimator at work: what a plugin's does wrong is told apart from what the game does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.coalitions import as_coalitions, as_utilities
from unshap_plugin.errors import InvalidValueError, PluginError, UnshapError
from unshap_plugin.estimators.base import Estimate, Estimator
from unshap_plugin.estimators.stopping import NEVER, Ending, Stopping
from unshap_plugin.model.generators import seeded
from unshap_plugin.plugins.catalogue import BUILTIN, Registered
from unshap_plugin.support.progress import Progress

__all__ = ["Estimated", "estimate_with"]

#: More utilities than anybody can wait for: the budget of a run that only rules end.
UNLIMITED = 1 << 62


@dataclass(frozen=True)
class Estimated:
    """What an estimator made of a game.

    Parameters
    ----------
    estimate
        The values.
    asked
        For how many utilities it asked.
    estimator
        Name of the one that gives the same with a budget of so many.
    ending
        What ended the run.
    """

    estimate: Estimate
    asked: int
    estimator: str
    ending: Ending


def estimate_with(
    registered: Registered[type[Estimator]],
    game: Callable[[NDArray[np.bool_]], NDArray[np.float64]],
    budget: int | None,
    seed: int,
    progress: Callable[[Progress], object] | None = None,
    stopping: Stopping = NEVER,
    **more: Any,
) -> Estimated:
    """Return the values of the players of a game, and how they came about.

    Parameters
    ----------
    registered
        The estimator.
    game
        With ``n_players``; from bool ``[m, n_players]`` to float64 ``[m]`` or ``[m, t]``.
    budget, seed, progress
        As in ``shapley_values``; with rules, no budget is no limit.
    stopping
        Rules that end the run.
    more
        What else the estimator takes: ``weights`` of another semivalue, if it is ``weighted``; ``covariates``, if it is
        ``assisted``.

    Raises
    ------
    PluginError
        If a plugin's estimator fails, asks for something else than coalitions, for more utilities than the budget or
        its own ``total`` allows, or returns something else than an estimate for every player; what the game raises
        passes through.
    InvalidValueError
        If there are rules, and the estimator cannot be ended before it is done; or if the game does not give one
        utility (or vector of these) for each coalition, finite or NaN.
    """
    n: int = game.n_players  # type: ignore[attr-defined]
    who = f"estimator {registered.name!r} of {registered.provider}"
    passed: list[BaseException] = []  # errors that are not the estimator's
    asked = 0

    def watched(coalitions: NDArray[np.bool_]) -> NDArray[np.float64]:
        nonlocal asked
        try:
            matrix = as_coalitions(coalitions, n)
        except UnshapError as error:
            raise PluginError(f"{who} asks for something else than coalitions: {error}") from error
        most = method.total if budget is None else budget
        if asked + len(matrix) > most:
            whose = "its total" if budget is None else "the budget"
            raise PluginError(f"{who} asks for {asked + len(matrix)} utilities, but {whose} is {most}.")
        try:
            given = game(matrix)
        except BaseException as error:
            passed.append(error)
            raise
        asked += len(matrix)
        return as_utilities(given, len(matrix))

    def reported(so_far: Progress) -> object:
        assert progress is not None
        try:
            return progress(so_far)
        except BaseException as error:
            passed.append(error)
            raise

    ours = registered.provider.distribution == BUILTIN
    try:
        # What a plugin draws from the global generators comes from the seed, and these are left as they were.
        with contextlib.nullcontext() if ours else seeded(seed % 2**63):
            method = registered.offer(n, budget, seed, **more)
            rules: tuple[Stopping, ...] = ()
            if stopping:
                if method.anytime_from is None:
                    raise InvalidValueError(
                        f"{who} gives no values before it is done, but {stopping.called} end a run on its "
                        f"way: leave them out, or use estimator='stratified'."
                    )
                rules = (stopping,)
                method = registered.offer(n, UNLIMITED if budget is None else budget, seed, **more)
            estimate = method.run(watched, None if progress is None else reported, *rules)
    except (Exception, SystemExit) as error:
        if ours or isinstance(error, UnshapError) or error in passed:
            raise
        raise PluginError(f"{who} failed with {type(error).__name__}: {error}") from error
    return Estimated(_checked(estimate, who, n), asked, method.equivalent, method.ending)


def _checked(estimate: object, who: str, n: int) -> Estimate:
    """Return an estimate for ``n`` players as arrays of numbers."""
    if not isinstance(estimate, Estimate):
        raise PluginError(f"{who} returned a {type(estimate).__name__}, but an Estimate is needed.")
    given = (estimate.values, estimate.std_errors, estimate.degrees_of_freedom)
    try:
        values, errors, freedom = arrays = [np.asarray(one, dtype=np.float64) for one in given]
    except (TypeError, ValueError) as error:
        raise PluginError(f"{who} returned something else than arrays of numbers ({error}).") from error
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1 or values.shape[:1] != (n,) or values.ndim > 2:
        raise PluginError(
            f"{who} returned arrays of the shapes {sorted(map(list, shapes))}, but for {n} players [{n}] or [{n}, t] "
            f"is needed for each."
        )
    unknown = np.isnan(errors)
    if not (np.isfinite(values).all() and (unknown | (errors >= 0)).all() and (unknown | (freedom > 0)).all()):
        raise PluginError(
            f"{who} returned numbers that cannot be: finite values, standard errors of at least 0 (NaN where there is "
            f"none) and degrees of freedom above 0 are needed."
        )
    return Estimate(values, errors, freedom)
