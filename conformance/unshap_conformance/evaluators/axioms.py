"""The axioms, on games that are played through OpenDataVal's interface."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache

import numpy as np

from unshap_conformance import axioms
from unshap_conformance.checks import Check, Skipped, compare
from unshap_conformance.evaluators.faults import Watch
from unshap_conformance.evaluators.stages import Stage, real_stage, stage_of
from unshap_conformance.evaluators.subject import EvaluatorSubject, no_game
from unshap_conformance.games import GAMES, Game, by_name
from unshap_conformance.semivalues import by_subsets, label

__all__ = ["AXIOMS"]

# One row is no data for most evaluators: there is nothing to compare it with.
_GAMES = tuple(game for game in GAMES if game.n_players > 1)
_SOME = by_name("additive", "glove", "airport", "negative", "random_5_2", "random_6_3")
# Of utilities below 1, from float32 predictions.
_REAL_TOLERANCE = 1e-6


def _all(_: EvaluatorSubject) -> Sequence[Game]:
    return _GAMES


def _some(_: EvaluatorSubject) -> Sequence[Game]:
    return _SOME


def _renaming(subject: EvaluatorSubject, game: Game) -> None:
    """Let the rows come in other orders; unlike in a renamed game, their covariates go with them."""
    n = game.n_players
    for order in ([*range(n)][::-1], [*range(1, n), 0]):
        moved = np.stack([subject.values_on(stage_of(game, order), seed) for seed in subject.seeds])
        axioms.compare_runs(
            f"the values do not follow the rows when row i is that of player {order}[i]",
            axioms.runs(subject, game)[:, order],
            moved,
        )


def _agreement(subject: EvaluatorSubject, case: Game | Stage) -> None:
    """Compare with exact values: of a game, or of a torch model that is trained on every coalition of real rows."""
    if isinstance(case, Game):
        axioms.agreement(subject, case)
        return
    if not subject.exact:
        raise Skipped("it samples, and a training of a torch model for every seed takes too long.")
    assert subject.semivalue is not None
    compare(
        f"with a torch model the values are not the {label(subject.semivalue)} values",
        [float(value) for value in by_subsets(_real_utilities(), subject.semivalue)],
        subject.values_on(case),
        _REAL_TOLERANCE,
    )


@cache
def _real_utilities() -> tuple[Fraction, ...]:
    """Return the utility of every coalition of the rows of ``real_stage()``, through nothing but its model."""
    stage = real_stage()
    x, y, x_valid, y_valid = stage.data
    utilities = []
    for mask in range(1 << stage.n_players):
        model = stage.model(Watch())
        rows = [row for row in range(stage.n_players) if mask >> row & 1]
        if rows:
            model.fit(x[rows], y[rows], **stage.keywords)
        utilities.append(Fraction(float(stage.metric(y_valid, model.predict(x_valid)))))
    return tuple(utilities)


def _no_semivalue(subject: EvaluatorSubject) -> str | None:
    none = None if subject.semivalue else "it promises no semivalue, so there are no exact values to compare with."
    return no_game(subject) or none


def _not_efficient(subject: EvaluatorSubject) -> str | None:
    return no_game(subject) or (
        None if subject.efficient else "it does not promise that its values sum to v(N) - v(none)."
    )


def _not_self_dual(subject: EvaluatorSubject) -> str | None:
    value = subject.semivalue
    if value in ("shapley", "banzhaf") or (isinstance(value, tuple) and value[1] == value[2]):
        return no_game(subject)
    return no_game(subject) or f"{label(value) if value else 'its'} values are not those of the dual game."


AXIOMS: tuple[Check[EvaluatorSubject], ...] = (
    Check("efficiency", "the sum of phi_i over all players = v(N) - v(none)", axioms.efficiency, _all, _not_efficient),
    Check(
        "symmetry",
        "phi_i = phi_j if v(S + i) = v(S + j) for every S without i and j",
        axioms.symmetry,
        lambda _: [game for game in _GAMES if game.symmetric_pairs],
        no_game,
    ),
    Check(
        "null_player",
        "phi_i = 0 if v(S + i) = v(S) for every S",
        axioms.null_player,
        lambda _: [game for game in _GAMES if game.null_players],
        no_game,
    ),
    Check("linearity", "phi(v + w) = phi(v) + phi(w)", axioms.linearity, _some, no_game),
    Check("scaling", "phi(c v) = c phi(v) for c > 0", axioms.scaling, _some, no_game),
    Check("shift", "phi(v + c) = phi(v) for a constant c", axioms.shift, _some, no_game),
    Check("duality", "phi(v*) = phi(v) for v*(S) = v(N) - v(N without S)", axioms.duality, _some, _not_self_dual),
    Check("renaming", "values follow the rows when these come in another order", _renaming, _some, no_game),
    Check(
        "agreement",
        "phi = the values of the definition, in rational arithmetic",
        _agreement,
        lambda _: [*_GAMES, real_stage()],
        _no_semivalue,
    ),
)
