"""Retrained utilities: what unlearned ones are measured against."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.coalitions import in_words
from unshap_plugin.errors import AccessError, DivergenceError, InvalidTypeError
from unshap_plugin.evaluation.evaluation import EXCLUDING, FEWER_FITS
from unshap_plugin.game import UnlearningGame
from unshap_plugin.plugins.registry import another
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.problem.problem import ValuationProblem
from unshap_plugin.retraining import retraining_game
from unshap_plugin.unlearners import Retrain

__all__ = ["check_retrainable", "checked_game", "evaluated", "retrained"]


def check_retrainable(problem: ValuationProblem) -> None:
    """Refuse, before any work, what cannot be retrained.

    Raises
    ------
    AccessError
        If training rows or the recipe are not at hand.
    """
    try:
        Retrain().check(problem)
    except AccessError as refusal:
        told = isinstance(problem, ModuleProblem) and problem.linear is None  # what else says itself how it is fitted
        raise AccessError(
            f"{refusal}; an audit compares with retraining: where that is impossible, audit the unlearner on a problem "
            f"of the same kind that has all training rows{' and fit=Recipe(...)' if told else ''}."
        ) from None


def checked_game(game: object) -> UnlearningGame:
    """Return the game, or raise ``InvalidTypeError`` if it is no ``UnlearningGame``."""
    if not isinstance(game, UnlearningGame):
        raise InvalidTypeError(
            f"game is a {type(game).__name__}, but an UnlearningGame is needed: make one from the problem and the "
            f"unlearner."
        )
    return game


def retrained(
    problem: ValuationProblem,
    coalitions: NDArray[np.bool_],
    seeds: tuple[int, ...],
    progress: Callable[[int], None] | None = None,
    n_jobs: int | None = None,
    store: Path | None = None,
) -> tuple[NDArray[np.float64], float]:
    """Return the utilities of retraining on each coalition with each seed, and the seconds that this takes.

    What the ``problem`` of a game remembers is not retrained again; it is counted with the time that it took. Nor is
    what a ``store`` has, which is counted like the others; where it has all, the time is 0.

    Returns
    -------
    tuple
        The utilities, ``[s, m]`` or ``[s, m, t]``, and the seconds for all of them.

    Raises
    ------
    DivergenceError
        If retraining on one of them fails.
    """
    each = [problem.once(_seeded, n_jobs, store, seed) for seed in seeds]
    try:
        utilities = np.stack([one(coalitions, progress) for one in each])
        new = sum(one.game.evaluations - one.known for one in each)
        return utilities, (len(coalitions) - 1) * len(each) * sum(one.seconds for one in each) / max(new, 1)
    except DivergenceError as error:  # the comparison is with retraining: there is no other unlearner for that
        measured = tuple(way for way in error.advice if way == "another metric")
        raise error.advising(measured or FEWER_FITS) from error


@dataclass
class _Retraining:
    """A game of retraining, how many utilities it knew before, and how long it took so far."""

    game: UnlearningGame
    known: int
    seconds: float = 0.0

    def __call__(
        self, coalitions: NDArray[np.bool_], progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float64]:
        begin = time.perf_counter()
        try:
            return evaluated(self.game, coalitions, progress)
        finally:
            self.seconds += time.perf_counter() - begin


def _seeded(problem: ValuationProblem, n_jobs: int | None, store: Path | None, seed: int) -> _Retraining:
    game = retraining_game(problem, seed, n_jobs, store)
    return _Retraining(game, game.evaluations)


def evaluated(
    game: UnlearningGame, coalitions: NDArray[np.bool_], progress: Callable[[int], None] | None = None
) -> NDArray[np.float64]:
    """Return utilities, a chunk of the game for each job at a time, and report the number of each.

    Raises
    ------
    DivergenceError
        If one of them cannot be had, or was excluded.
    """
    parts = []
    start = 0
    while start < len(coalitions):
        part = coalitions[start : start + game.at_once]
        try:
            parts.append(game(part))
        except DivergenceError as error:  # leaving it out is no way here
            raise error.advising(tuple(way for way in error.advice if way != EXCLUDING)) from error
        start += len(part)
        if progress is not None:
            progress(len(part))
    utilities = np.concatenate(parts)
    excluded = np.isnan(utilities.reshape(len(utilities), -1)).any(axis=1)
    if excluded.any():
        first = coalitions[excluded.argmax()]
        raise DivergenceError(
            f"the comparison with retraining needs the utility of every coalition, but {int(excluded.sum())} were "
            f"excluded, first {in_words(first, game.problem.players)}",
            tuple(bool(keep) for keep in first),
            (
                *(("other settings",) if game.unlearner.settings else ()),
                *another(game.unlearner, game.problem, game.provider),
            ),
        )
    return utilities
