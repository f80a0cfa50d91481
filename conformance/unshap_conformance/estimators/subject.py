"""Estimators as subjects: what they declare, how they are played, and what is checked."""

from __future__ import annotations

import inspect
import random
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unshap_conformance import axioms
from unshap_conformance.games import GAMES, Game, by_name, random_game
from unshap_conformance.loading import load
from unshap_conformance.records import Record, Skipped, Violation, compare
from unshap_conformance.runner import Check, run_tasks, tasks_of
from unshap_conformance.semivalues import Semivalue, check_semivalue, label
from unshap_plugin.errors import DivergenceError, InvalidTypeError, InvalidValueError, UnshapError, check_integer
from unshap_plugin.estimators import Estimate, Estimator, resolve_estimator

__all__ = ["ESTIMATOR_CHECKS", "EstimatorSubject", "Played", "View", "check_estimator", "estimator_subject"]

#: What a sampler may ask for if it declares nothing: ten antithetic pairs of permutations of six players, nearly.
DEFAULT_BUDGET = 100
_RUNS, _RUNS_FOR_STD_ERRORS, _RUNS_FOR_BIAS = 40, 400, 1000
#: Over 400 runs, the ratio of real to claimed errors strays by about 0.04.
_RATIO_TOLERANCE = 0.25


