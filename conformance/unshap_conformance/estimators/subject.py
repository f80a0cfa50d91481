"""An estimator as a subject: what it declares, what it sees, and how it is played."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unshap_conformance.checks import Subject, Violation
from unshap_conformance.games import Game
from unshap_conformance.semivalues import Semivalue, check_semivalue
from unshap_plugin.errors import InvalidValueError, UnshapError, check_integer

__all__ = ["EstimatorSubject", "Log", "Played", "View", "numbers", "values_of"]

#: Budget of a sampler that declares none: nearly ten antithetic pairs of permutations of six players.
DEFAULT_BUDGET = 100
_RUNS = 40


@dataclass
class Log:
    """Log of what a subject did with a game.

    Parameters
    ----------
    asked
        Number of utilities it asked for.
    faults
        Number of times that an exception told it that a utility cannot be had.
    misuse
        Messages about what was wrong with the coalitions that it asked for.
    """

    asked: int = 0
    faults: int = 0
    misuse: list[str] = field(default_factory=list)


class View:
    """All that a subject sees of a game: ``n_players``, and a call with a boolean matrix ``[m, n_players]``.

    Parameters
    ----------
    game
        The game behind it.
    log
        Log in which it notes what happens: the subject may swallow an exception.
    fault
        A coalition, and the exception that asking for it raises.
    """

    def __init__(self, game: Game, log: Log, fault: tuple[NDArray[np.bool_], Exception] | None = None) -> None:
        self.n_players = game.n_players
        self._game = game
        self._log = log
        self._fault = fault

    def __call__(self, coalitions: ArrayLike) -> NDArray[np.float64]:
        """Return the utilities, float64 ``[m]``."""
        try:
            utilities = self._game(coalitions)
        except UnshapError as error:
            self._log.misuse.append(str(error))
            raise
        self._log.asked += len(utilities)
        if self._fault is not None and (np.asarray(coalitions) == self._fault[0]).all(axis=1).any():
            self._log.faults += 1
            raise self._fault[1]
        return utilities


@dataclass(frozen=True)
class Played:
    """Result of playing a game.

    Parameters
    ----------
    values, std_errors
        float64 ``[n_players]``; no standard errors if none came.
    asked
        Number of utilities that were asked for.
    raw, raw_errors
        The values and the standard errors as they came.
    """

    values: NDArray[np.float64]
    std_errors: NDArray[np.float64] | None
    asked: int
    raw: Any
    raw_errors: Any


@dataclass(frozen=True)
class EstimatorSubject(Subject):
    """An estimator, with what it declares; ``estimator_subject`` makes it, and describes what has a default there.

    Parameters
    ----------
    name
        What it is called in results.
    checks
        All checks of estimators.
    estimator
        Called with a game and what it takes.
    takes
        Which of ``budget`` and ``seed`` that is.
    semivalue, exact, deterministic, efficient, budget, std_errors
        Its traits.

    Raises
    ------
    InvalidTypeError, InvalidValueError, UnknownNameError
        If a trait has a value that cannot be.

    Examples
    --------
    >>> from unshap_conformance import GAMES, estimator_subject
    >>> glove = next(game for game in GAMES if game.name == "glove")
    >>> subject = estimator_subject("exact")
    >>> subject.play(glove).values.round(3)
    array([0.167, 0.167, 0.667])
    >>> subject.budget_for(3), subject.seeds, subject.call(View(glove, Log())).values.round(3)
    (8, range(0, 1), array([0.167, 0.167, 0.667]))
    """

    kind = "estimator"
    estimator: Callable[..., Any]
    takes: frozenset[str]
    semivalue: Semivalue
    exact: bool
    deterministic: bool
    efficient: bool
    budget: int | None
    std_errors: bool

    def __post_init__(self) -> None:
        check_semivalue(self.semivalue)
        if self.budget is not None:
            check_integer("budget", self.budget, 1)
        if not self.exact and self.deterministic and "seed" not in self.takes:
            raise InvalidValueError(
                f"estimator {self.name!r} is declared to be neither exact nor random: a sampler takes a seed, "
                f"or declares deterministic=False."
            )

    @property
    def seeds(self) -> range:
        """The seeds of the runs that are compared in the mean; one for an exact estimator."""
        return range(1 if self.exact else _RUNS)

    def budget_for(self, n_players: int) -> int:
        """Return how many utilities it may ask for in a game of ``n_players`` players."""
        return self.budget or (1 << n_players if self.exact else DEFAULT_BUDGET)

    def call(self, view: View, seed: int = 0, budget: int | None = None) -> Any:
        """Return what it returns for a ``view`` of a game, given as much of ``seed`` and ``budget`` as it takes.

        Raises
        ------
        Exception
            Whatever it raises.
        """
        offered = {"budget": budget or self.budget_for(view.n_players), "seed": seed}
        return self.estimator(view, **{name: value for name, value in offered.items() if name in self.takes})

    def play(self, game: Game, seed: int = 0, budget: int | None = None) -> Played:
        """Play ``game`` with as much of ``seed`` and ``budget`` (by default its own) as it takes.

        Raises
        ------
        Violation
            If the values, or the standard errors, are not one finite number per player.
        """
        log = Log()
        returned = self.call(View(game, log), seed, budget)
        raw = values_of(returned)
        errors = getattr(returned, "std_errors", None)
        std_errors = None if errors is None or _unknown(errors) else numbers("standard errors", errors, game)
        if std_errors is not None and (std_errors < 0).any():
            players = np.flatnonzero(std_errors < 0).tolist()
            raise Violation("standard errors are negative", players=players, got=std_errors[players].tolist())
        return Played(numbers("values", raw, game), std_errors, log.asked, raw, errors)


def _unknown(errors: Any) -> bool:
    """Tell whether there are no standard errors, but NaN for each player."""
    try:
        array = np.asarray(errors, dtype=np.float64)
    except (TypeError, ValueError):
        return False
    return array.size > 0 and bool(np.isnan(array).all())


def values_of(returned: Any) -> Any:
    """Return the values of a result: its ``values``, unless that is a method, as of a tensor; or itself."""
    values = getattr(returned, "values", returned)
    return returned if callable(values) else values


def numbers(what: str, given: Any, game: Game) -> NDArray[np.float64]:
    """Return a copy of one finite number per player, float64 ``[n]``, or raise ``Violation``."""
    players = range(game.n_players)
    try:
        came = np.asarray(given)
        if came.dtype.kind not in "biuf":
            raise TypeError(f"they are {type(given).__name__} of dtype {came.dtype}")
        array = came.astype(np.float64)  # a copy: the subject may write to its own
    except (TypeError, ValueError) as error:
        raise Violation(f"the {what} are not numbers ({error})", players=players, got=given) from error
    if array.shape != (game.n_players,):
        raise Violation(
            f"the {what} are not one number per player (the shapes differ)",
            players=players,
            expected=[game.n_players],
            got=list(array.shape),
        )
    bad = np.flatnonzero(~np.isfinite(array)).tolist()
    if bad:
        raise Violation(f"the {what} are not finite", players=bad, expected="finite numbers", got=array[bad].tolist())
    return array
