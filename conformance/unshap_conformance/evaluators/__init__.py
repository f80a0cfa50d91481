"""OpenDataVal evaluators: every ``DataEvaluator`` class, on games played through OpenDataVal's own interface."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

from opendataval.dataval import DataEvaluator

from unshap_conformance.evaluators.axioms import AXIOMS
from unshap_conformance.evaluators.interface import INTERFACE
from unshap_conformance.evaluators.subject import EvaluatorSubject, evaluator_subject
from unshap_conformance.records import Record
from unshap_conformance.runner import Check, run_tasks, tasks_of

__all__ = ["EVALUATOR_CHECKS", "EvaluatorSubject", "check_evaluator", "evaluator_subject"]

EVALUATOR_CHECKS: tuple[Check[EvaluatorSubject], ...] = (*AXIOMS, *INTERFACE)


def check_evaluator(
    evaluator: str | Callable[..., DataEvaluator] | EvaluatorSubject,
    *,
    checks: Collection[str] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    on_fail: Literal["raise", "collect"] = "raise",
    **traits: Any,
) -> list[Record]:
    """Check an OpenDataVal evaluator on games whose values are known exactly, and on its interface.

    Parameters
    ----------
    evaluator, traits
        As in ``evaluator_subject``.
    checks
        Names of the checks to run; all by default.
    expected_failures
        From the name of a check, or the label of one of its cases (``efficiency[glove]``), to the reason why it fails.
        Strict: where it does not fail, that is a failure.
    on_fail
        ``"raise"`` an error after all checks, or ``"collect"`` the records only.

    Returns
    -------
    One record for every check and case.

    Raises
    ------
    ConformanceError
        If a check fails, with ``on_fail="raise"``.
    """
    subject = evaluator_subject(evaluator, **traits)
    tasks = tasks_of(subject, subject.checks, only=checks, expected_failures=expected_failures)
    return run_tasks(tasks, on_fail)
