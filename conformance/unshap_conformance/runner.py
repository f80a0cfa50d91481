"""The one way from a subject to results: which checks are run, what is expected to fail, and what comes out."""

from __future__ import annotations

import time
import traceback
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from unshap_conformance.checks import Case, Check, Skipped, Subject, Violation
from unshap_conformance.results import CheckResult, ConformanceError
from unshap_plugin.errors import InvalidTypeError, InvalidValueError, UnknownNameError, nearest

__all__ = ["Task", "check", "run", "tasks_of"]


_RAISED = "the subject raised an exception"


@dataclass(frozen=True)
class Task:
    """One check of one subject, to be run.

    Parameters
    ----------
    subject, check
        The subject, and the check.
    cases
        Cases that it is played on: one, or all of those of which at least one has to fail.
    expected
        Reason why it is expected to fail, or ``None``.
    skip
        Reason why it is not run, or ``None``.
    """

    subject: Subject
    check: Check[Any]
    cases: tuple[Case | None, ...] = (None,)
    expected: str | None = None
    skip: str | None = None

    @property
    def label(self) -> str:
        """The check and its case, as in ``efficiency[glove]``; of several cases the check alone."""
        return self.check.label(self.cases[0] if len(self.cases) == 1 else None)


def check(
    subject: Subject,
    *,
    checks: Collection[str] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    on_fail: Literal["raise", "collect"] = "raise",
) -> list[CheckResult]:
    """Check a subject of any kind.

    Parameters
    ----------
    subject
        The subject that ``estimator_subject``, ``evaluator_subject`` or ``unlearner_subject`` made.
    checks
        Names of the checks to run; all of its kind by default.
    expected_failures
        Reasons by the name of a check, or by the label of one of its cases (``efficiency[glove]``).
        Strict: where it does not fail, that is a failure. Of a check named without a case, one case has to fail.
    on_fail
        ``"raise"`` an error after all checks, or ``"collect"`` the results only.

    Returns
    -------
    One result for every check and case; further ones for the expected failures that did not happen.

    Raises
    ------
    ConformanceError
        If a check failed or an expected failure did not happen, with ``on_fail="raise"``.
    UnknownNameError, InvalidValueError, InvalidTypeError
        See ``tasks_of``; also if ``on_fail`` is another word.

    Examples
    --------
    >>> from unshap_conformance import estimator_subject
    >>> results = check(estimator_subject("exact"), checks=["symmetry", "seed"])
    >>> sorted({(result.check, result.status) for result in results})
    [('seed', 'skipped'), ('symmetry', 'passed')]
    """
    if on_fail not in ("raise", "collect"):
        raise UnknownNameError("on_fail", on_fail, ["raise", "collect"])
    results = run(tasks_of(subject, checks=checks, expected_failures=expected_failures))
    if on_fail == "raise" and any(result.status == "failed" for result in results):
        raise ConformanceError(results)
    return results


def tasks_of(
    subject: Subject, *, checks: Collection[str] | None = None, expected_failures: Mapping[str, str] | None = None
) -> list[Task]:
    """Return what is to be run, for ``parametrize_with_checks``.

    Parameters
    ----------
    subject, checks, expected_failures
        See ``check``.

    Raises
    ------
    UnknownNameError
        If there is no check of such a name.
    InvalidValueError
        If a reason is missing, or a check that is expected to fail is not run.
    InvalidTypeError
        If this is no subject.

    Examples
    --------
    >>> from unshap_conformance import estimator_subject
    >>> tasks = tasks_of(estimator_subject("exact"), checks=["global_rng", "seed"])
    >>> [(task.label, task.skip) for task in tasks]
    [('seed', 'its values are exact, which no seed changes.'), ('global_rng[random_5_2]', None)]
    """
    if not isinstance(subject, Subject):
        raise InvalidTypeError(
            f"subject is a {type(subject).__name__}, but what estimator_subject, evaluator_subject or "
            f"unlearner_subject returned is needed."
        )
    if isinstance(checks, str) or not isinstance(checks, Iterable | None):
        raise InvalidTypeError(f"checks is {checks!r}, but a list of names is needed: give [{checks!r}].")
    if not isinstance(expected_failures, Mapping | None):
        raise InvalidTypeError(
            f"expected_failures is a {type(expected_failures).__name__}, but a dict from names to reasons is needed."
        )
    expected = dict(expected_failures or {})
    names = [one.name for one in subject.checks]
    for name in (*(checks or ()), *(key.split("[")[0] for key in expected)):
        if name not in names:
            raise UnknownNameError("check", name, names)
    tasks: list[Task] = []
    for one in subject.checks:
        if checks is None or one.name in checks:
            tasks += _tasks_of_check(subject, one, expected)
    ran = [task for task in tasks if task.skip is None]
    labels = {label for task in ran for label in (task.check.name, *map(task.check.label, task.cases))}
    for name, reason in expected.items():
        if name not in labels:
            raise InvalidValueError(
                f"the expected failure {name!r} is of a check or a game that is not run{nearest(name, labels)}: leave "
                f"it out."
            )
        if not isinstance(reason, str) or not reason.strip():
            raise InvalidValueError(f"the expected failure {name!r} has no reason: say why it fails.")
    return tasks


