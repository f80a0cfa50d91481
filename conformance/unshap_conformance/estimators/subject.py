"""An estimator as a subject: what it declares, what it sees, and how it is played."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unshap_conformance.games import Game
from unshap_conformance.loading import load
from unshap_conformance.records import Violation
from unshap_conformance.runner import Check
from unshap_conformance.semivalues import Semivalue, check_semivalue
from unshap_plugin.errors import InvalidTypeError, InvalidValueError, UnshapError, check_integer
from unshap_plugin.estimators import Estimate, Estimator, resolve_estimator

__all__ = ["EstimatorSubject", "Log", "Played", "View", "estimator_subject", "numbers", "values_of"]

#: What a sampler may ask for if it declares nothing: ten antithetic pairs of permutations of six players, nearly.
DEFAULT_BUDGET = 100
_RUNS = 40


@dataclass
class Log:
    """What a subject did with a game.

    Parameters
    ----------
    asked
        How many utilities it asked for.
    faults
        How often it was told by an exception that a utility cannot be had.
    misuse
        What was wrong with the coalitions that it asked for.
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
        Where what happens is noted: the subject may swallow an exception.
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
    """What came of playing a game.

    Parameters
    ----------
    values, std_errors
        float64 ``[n_players]``; no standard errors if none came.
    asked
        How many utilities were asked for.
    raw, raw_errors
        The values and the standard errors as they came.
    """

    values: NDArray[np.float64]
    std_errors: NDArray[np.float64] | None
    asked: int
    raw: Any
    raw_errors: Any


@dataclass(frozen=True)
class EstimatorSubject:
    """An estimator, with what it declares. Made by ``estimator_subject``, where the traits are described."""

    name: str
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
    def checks(self) -> Sequence[Check[EstimatorSubject]]:
        """All checks of estimators."""
        from unshap_conformance.estimators import ESTIMATOR_CHECKS  # which need this class

        return ESTIMATOR_CHECKS

    @property
    def seeds(self) -> range:
        """The seeds of the runs that are compared in the mean; one for an exact estimator."""
        return range(1 if self.exact else _RUNS)

    def budget_for(self, n_players: int) -> int:
        """Return how many utilities it may ask for in a game of that many players."""
        return self.budget or (1 << n_players if self.exact else DEFAULT_BUDGET)

    def call(self, view: View, seed: int = 0, budget: int | None = None) -> Any:
        """Return what it returns, called with as much as it takes."""
        offered = {"budget": budget or self.budget_for(view.n_players), "seed": seed}
        return self.estimator(view, **{name: value for name, value in offered.items() if name in self.takes})

    def play(self, game: Game, seed: int = 0, budget: int | None = None) -> Played:
        """Play a game.

        Raises
        ------
        Violation
            If the values, or the standard errors, are not one finite number per player.
        """
        log = Log()
        returned = self.call(View(game, log), seed, budget)
        raw = values_of(returned)
        errors = getattr(returned, "std_errors", None)
        std_errors = None if errors is None else numbers("standard errors", errors, game)
        if std_errors is not None and (std_errors < 0).any():
            players = np.flatnonzero(std_errors < 0).tolist()
            raise Violation("standard errors are negative", players=players, got=std_errors[players].tolist())
        return Played(numbers("values", raw, game), std_errors, log.asked, raw, errors)


def estimator_subject(
    estimator: str | type[Estimator] | Callable[..., Any] | EstimatorSubject,
    *,
    name: str | None = None,
    semivalue: Semivalue | None = None,
    exact: bool | None = None,
    deterministic: bool | None = None,
    efficient: bool | None = None,
    budget: int | None = None,
    std_errors: bool | None = None,
) -> EstimatorSubject:
    """Return an estimator with its declared traits, which choose the checks.

    Parameters
    ----------
    estimator
        Called as ``estimator(game, budget=..., seed=...)``, with as many of the keywords as its signature has, it
        returns an array ``[n_players]``, or something with ``values`` and possibly ``std_errors``. Or the name, or the
        class, of an estimator of this project, or ``"package.module:function"``. A subject stays as it is.
    name
        What it is called in records; by default its own name.
    semivalue
        ``"shapley"`` (the default), ``"banzhaf"``, ``"leave_one_out"`` or ``("beta", alpha, beta)``.
    exact
        Its values are those of the definition, up to round-off. By default, if it takes no seed.
    deterministic
        The same call with the same seed gives the same values, bit for bit, which is the default.
    efficient
        Its values sum to ``v(N) - v(none)`` in every run. By default, if they are Shapley values.
    budget
        How many utilities it may ask for: given to it if it takes a budget. By default ``2**n_players`` for an exact
        estimator, and 100 for another.
    std_errors
        Its standard errors have to come: by default, for the estimators of this project. Those that come are checked
        in any case.

    Raises
    ------
    InvalidTypeError, InvalidValueError, UnknownNameError
        If it cannot be called or found, or a trait has a value that cannot be.
    """
    if isinstance(estimator, str):
        estimator = load(estimator) if ":" in estimator else resolve_estimator(estimator)
    if isinstance(estimator, EstimatorSubject):
        if any(trait is not None for trait in (name, semivalue, exact, deterministic, efficient, budget, std_errors)):
            raise InvalidValueError(f"the traits of {estimator.name!r} are declared where that subject is made.")
        return estimator
    if not callable(estimator):
        raise InvalidTypeError(f"estimator is a {type(estimator).__name__}, but a callable is needed.")
    own = estimator if isinstance(estimator, type) and issubclass(estimator, Estimator) else None
    function = estimator if own is None else _caller(own)
    takes = _keywords(function)
    default = own.exact if own is not None else "seed" not in takes
    called = own.name if own is not None else str(getattr(estimator, "__name__", type(estimator).__name__))
    return EstimatorSubject(
        name=name or called,
        estimator=function,
        takes=takes,
        semivalue=semivalue or "shapley",
        exact=default if exact is None else exact,
        deterministic=True if deterministic is None else deterministic,
        efficient=semivalue in (None, "shapley") if efficient is None else efficient,
        budget=budget,
        std_errors=own is not None if std_errors is None else std_errors,
    )


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


def _caller(method: type[Estimator]) -> Callable[..., Estimate]:
    def estimate(game: View, budget: int, seed: int) -> Estimate:
        return method(game.n_players, budget, seed).run(game)

    return estimate


def _keywords(function: Callable[..., Any]) -> frozenset[str]:
    """Return which of budget and seed a function takes; none if its signature cannot be read."""
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:
        return frozenset()
    anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    return frozenset(name for name in ("budget", "seed") if anything or name in parameters)
