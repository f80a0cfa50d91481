"""Results as text."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from unshap_conformance.results import CheckResult
from unshap_plugin.support.printing import lines_of

__all__ = ["table"]

_HEADER = ("check", "status", "cases", "residual", "tolerance", "why")


def table(results: Sequence[CheckResult]) -> str:
    """Return a table for every subject, with a line for every check.

    A line shows the worst of the cases that ran: how many failed (or were expected to) of how many, the largest
    residual with its tolerance, and why, at the case where that happened; what fails in its own way comes before an
    exception that another line shows. An empty list is empty text.

    Parameters
    ----------
    results
        What ``check`` returned, of one subject or several.

    Examples
    --------
    >>> from unshap_conformance import check_estimator
    >>> print(table(check_estimator("exact", checks=["efficiency", "bias"])))
    exact: 1 passed, 1 skipped (... s)
      check       status   cases  residual  tolerance  why
      efficiency  passed   19/19
      bias        skipped  1/1                         its values are exact, so that agreement compares each of them.
    """
    groups: dict[str, dict[str, list[CheckResult]]] = {}
    for result in results:
        groups.setdefault(result.subject, {}).setdefault(result.check, []).append(result)
    return "\n\n".join(_of_subject(subject, checks) for subject, checks in groups.items())


def _of_subject(subject: str, checks: dict[str, list[CheckResult]]) -> str:
    lines = [_HEADER, *(_line(check, found) for check, found in checks.items())]
    rows = lines_of(lines, left=len(_HEADER))
    seconds = sum(result.duration for found in checks.values() for result in found)
    counts: dict[str, int] = {}
    for found in checks.values():
        status = _worst([result for result in found if result.status != "skipped"] or found).status
        counts[status] = counts.get(status, 0) + 1
    summary = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in counts.items())
    return "\n".join([f"{subject}: {summary} ({seconds:.1f} s)", *(f"  {row}" for row in rows)])


def _line(check: str, found: list[CheckResult]) -> tuple[str, ...]:
    # Where a check ran on some cases, those that it skipped are no news.
    ran = [result for result in found if result.status != "skipped"] or found
    worst = _worst(ran)
    alike = sum(result.status == worst.status for result in ran)
    skipped = f", {len(found) - len(ran)} skipped" if len(ran) < len(found) else ""
    return (
        check,
        worst.status.replace("_", " "),
        f"{alike}/{len(ran)}{skipped}",
        "" if worst.residual is None else f"{worst.residual:.3g}",
        "" if worst.tolerance is None else f"{worst.tolerance:.3g}",
        "" if worst.status == "passed" else _why(worst),
    )


def _worst(found: list[CheckResult]) -> CheckResult:
    order = ("passed", "skipped", "expected_failure", "failed")
    return max(found, key=lambda result: (order.index(result.status), not result.same_as, _size(result.residual)))


def _size(residual: float | None) -> float:
    if residual is None:
        return 0.0
    return math.inf if math.isnan(residual) else residual


def _why(result: CheckResult) -> str:
    """Return its case and its reason, whole and in one line: of a traceback, the exception that it ends with."""
    if result.same_as:
        return f"the same exception as in {result.same_as}"
    reason = _without_frames(result.reason)
    return " ".join((f"{result.game}: {reason}" if result.game else reason).split())


def _without_frames(reason: str) -> str:
    """Return what follows the last frame of a traceback: the exception, whose message may have several lines."""
    lines = reason.splitlines()
    frames = [number for number, line in enumerate(lines) if line.startswith('  File "')]
    if not frames:
        return reason
    return "\n".join(itertools.dropwhile(lambda line: line.startswith("    "), lines[frames[-1] + 1 :]))
