"""What a check says: a violation of what was promised, or that it does not apply; and the record of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["ConformanceError", "Record", "Skipped", "Status", "Violation", "compare"]

Status = Literal["passed", "failed", "skipped", "expected_failure"]


class Violation(AssertionError):  # noqa: N818
    """A subject breaks what a check is about.

    Parameters
    ----------
    what
        What went wrong, in one sentence.
    players
        The players that it went wrong for; none where it is not about single players.
    expected, got
        What was expected, and what came instead.
    residual, tolerance
        How far it is off, and how far it may be.
    """

    def __init__(
        self,
        what: str,
        *,
        players: Sequence[Any] = (),
        expected: Any = None,
        got: Any = None,
        residual: float | None = None,
        tolerance: float | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.players = tuple(players)
        self.expected = expected
        self.got = got
        self.residual = residual
        self.tolerance = tolerance


class Skipped(Exception):  # noqa: N818
    """A check does not apply to a subject or a case; the message says why."""


@dataclass(frozen=True)
class Record:
    """What one check found on one case.

    Parameters
    ----------
    subject
        Name of what was checked.
    check, statement
        The check, and the formula or sentence that it holds the subject to.
    game
        The game (or problem) that it was played on; empty for a check of an interface alone.
    status
        ``passed``, ``failed``, ``skipped`` or ``expected_failure``.
    players, expected, got, residual, tolerance
        As in ``Violation``; empty where nothing was violated.
    reason
        Why it failed (with the traceback of an exception), was skipped, or was expected to fail.
    duration
        Seconds.
    """

    subject: str
    check: str
    statement: str
    game: str
    status: Status
    players: tuple[Any, ...] = ()
    expected: Any = None
    got: Any = None
    residual: float | None = None
    tolerance: float | None = None
    reason: str = ""
    duration: float = 0.0

    @property
    def label(self) -> str:
        """The check and its game, as in ``efficiency[glove]``."""
        return f"{self.check}[{self.game}]" if self.game else self.check

    def __str__(self) -> str:
        """Return everything, as in a failure message."""
        lines = [f"{self.subject}: {self.label} {self.status}: {self.statement}"]
        if self.reason:
            lines.append(self.reason)
        for name in ("players", "expected", "got", "residual", "tolerance"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, tuple) and not value):
                lines.append(f"{name:<9} {_shown(value)}")
        return "\n  ".join(lines)


class ConformanceError(AssertionError):
    """A subject failed; ``records`` holds what every check found."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = list(records)
        failed = [record for record in self.records if record.status == "failed"]
        super().__init__(f"{len(failed)} of {len(self.records)} checks failed:\n" + "\n".join(map(str, failed)))


def compare(
    what: str,
    expected: ArrayLike,
    got: ArrayLike,
    tolerance: ArrayLike,
    *,
    players: Sequence[Any] | None = None,
) -> None:
    """Compare values player by player, two-sided.

    Parameters
    ----------
    what
        What it means if they differ, in one sentence.
    expected, got
        Of the same shape, one entry (or row) per player.
    tolerance
        The largest absolute difference that is allowed: one for all, or one for each.
    players
        What the entries are called; their numbers by default.

    Raises
    ------
    Violation
        If a shape or an entry differs, or an entry is not finite. It holds the entries that are wrong, and the residual
        and the tolerance of the worst of them.
    """
    e, g = np.asarray(expected, dtype=np.float64), np.asarray(got, dtype=np.float64)
    if e.shape != g.shape:
        raise Violation(f"{what} (the shapes differ)", expected=list(e.shape), got=list(g.shape))
    distance = np.abs(g - e)
    allowed = np.broadcast_to(np.asarray(tolerance, dtype=np.float64), e.shape)
    wrong = ~(distance <= allowed)  # NaN is wrong
    if wrong.any():
        each = wrong.reshape(len(wrong), -1).any(axis=1) if wrong.ndim else np.zeros(0, dtype=bool)
        names = range(len(each)) if players is None else players
        measured = wrong & ~np.isnan(distance)
        excess = np.where(measured, distance - allowed, -np.inf)
        worst = np.unravel_index(excess.argmax(), e.shape) if measured.any() else None
        raise Violation(
            what,
            players=tuple(name for name, bad in zip(names, each, strict=True) if bad),
            expected=e[each].tolist() if e.ndim else float(e),
            got=g[each].tolist() if g.ndim else float(g),
            residual=float("nan") if worst is None else float(distance[worst]),
            tolerance=float(allowed.flat[0] if worst is None else allowed[worst]),
        )


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        shown = ", ".join(_shown(one) for one in value[:8]) + (", ..." if len(value) > 8 else "")
        return f"[{shown}]"
    return str(value)
