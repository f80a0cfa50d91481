"""Checks, their subjects and cases, and the exception that says that a promise is broken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["Case", "Check", "Kind", "Skipped", "Subject", "Violation", "compare"]

Kind = Literal["estimator", "evaluator", "unlearner"]


class Violation(AssertionError):  # noqa: N818
    """A subject breaks what a check is about.

    Parameters
    ----------
    what
        One sentence about what went wrong.
    players
        The players that it went wrong for; none where it is not about single players.
    expected, got
        The expected values, and those that came instead.
    residual, tolerance
        The distance between them, and the largest that is allowed.
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


class Case(Protocol):
    """A game or a problem that a check is played on."""

    @property
    def name(self) -> str:
        """Name that results call it by."""
        ...


@dataclass(frozen=True)
class Subject:
    """Subject of checks.

    Parameters
    ----------
    name
        Name that results call it by.
    checks
        All checks of its kind.
    """

    kind: ClassVar[Kind]
    name: str
    checks: tuple[Check[Any], ...] = field(repr=False)


S = TypeVar("S", bound=Subject)


@dataclass(frozen=True)
class Check(Generic[S]):
    """One promise, and how it is held against a subject.

    Parameters
    ----------
    name
        Name of the check.
    statement
        The formula or sentence that it holds the subject to.
    run
        ``(subject, case)``: returns if the promise is kept, raises ``Violation`` if not, ``Skipped`` if the case does
        not apply. Any other exception is a failure of the subject, with its traceback.
    cases
        Function from the subject to the cases it is played on; by default it is run once, with ``None`` for a case.
    unless
        Function from the subject to the reason why it does not apply to it, or ``None``.
    """

    name: str
    statement: str
    run: Callable[[S, Any], None]
    cases: Callable[[S], Sequence[Case | None]] = lambda _: (None,)
    unless: Callable[[S], str | None] = lambda _: None

    def label(self, case: Case | None) -> str:
        """Return what it is called on a case, as in ``efficiency[glove]``."""
        return self.name if case is None else f"{self.name}[{case.name}]"


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
        One sentence about what it means if they differ.
    expected, got
        Values of the same shape, one entry (or row) per player.
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