def run(tasks: Iterable[Task]) -> list[CheckResult]:
    """Run tasks and return their results in order, and then one for every expected failure that did not happen."""
    results: list[CheckResult] = []
    surprises: list[CheckResult] = []
    for task in tasks:
        found = [_result(task, case) for case in task.cases]
        results += found
        if task.expected is not None and all(result.status != "expected_failure" for result in found):
            reason = f"was expected to fail ({task.expected}), but did not: remove it from the expected failures."
            game = found[0].game if len(found) == 1 else ""
            surprises.append(replace(found[0], game=game, status="failed", reason=reason))
    return _named_once(results) + surprises


def _named_once(results: list[CheckResult]) -> list[CheckResult]:
    """Return results of which the first with an exception says what others had it too, and these only which it was."""
    alike: dict[tuple[str, str], list[CheckResult]] = {}
    for result in results:
        if result.exception and result.status == "failed":
            alike.setdefault((result.subject, result.exception), []).append(result)
    new: dict[int, CheckResult] = {}
    for first, *others in alike.values():
        for one in others:
            reason = f"the subject raised the same exception as in {first.label}: {one.exception}"
            new[id(one)] = replace(one, reason=reason, same_as=first.label)
        if others:
            checks = list(dict.fromkeys(one.check for one in others))
            where = f"and {len(others)} times more, in {', '.join(checks)}"
            new[id(first)] = replace(first, reason=first.reason.replace(_RAISED, f"{_RAISED} ({where})", 1))
    return [new.get(id(result), result) for result in results]


def _tasks_of_check(subject: Subject, one: Check[Any], expected: Mapping[str, str]) -> list[Task]:
    """Return a task for every case, but a single one for those that the check's own expected failure is about."""
    skip = one.unless(subject)
    if skip is not None:
        return [Task(subject, one, skip=skip)]
    alone: list[Task] = []
    together: list[Case | None] = []
    for case in one.cases(subject):
        if one.name in expected and one.label(case) not in expected:
            together.append(case)
        else:
            alone.append(Task(subject, one, (case,), expected.get(one.label(case))))
    return [*alone, Task(subject, one, tuple(together), expected[one.name])] if together else alone


def _result(task: Task, case: Case | None) -> CheckResult:
    """Run a check on one case. An exception becomes a failure with its traceback, never a number."""
    begin = time.perf_counter()
    game = "" if case is None else case.name
    result = CheckResult(task.subject.name, task.check.name, task.check.statement, game, "passed")
    if task.skip is not None:
        return replace(result, status="skipped", reason=task.skip)
    try:
        task.check.run(task.subject, case)
    except Skipped as skipped:
        result = replace(result, status="skipped", reason=str(skipped))
    except Violation as violation:
        result = replace(
            result,
            status="failed",
            reason=violation.what,
            players=violation.players,
            expected=violation.expected,
            got=violation.got,
            residual=violation.residual,
            tolerance=violation.tolerance,
        )
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also what would end or skip a run: SystemExit, and pytest's own
        reason = f"{_RAISED}:\n{traceback.format_exc()}"
        result = replace(result, status="failed", reason=reason, exception=_in_a_line(error))
    if task.expected is not None and result.status == "failed":
        result = replace(result, status="expected_failure", reason=f"{task.expected} ({result.reason})")
    return replace(result, duration=time.perf_counter() - begin)


def _in_a_line(error: BaseException) -> str:
    """Return what an exception is that began others, and where."""
    while error.__cause__ is not None:
        error = error.__cause__
    what = "".join(traceback.format_exception_only(type(error), error)).strip().splitlines()[0]
    frames = traceback.extract_tb(error.__traceback__)
    return what if not frames else f"{what}, in {frames[-1].name} ({frames[-1].filename}:{frames[-1].lineno})"
