"""Estimators: whatever goes from a game to values, on games whose values are known exactly."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

from unshap_conformance import axioms
from unshap_conformance.estimators.interface import INTERFACE
from unshap_conformance.estimators.subject import EstimatorSubject, estimator_subject
from unshap_conformance.games import GAMES, Game, by_name
from unshap_conformance.records import Record
from unshap_conformance.runner import Check, run_tasks, tasks_of
from unshap_conformance.semivalues import label
from unshap_plugin.estimators import Estimator

__all__ = ["ESTIMATOR_CHECKS", "EstimatorSubject", "check_estimator", "estimator_subject"]


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


ESTIMATOR_CHECKS: tuple[Check[EstimatorSubject], ...] = (
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
    *INTERFACE,
)