class View:
    """All that a subject sees of a game: ``n_players``, and a call with a boolean matrix ``[m, n_players]``.

    Parameters
    ----------
    game
        The game behind it.
    fault
        A coalition, and the exception that asking for it raises.
    """

    def __init__(self, game: Game, fault: tuple[NDArray[np.bool_], Exception] | None = None) -> None:
        self.n_players = game.n_players
        self._game = game
        self._fault = fault
        self._asked = 0
        self._faults = 0
        self._misuse: list[str] = []

    def __call__(self, coalitions: ArrayLike) -> NDArray[np.float64]:
        """Return the utilities, float64 ``[m]``."""
        try:
            utilities = self._game(coalitions)
        except UnshapError as error:
            self._misuse.append(str(error))  # the subject may swallow it
            raise
        self._asked += len(utilities)
        if self._fault is not None and (np.asarray(coalitions) == self._fault[0]).all(axis=1).any():
            self._faults += 1
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
    raw
        The values as they came.
    """

    values: NDArray[np.float64]
    std_errors: NDArray[np.float64] | None
    asked: int
    raw: Any


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
        view = View(game)
        returned = self.call(view, seed, budget)
        raw = getattr(returned, "values", returned)
        errors = getattr(returned, "std_errors", None)
        std_errors = None if errors is None else _numbers("standard errors", errors, game)
        if std_errors is not None and (std_errors < 0).any():
            players = np.flatnonzero(std_errors < 0).tolist()
            raise Violation("standard errors are negative", players=players, got=std_errors[players].tolist())
        return Played(_numbers("values", raw, game), std_errors, view._asked, raw)


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


def check_estimator(
    estimator: str | type[Estimator] | Callable[..., Any] | EstimatorSubject,
    *,
    checks: Collection[str] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    on_fail: Literal["raise", "collect"] = "raise",
    **traits: Any,
) -> list[Record]:
    """Check an estimator on games whose values are known exactly.

    Parameters
    ----------
    estimator, traits
        As in ``estimator_subject``.
    checks
        Names of the checks to run; all by default.
    expected_failures
        From the name of a check, or the label of one of its cases (``efficiency[glove]``), to the reason why it fails.
        Strict: where it does not fail, that is a failure.
    on_fail
        ``"raise"`` an error after all checks, or ``"collect"`` the records only.

    Returns
    -------
    One record for every check and game.

    Raises
    ------
    ConformanceError
        If a check fails, with ``on_fail="raise"``.
    """
    subject = estimator_subject(estimator, **traits)
    tasks = tasks_of(subject, subject.checks, only=checks, expected_failures=expected_failures)
    return run_tasks(tasks, on_fail)


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


def _numbers(what: str, given: Any, game: Game) -> NDArray[np.float64]:
    players = range(game.n_players)
    try:
        array = np.array(given, dtype=np.float64)  # a copy: the subject may write to its own
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


def _result(subject: EstimatorSubject, game: Game) -> None:
    played = subject.play(game)
    if subject.std_errors and played.std_errors is None:
        raise Violation("no standard errors came, but they are declared", players=range(game.n_players))


def _coalitions(subject: EstimatorSubject, game: Game) -> None:
    view = View(game)
    try:
        subject.call(view)
    except Exception:
        if not view._misuse:
            raise
    if view._misuse:
        raise Violation(f"the game was not asked as it has to be: {view._misuse[0]}")


def _budget(subject: EstimatorSubject, game: Game) -> None:
    least = subject.budget_for(game.n_players)
    for budget in (least, least + 1, least + 7) if "budget" in subject.takes else (least,):
        asked = subject.play(game, budget=budget).asked
        if asked > budget:
            raise Violation(
                "more utilities were asked for than the budget allows",
                expected=f"at most {budget}",
                got=asked,
                residual=asked - budget,
                tolerance=0,
            )


def _errors(subject: EstimatorSubject, game: Game) -> None:
    players = range(game.n_players)
    raised = 0
    for kept in ((), (0,), (1, 2), tuple(players)):
        coalition = np.isin(players, kept)
        divergence = DivergenceError(f"no utility of players {list(kept)}.", tuple(coalition.tolist()))
        for error in (divergence, RuntimeError(str(divergence)), ZeroDivisionError(str(divergence))):
            view = View(game, (coalition, error))
            try:
                returned = subject.call(view)
            except Exception:
                if not view._faults:
                    raise
                raised += 1
                continue
            if view._faults:
                raise Violation(
                    f"the game raised {type(error).__name__} for the coalition of players {list(kept)}, which was lost",
                    expected="an exception",
                    got=getattr(returned, "values", returned),
                )
    if not raised:
        raise Skipped("the estimator never asks for the coalitions whose utilities fail.")


def _determinism(subject: EstimatorSubject, game: Game) -> None:
    for seed in (0, 1):
        first = subject.play(game, seed)
        with _global_states():
            _move_global_states()
            second = subject.play(game, seed)
        compare(f"two calls with seed {seed} give different values", first.values, second.values, 0.0)
        if first.std_errors is not None and second.std_errors is not None:
            compare(
                f"two calls with seed {seed} give different standard errors", first.std_errors, second.std_errors, 0.0
            )


def _seed(subject: EstimatorSubject, game: Game) -> None:
    seeds = range(10)
    values = np.stack([subject.play(game, seed).values for seed in seeds])
    different = len(np.unique(values, axis=0))
    exact = axioms.exact_values(subject, game)
    if different <= len(seeds) // 2 and not np.allclose(values, exact, rtol=0.0, atol=axioms.TOLERANCE):
        raise Violation(
            "different seeds give the same values, which are not exact",
            players=range(game.n_players),
            expected=f"more than {len(seeds) // 2} different vectors of values from {len(seeds)} seeds",
            got=different,
        )


def _global_rng(subject: EstimatorSubject, game: Game) -> None:
    for seed in (0, 1):
        with _global_states() as before:
            subject.play(game, seed)
            for generator, state in _states().items():
                if generator in before and state != before[generator]:
                    raise Violation(
                        f"the global random state of {generator} is not what it was before the call",
                        expected="the same state",
                        got="another state",
                    )


def _no_memory(subject: EstimatorSubject, game: Game) -> None:
    other = random_game(game.n_players, 12)
    after: dict[str, list[NDArray[np.float64]]] = {"other": [], "again": []}
    for seed in subject.seeds:
        first = subject.play(game, seed)
        after["other"].append(subject.play(other, seed).values)
        kept = _numbers("values", first.raw, game)
        compare("the values that came for a game changed when another one was played", first.values, kept, 0.0)
        after["again"].append(subject.play(game, seed).values)
    axioms.compare_runs(
        "the values of a game played after another one are wrong",
        axioms.exact_values(subject, other),
        np.stack(after["other"]),
    )
    axioms.compare_runs(
        "the values of a game played again after another one are wrong",
        axioms.exact_values(subject, game),
        np.stack(after["again"]),
    )


def _bias(subject: EstimatorSubject, game: Game) -> None:
    values = np.stack([subject.play(game, seed).values for seed in range(_RUNS_FOR_BIAS)])
    axioms.compare_runs("the values are not right on average", axioms.exact_values(subject, game), values)


def _std_errors(subject: EstimatorSubject, game: Game) -> None:
    played = [subject.play(game, seed) for seed in range(1 if subject.exact else _RUNS_FOR_STD_ERRORS)]
    claims = [one.std_errors for one in played if one.std_errors is not None]
    if not claims and not subject.std_errors:
        raise Skipped("it returns no standard errors and declares none.")
    if len(claims) < len(played):
        raise Violation("standard errors are missing", expected=len(played), got=len(claims))
    real = np.sqrt(
        np.mean((np.stack([one.values for one in played]) - axioms.exact_values(subject, game)) ** 2, axis=0)
    )
    claimed = np.sqrt(np.mean(np.square(claims), axis=0))
    none = (real <= axioms.TOLERANCE) & (claimed <= axioms.TOLERANCE)
    ratio = np.ones(game.n_players)
    with np.errstate(divide="ignore"):
        np.divide(real, claimed, out=ratio, where=~none)
    compare(
        f"the errors of {len(played)} runs are not as large as the standard errors claim (ratio of root mean squares)",
        np.ones(game.n_players),
        ratio,
        _RATIO_TOLERANCE,
    )


def _states() -> dict[str, Any]:
    """Return the global random states, as things that compare; of torch only where the subject's process has it."""
    states: dict[str, Any] = {"random": random.getstate(), "numpy": _plain(np.random.get_state())}  # noqa: NPY002
    if "torch" in sys.modules:
        states["torch"] = sys.modules["torch"].get_rng_state().tolist()
    return states


