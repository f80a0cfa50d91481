"""The contracts that unlearners are held to, and on which problems."""

from __future__ import annotations

from collections.abc import Sequence

from unshap_conformance.checks import Check, Violation
from unshap_conformance.problems import LARGE_PROBLEMS, PROBLEMS, ProblemCase
from unshap_conformance.unlearners import calls, dependence, forgetting
from unshap_conformance.unlearners.subject import UnlearnerSubject, missing_access, refusal

__all__ = ["UNLEARNER_CHECKS"]

_SORTS = ("ridge", "logistic", "logistic-partial", "logistic-artifacts", "network", "network-partial", "object")


def _accepts(subject: UnlearnerSubject, _: None) -> None:
    refusals = [refusal(subject.unlearner, one.make()) for one in _fitting(subject)]
    if all(refusals):
        raise Violation(
            f"it refuses every problem that has what it says it needs: {refusals[0]}",
            expected=f"one of {len(refusals)} problems accepted",
            got="none",
        )


def _concerning(subject: UnlearnerSubject) -> Sequence[ProblemCase]:
    """Return the problems, those with artefacts only for who uses these."""
    return [case for case in PROBLEMS if subject.unlearner.stored is not None or not case.artifacts]


def _fitting(subject: UnlearnerSubject) -> Sequence[ProblemCase]:
    """Return the problems that have what the unlearner says it needs."""
    unlearner, cases = subject.unlearner, _concerning(subject)
    return [case for case in cases if not missing_access(unlearner, case.available) and unlearner.takes & case.kind]


def _others(subject: UnlearnerSubject) -> Sequence[ProblemCase]:
    fitting = _fitting(subject)
    return [case for case in _concerning(subject) if case not in fitting]


def _some(subject: UnlearnerSubject) -> Sequence[ProblemCase]:
    """Return one problem of each sort, for what does not depend on the players."""
    return [case for case in _fitting(subject) if case.name in _SORTS]


def _large(subject: UnlearnerSubject) -> Sequence[ProblemCase]:
    return [case for case in LARGE_PROBLEMS if not subject.unlearner.needs & ~case.available]


def _exact(subject: UnlearnerSubject) -> str | None:
    return "it claims to equal retraining, which may jump." if subject.unlearner.exact else None


def _ordered(subject: UnlearnerSubject) -> str | None:
    return "it declares that it depends on the order." if subject.unlearner.order_dependent else None


def _nothing_fits(subject: UnlearnerSubject) -> str | None:
    return None if _fitting(subject) else "there is no problem here that has what it needs."


def _none_to_refuse(subject: UnlearnerSubject) -> str | None:
    return None if _others(subject) else "it works on every kind of problem."


UNLEARNER_CHECKS: tuple[Check[UnlearnerSubject], ...] = (
    Check(
        "result",
        "one finite model for every coalition, of the dtype and on the device of the given one",
        calls.result,
        _fitting,
    ),
    Check(
        "accepts",
        "it accepts some problem that has what it says it needs",
        _accepts,
        unless=_nothing_fits,
    ),
    Check("identity", "keeping everybody gives the given model, bit for bit", calls.identity, _fitting),
    Check("continuity", "removing a little changes a little", forgetting.continuity, _large, _exact),
    Check(
        "untouched", "the given model, its mode, its gradients and the data stay as they are", calls.untouched, _some
    ),
    Check("global_rng", "the global random states are not moved", calls.global_rng, _some),
    Check("determinism", "the same call with the same seed gives the same bits", dependence.determinism, _some),
    Check(
        "batch",
        "a model is a function of its coalition, not of the others of the call",
        dependence.batch,
        _fitting,
        _ordered,
    ),
    Check(
        "models", "a model answers the same, whenever and about whichever rows it is asked", dependence.models, _some
    ),
    Check("renaming", "models follow the players: f(S renamed) = f(S)", dependence.renaming, _some, _ordered),
    Check("test_set", "the test set is not looked at", dependence.test_set, _some),
    Check(
        "direction",
        "cos(f(S) - f(N), retrained f(S) - f(N)) >= 0.1 over all coalitions",
        forgetting.direction,
        _fitting,
    ),
    Check("loop", "batched equals one by one", dependence.loop, _some),
    Check(
        "distance",
        "mean |v(S) - retrained v(S)| <= mean |v(N) - retrained v(S)| + noise of seeds; = 0 if it claims to be exact",
        forgetting.distance,
        _fitting,
    ),
    Check(
        "refusal", "a problem that lacks what the unlearner needs is refused before any work", calls.refuses, _others
    ),
    Check("pickling", "a pickled unlearner is the same", calls.pickling, _some),
    Check(
        "axioms",
        "of its own v, sum phi_i = v(N) - v(none) and phi = the subset formula (which says nothing about forgetting)",
        forgetting.axioms,
        _some,
        _ordered,
    ),
)
