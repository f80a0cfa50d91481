"""Records as text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from textwrap import shorten

from unshap_conformance.records import Record

__all__ = ["table"]

_HEADER = ("check", "status", "cases", "residual", "tolerance", "why")
_WIDTH = 90


def table(records: Sequence[Record]) -> str:
    """Return a table for every subject, with a line for every check.

    A line shows the worst of the cases that ran: how many failed (or were expected to) of how many, the largest
    residual with its tolerance, and why, at the case where that happened.
    """
    groups: dict[str, dict[str, list[Record]]] = {}
    for record in records:
        groups.setdefault(record.subject, {}).setdefault(record.check, []).append(record)
    return "\n\n".join(_of_subject(subject, checks) for subject, checks in groups.items())


def _of_subject(subject: str, checks: dict[str, list[Record]]) -> str:
    lines = [_HEADER, *(_line(check, found) for check, found in checks.items())]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADER) - 1)]
    rows = ["  ".join([*map(str.ljust, line, widths), line[-1]]).rstrip() for line in lines]
    seconds = sum(record.duration for found in checks.values() for record in found)
    counts: dict[str, int] = {}
    for found in checks.values():
        status = _worst([record for record in found if record.status != "skipped"] or found).status
        counts[status] = counts.get(status, 0) + 1
    summary = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in counts.items())
    return "\n".join([f"{subject}: {summary} ({seconds:.1f} s)", *(f"  {row}" for row in rows)])


def _line(check: str, found: list[Record]) -> tuple[str, ...]:
    # Where a check ran on some cases, those that it skipped are no news.
    ran = [record for record in found if record.status != "skipped"] or found
    worst = _worst(ran)
    alike = sum(record.status == worst.status for record in ran)
    skipped = f", {len(found) - len(ran)} skipped" if len(ran) < len(found) else ""
    return (
        check,
        worst.status.replace("_", " "),
        f"{alike}/{len(ran)}{skipped}",
        "" if worst.residual is None else f"{worst.residual:.3g}",
        "" if worst.tolerance is None else f"{worst.tolerance:.3g}",
        "" if worst.status == "passed" else _why(worst),
    )


def _worst(found: list[Record]) -> Record:
    order = ("passed", "skipped", "expected_failure", "failed")
    return max(found, key=lambda record: (order.index(record.status), _size(record.residual)))


def _size(residual: float | None) -> float:
    if residual is None:
        return 0.0
    return math.inf if math.isnan(residual) else residual


def _why(record: Record) -> str:
    """Return its case and its reason in one line: of a traceback, the last line, which names the exception."""
    reason = record.reason.strip()
    if "Traceback" in reason:
        reason = reason.splitlines()[-1]
    return shorten(f"{record.game}: {reason}" if record.game else reason, _WIDTH, placeholder=" ...")