def _plain(state: Any) -> tuple[Any, ...]:
    return tuple(part.tolist() if isinstance(part, np.ndarray) else part for part in state)


def _move_global_states() -> None:
    """Draw a number from every global generator, so that whoever draws from them too gets other ones."""
    random.random()
    np.random.random()  # noqa: NPY002
    if "torch" in sys.modules:
        sys.modules["torch"].rand(1)


@contextmanager
def _global_states() -> Iterator[dict[str, Any]]:
    """Put the global random states back afterwards: a subject that moves them shall not move those of its users."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    torch = sys.modules.get("torch")
    of_torch = torch.get_rng_state() if torch is not None else None
    try:
        yield _states()
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        if torch is not None:
            torch.set_rng_state(of_torch)


_SOME = by_name("glove", "airport", "non_monotone", "one_player", "random_5_2")


def _all(_: EstimatorSubject) -> Sequence[Game]:
    return GAMES


def _some(_: EstimatorSubject) -> Sequence[Game]:
    return _SOME


def _on(*names: str) -> Callable[[EstimatorSubject], Sequence[Game]]:
    return lambda _: by_name(*names)


def _not_efficient(subject: EstimatorSubject) -> str | None:
    return None if subject.efficient else "it does not promise that its values sum to v(N) - v(none)."


def _not_self_dual(subject: EstimatorSubject) -> str | None:
    value = subject.semivalue
    if value in ("shapley", "banzhaf") or (isinstance(value, tuple) and value[1] == value[2]):
        return None
    return f"{label(value)} values are not those of the dual game."


def _not_deterministic(subject: EstimatorSubject) -> str | None:
    return None if subject.deterministic else "it declares that its values differ from call to call."


def _no_budget(subject: EstimatorSubject) -> str | None:
    return None if subject.budget or "budget" in subject.takes else "it takes no budget and declares none."


def _exact(subject: EstimatorSubject) -> str | None:
    return "its values are exact, so that agreement compares each of them." if subject.exact else None


def _no_seed(subject: EstimatorSubject) -> str | None:
    if "seed" not in subject.takes:
        return "it takes no seed."
    return "its values are exact, which no seed changes." if subject.exact else None


ESTIMATOR_CHECKS: tuple[Check[EstimatorSubject], ...] = (
    Check("result", "one finite number per player comes back, with declared standard errors", _result, _all),
    Check("coalitions", "the game is asked with boolean matrices [m, n_players]", _coalitions, _all),
    Check("efficiency", "the sum of phi_i over all players = v(N) - v(none)", axioms.efficiency, _all, _not_efficient),
    Check(
        "symmetry",
        "phi_i = phi_j if v(S + i) = v(S + j) for every S without i and j",
        axioms.symmetry,
        lambda _: [game for game in GAMES if game.symmetric_pairs],
    ),
    Check(
        "null_player",
        "phi_i = 0 if v(S + i) = v(S) for every S",
        axioms.null_player,
        lambda _: [game for game in GAMES if game.null_players],
    ),
    Check("linearity", "phi(v + w) = phi(v) + phi(w)", axioms.linearity, _some),
    Check("scaling", "phi(c v) = c phi(v) for c > 0", axioms.scaling, _some),
    Check("shift", "phi(v + c) = phi(v) for a constant c", axioms.shift, _some),
    Check("duality", "phi(v*) = phi(v) for v*(S) = v(N) - v(N without S)", axioms.duality, _some, _not_self_dual),
    Check("renaming", "phi_i(v renamed) = phi_order(i)(v): values follow the players", axioms.renaming, _some),
    Check("agreement", "phi = the values of the definition, in rational arithmetic", axioms.agreement, _all),
    Check(
        "bias",
        "the mean of phi over very many seeds = the values of the definition",
        _bias,
        _on("random_4_1", "random_5_2"),
        _exact,
    ),
    Check(
        "determinism",
        "the same call with the same seed gives the same bits",
        _determinism,
        _on("random_5_2", "random_6_3"),
        _not_deterministic,
    ),
    Check("seed", "different seeds give different values, unless these are exact", _seed, _on("random_6_3"), _no_seed),
    Check("global_rng", "the global random states are not moved", _global_rng, _on("random_5_2")),
    Check("no_memory", "the values of a game do not depend on games played before", _no_memory, _on("random_5_2")),
    Check("errors", "an exception of the game is never turned into a number", _errors, _on("random_4_1")),
    Check("budget", "no more utilities are asked for than the budget", _budget, _all, _no_budget),
    Check(
        "std_errors",
        "root mean square of (phi - exact) = that of the standard errors, over many seeds",
        _std_errors,
        _on("airport", "duplicated_players", "random_5_2"),
    ),
)
