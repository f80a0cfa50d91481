"""What the tables of axioms share: cells for what the checks of the conformance suite found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from unshap_conformance import CheckResult

__all__ = ["cell", "of", "table"]


def cell(results: Sequence[CheckResult]) -> str:
    """Return what one check found, in a table: passed, or the largest residual, where, and how often."""
    if all(result.status == "skipped" for result in results):
        return "not promised"
    failed = [result for result in results if result.status == "failed"]
    if not failed:
        return "holds"
    worst = max(failed, key=lambda result: result.residual if result.residual is not None else np.inf)
    if worst.residual is None:
        return f"**{worst.reason.strip().splitlines()[-1][:60]}**"
    return f"**{worst.residual:.3g}** ({worst.game}; {len(failed)} of {len(results)})"


def of(results: Sequence[CheckResult], check: str) -> list[CheckResult]:
    """Return the results of one check."""
    return [result for result in results if result.check == check]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines)
