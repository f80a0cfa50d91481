"""Running checks on a subject: what is selected, what is expected to fail, what comes out."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, Protocol, TypeVar

from unshap_conformance.records import ConformanceError, Record, Skipped, Violation
from unshap_plugin.errors import InvalidValueError, UnknownNameError

__all__ = ["Case", "Check", "Subject", "Task", "perform", "run_tasks", "tasks_of"]


class Subject(Protocol):
    """What is checked."""

    @property
    def name(self) -> str:
        """What it is called in records."""
        ...


class Case(Protocol):
    """What a check is played on: a game or a problem."""

    @property
    def name(self) -> str:
        """What it is called in records; empty for a check of an interface alone."""
        ...


S = TypeVar("S", bound=Subject)


@dataclass(frozen=True)
class Check(Generic[S]):
    """One promise, and how it is held against a subject.

    Parameters
    ----------
    name
        What it is called.
    statement
        The formula or sentence that it holds the subject to.
    run
        ``(subject, case)``: returns if the promise is kept, raises ``Violation`` if not, ``Skipped`` if the case does
        not apply. Any other exception is a failure of the subject, with its traceback.
    cases
        What it is played on, for this subject.
    unless
        Why it does not apply to this subject, or ``None``.
    """

    name: str
    statement: str
    run: Callable[[S, Any], None]
    cases: Callable[[S], Sequence[Case]]
    unless: Callable[[S], str | None] = lambda _: None


@dataclass(frozen=True)
class Task(Generic[S]):
    """One check of one subject on one case, not run yet.

    ``expected`` is the reason why it is expected to fail, and ``expectation`` what that reason was given for: the
    check, or one of its cases; ``skip`` is why it is not run.
    """

    subject: S
    check: Check[S]
    case: Case | None
    expected: str | None = None
    expectation: str | None = None
    skip: str | None = None

    @property
    def label(self) -> str:
        """As in ``efficiency[glove]``."""
        return f"{self.check.name}[{self.case.name}]" if self.case is not None and self.case.name else self.check.name


def tasks_of(
    subject: S,
    checks: Sequence[Check[S]],
    *,
    only: Collection[str] | None = None,
    expected_failures: Mapping[str, str] | None = None,
) -> list[Task[S]]:
    """Return what is to be run.

    Parameters
    ----------
    subject
        What is checked.
    checks
        All checks of its kind.
    only
        Names of the checks to run; all by default.
    expected_failures
        From the name of a check, or the label of one of its cases (``efficiency[glove]``), to the reason why it fails.
        Strict: where it does not fail, that is a failure. Of a check named without a case, one case has to fail.

    Raises
    ------
    UnknownNameError
        If there is no check of such a name.
    InvalidValueError
        If a reason is missing, or a check that is expected to fail is not selected.
    """
    expected = dict(expected_failures or {})
    names = [check.name for check in checks]
    for name in only if only is not None else ():
        if name not in names:
            raise UnknownNameError("check", name, names)
    tasks: list[Task[S]] = []
    for check in checks:
        if only is not None and check.name not in only:
            continue
        skip = check.unless(subject)
        if skip is not None:
            tasks.append(Task(subject, check, None, skip=skip))
            continue
        for case in check.cases(subject):
            task = Task(subject, check, case)
            key = task.label if task.label in expected else check.name
            if key in expected:
                task = replace(task, expected=expected[key], expectation=key)
            tasks.append(task)
    run = [task for task in tasks if task.skip is None]
    labels = {task.label for task in run} | {task.check.name for task in run}
    for name, reason in expected.items():
        if name.split("[")[0] not in names:
            raise UnknownNameError("check", name, names)
        if name not in labels:
            raise InvalidValueError(f"the expected failure {name!r} is of a check or a game that is not run.")
        if not isinstance(reason, str) or not reason.strip():
            raise InvalidValueError(f"the expected failure {name!r} has no reason: say why it fails.")
    return tasks


def perform(task: Task[S]) -> Record:
    """Run one task. An exception becomes a failure with its traceback, never a number."""
    begin = time.perf_counter()
    blank = Record(
        task.subject.name,
        task.check.name,
        task.check.statement,
        task.case.name if task.case is not None else "",
        "passed",
    )
    if task.skip is not None:
        return replace(blank, status="skipped", reason=task.skip)
    try:
        task.check.run(task.subject, task.case)
        record = blank
    except Skipped as skipped:
        record = replace(blank, status="skipped", reason=str(skipped))
    except Violation as violation:
        record = replace(
            blank,
            status="failed",
            players=violation.players,
            expected=violation.expected,
            got=violation.got,
            residual=violation.residual,
            tolerance=violation.tolerance,
            reason=violation.what,
        )
    except KeyboardInterrupt:
        raise
    except BaseException:  # also what would end or skip a run: SystemExit, and pytest's own
        record = replace(blank, status="failed", reason=f"the subject raised an exception:\n{traceback.format_exc()}")
    if task.expected is not None and record.status == "failed":
        record = replace(record, status="expected_failure", reason=f"{task.expected} ({record.reason})")
    return replace(record, duration=time.perf_counter() - begin)


def run_tasks(tasks: Sequence[Task[S]], on_fail: Literal["raise", "collect"] = "raise") -> list[Record]:
    """Run tasks and return their records, in order.

    Raises
    ------
    ConformanceError
        With ``on_fail="raise"``, after all of them ran, if one failed or an expected failure did not happen.
    """
    if on_fail not in ("raise", "collect"):
        raise UnknownNameError("on_fail", on_fail, ["raise", "collect"])
    records = [perform(task) for task in tasks]
    records += _unexpected_successes(tasks, records)
    if on_fail == "raise" and any(record.status == "failed" for record in records):
        raise ConformanceError(records)
    return records


def _unexpected_successes(tasks: Sequence[Task[S]], records: Sequence[Record]) -> Iterator[Record]:
    groups: dict[tuple[str, str], list[tuple[Task[S], Record]]] = {}
    for task, record in zip(tasks, records, strict=True):
        if task.expectation is not None:
            groups.setdefault((task.subject.name, task.expectation), []).append((task, record))
    for group in groups.values():
        if all(record.status != "expected_failure" for _, record in group):
            task, record = group[0]
            yield replace(
                record,
                game=record.game if len(group) == 1 else "",
                status="failed",
                reason=f"was expected to fail ({task.expected}), but did not: remove it from the expected failures.",
            )
