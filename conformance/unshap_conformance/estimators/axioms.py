"""The axioms, on games that an estimator plays."""

from __future__ import annotations

from collections.abc import Sequence

from unshap_conformance import axioms
from unshap_conformance.checks import Check
from unshap_conformance.estimators.subject import EstimatorSubject
from unshap_conformance.games import GAMES, Game, by_name
from unshap_conformance.semivalues import label

__all__ = ["AXIOMS"]

_SOME = by_name("glove", "airport", "non_monotone", "one_player", "random_5_2")


def _all(_: EstimatorSubject) -> Sequence[Game]:
    return GAMES


def _some(_: EstimatorSubject) -> Sequence[Game]:
    return _SOME


def _not_efficient(subject: EstimatorSubject) -> str | None:
    return None if subject.efficient else "it does not promise that its values sum to v(N) - v(none)."


def _not_self_dual(subject: EstimatorSubject) -> str | None:
    value = subject.semivalue
    if value in ("shapley", "banzhaf") or (isinstance(value, tuple) and value[1] == value[2]):
        return None
    return f"{label(value)} values are not those of the dual game."


AXIOMS: tuple[Check[EstimatorSubject], ...] = (
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
)
