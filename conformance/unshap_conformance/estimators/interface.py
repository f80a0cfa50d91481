"""Checks of how an estimator is called, asks and answers, and of what its randomness promises."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from unshap_conformance import axioms
from unshap_conformance.checks import Check, Skipped, Violation, compare
from unshap_conformance.estimators.subject import EstimatorSubject, Log, View, numbers, values_of
from unshap_conformance.games import GAMES, Game, by_name, random_game
from unshap_conformance.global_rng import kept
from unshap_plugin.errors import DivergenceError, UnshapError

__all__ = ["INTERFACE"]

_RUNS_FOR_STD_ERRORS, _RUNS_FOR_BIAS = 400, 1000
_ROUNDS = 20
_ERRORS: tuple[type[Exception], ...] = (
    *(RuntimeError, ZeroDivisionError, FloatingPointError, MemoryError, OSError, TimeoutError, TypeError, KeyError),
    *(IndexError, AttributeError, AssertionError, NotImplementedError, np.linalg.LinAlgError),
)
#: Seeds that are compared in one process: what is seeded from hashes of text differs only between processes, unseen.
_SEEDS = (0, 1, 12_345, 2**31)
#: Over 400 runs, the ratio of real to claimed errors strays by about 0.04.
_RATIO_TOLERANCE = 0.25


def _result(subject: EstimatorSubject, game: Game) -> None:
    played = subject.play(game)
    if subject.std_errors and played.std_errors is None:
        raise Violation("no standard errors came, but they are declared", players=range(game.n_players))


def _coalitions(subject: EstimatorSubject, game: Game) -> None:
    log = Log()
    try:
        subject.call(View(game, log))
    except Exception:
        if not log.misuse:
            raise
    if log.misuse:
        raise Violation(f"the game was not asked as it has to be: {log.misuse[0]}")


def _budget(subject: EstimatorSubject, game: Game) -> None:
    usual = subject.budget_for(game.n_players)
    budgets = [usual, usual + 1, usual + 7, 4 * usual, usual // 2, usual // 4]
    for budget in filter(None, budgets) if "budget" in subject.takes else (usual,):
        try:
            asked = subject.play(game, budget=budget).asked
        except (UnshapError, ValueError) as error:
            if budget >= usual or isinstance(error, Violation):
                raise
            continue  # too small a budget may be refused
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
    for members in ([], [0], [1, 2], [*players]):
        coalition = np.isin(players, members)
        divergence = DivergenceError(f"no utility of players {members}.", tuple(coalition.tolist()))
        for error in (divergence, *(kind(str(divergence)) for kind in _ERRORS)):
            log = Log()
            try:
                returned = subject.call(View(game, log, (coalition, error)))
            except Exception:
                if not log.faults:
                    raise
                raised += 1
                continue
            if log.faults:
                raise Violation(
                    f"the {type(error).__name__} that the game raised for the coalition of players {members} was lost",
                    expected="an exception",
                    got=values_of(returned),
                )
    if not raised:
        raise Skipped("the estimator never asks for the coalitions whose utilities fail.")


def _determinism(subject: EstimatorSubject, game: Game) -> None:
    for seed in _SEEDS:
        first = subject.play(game, seed)
        with kept() as states:
            states.move()
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
        with kept() as states:
            subject.play(game, seed)
            moved = states.moved()
        if moved:
            raise Violation(
                f"the call moved the global random state of {', '.join(moved)}",
                expected="the states as they were before",
                got="other states",
            )


def _no_memory(subject: EstimatorSubject, game: Game) -> None:
    # Another game, and one with the same utilities of nobody and everybody.
    others = (random_game(game.n_players, 12), game.renamed([*range(1, game.n_players), 0]))
    runs: dict[Game, list[NDArray[np.float64]]] = {one: [] for one in (*others, game)}
    # Exact estimators play several rounds too, so that a game comes to lie where an earlier one was in memory.
    for seed in subject.seeds if len(subject.seeds) > 1 else [0] * _ROUNDS:
        first = subject.play(game, seed)
        for other in others:
            runs[other].append(subject.play(other, seed).values)
        what = "that came for a game changed when another one was played"
        compare(f"the values {what}", first.values, numbers("values", first.raw, game), 0.0)
        if first.std_errors is not None:
            still = numbers("standard errors", first.raw_errors, game)
            compare(f"the standard errors {what}", first.std_errors, still, 0.0)
        runs[game].append(subject.play(game, seed).values)
    for one, values in runs.items():
        exact = axioms.exact_values(subject, one)
        # The spread over the runs is no excuse for an estimator without randomness.
        for part in [np.stack(values)] if not subject.exact else [row[None] for row in values]:
            axioms.compare_runs("the values of a game played after another one are wrong", exact, part)


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


def _all(_: EstimatorSubject) -> Sequence[Game]:
    return GAMES


def _on(*names: str) -> Callable[[EstimatorSubject], Sequence[Game]]:
    return lambda _: by_name(*names)


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


INTERFACE: tuple[Check[EstimatorSubject], ...] = (
    Check("result", "one finite number per player comes back, with declared standard errors", _result, _all),
    Check("coalitions", "the game is asked with boolean matrices [m, n_players]", _coalitions, _all),
    Check(
        "bias",
        "the mean of phi over very many seeds = the values of the definition",
        _bias,
        _on("random_4_1", "random_6_3"),
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
        _on("airport", "duplicated_players", "two_players", "random_5_2", "random_6_3"),
    ),
)
