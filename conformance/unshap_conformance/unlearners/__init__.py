"""Unlearners: the contracts, on small real problems whose coalitions are all enumerated."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

from unshap_conformance.records import Record
from unshap_conformance.runner import run_tasks, tasks_of
from unshap_conformance.unlearners.contracts import UNLEARNER_CHECKS
from unshap_conformance.unlearners.subject import UnlearnerSubject, unlearner_subject
from unshap_plugin.unlearners.base import Unlearner

__all__ = ["UNLEARNER_CHECKS", "UnlearnerSubject", "check_unlearner", "unlearner_subject"]


def check_unlearner(
    unlearner: str | Unlearner | UnlearnerSubject,
    *,
    name: str | None = None,
    settings: Mapping[str, Any] | None = None,
    checks: Collection[str] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    on_fail: Literal["raise", "collect"] = "raise",
) -> list[Record]:
    """Check an unlearner against the contracts, on small real problems.

    Parameters
    ----------
    unlearner, name, settings
        As in ``unlearner_subject``.
    checks, expected_failures, on_fail
        As in ``check_estimator``.

    Returns
    -------
    One record for every check and problem.

    Raises
    ------
    ConformanceError
        If a check fails, with ``on_fail="raise"``.
    """
    subject = unlearner_subject(unlearner, name=name, settings=settings)
    tasks = tasks_of(subject, subject.checks, only=checks, expected_failures=expected_failures)
    return run_tasks(tasks, on_fail)
