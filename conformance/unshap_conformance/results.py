"""Results of checks, and the error that reports failed ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["CheckResult", "ConformanceError", "Status"]

Status = Literal["passed", "failed", "skipped", "expected_failure"]


@dataclass(frozen=True)
class CheckResult:
    """Result of one check on one case.

    Parameters
    ----------
    subject
        Name of what was checked.
    check, statement
        The check, and the formula or sentence that it holds the subject to.
    game
        The game (or problem) that it was played on; empty for a check that is not played on any.
    status
        ``passed``, ``failed``, ``skipped`` or ``expected_failure``.
    players, expected, got, residual, tolerance
        Which players it went wrong for (``[k]`` names or numbers), what was expected of them and what came (``[k]``,
        or in words), the largest difference and how large it may be; empty where nothing was violated.
    reason
        Why it failed (with the traceback of an exception), was skipped, or was expected to fail.
    exception
        The exception that the subject raised, if it did, in a line: what it is, and where it began.
    same_as
        The label of an earlier result with the same exception.
    duration
        Seconds.

    Examples
    --------
    >>> result = CheckResult("mine", "efficiency", "the values sum to v(N) - v(none)", "glove", "passed")
    >>> result.label
    'efficiency[glove]'
    >>> print(result)
    mine: efficiency[glove] passed: the values sum to v(N) - v(none)
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
    exception: str = ""
    same_as: str = ""
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
    """A subject failed; ``results`` holds what every check found, failed or not.

    An exception that many checks met is shown once, so that it does not hide the others.

    Examples
    --------
    >>> from unshap_conformance import check_estimator
    >>> def generous(game):
    ...     return [1.0] * game.n_players
    >>> try:
    ...     check_estimator(generous, checks=["null_player"])
    ... except ConformanceError as error:
    ...     print(error.results[0])
    generous: null_player[unanimity] failed: phi_i = 0 if v(S + i) = v(S) for every S
      a player that adds nothing is paid
      players   [1, 3]
      expected  [0, 0]
      got       [1, 1]
      residual  1
      tolerance 1e-09
    """

    def __init__(self, results: Sequence[CheckResult]) -> None:
        self.results = list(results)
        failed = [result for result in self.results if result.status == "failed"]
        shown = [str(result) for result in failed if not result.same_as]
        super().__init__(f"{len(failed)} of {len(self.results)} checks failed:\n" + "\n".join(shown))


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        shown = ", ".join(_shown(one) for one in value[:8]) + (", ..." if len(value) > 8 else "")
        return f"[{shown}]"
    return str(value)
