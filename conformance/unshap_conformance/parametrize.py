"""Checks as pytest tests. Needs pytest only where it is called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

from unshap_conformance.runner import Check, Subject, Task, run_tasks, tasks_of

if TYPE_CHECKING:
    import pytest

__all__ = ["CheckedSubject", "Run", "parametrize_with_checks", "params"]


class CheckedSubject(Subject, Protocol):
    """A subject that knows the checks of its kind."""

    @property
    def checks(self) -> Sequence[Check[Any]]:
        """The checks."""
        ...


@dataclass(frozen=True)
class Run:
    """Tasks that pass or fail together, to be called in a test.

    There is one of them, except for a check that is expected to fail on one game at least.
    """

    tasks: tuple[Task[Any], ...]

    def __call__(self) -> None:
        """Run them, and fail, fail as expected or skip in the terms of pytest if not all pass."""
        import pytest

        records = run_tasks(self.tasks, on_fail="collect")
        failed = [str(record) for record in records if record.status == "failed"]
        if failed:
            pytest.fail("\n".join(failed), pytrace=False)  # a line of this file says nothing about the subject
        for record in records:
            if record.status == "expected_failure":
                pytest.xfail(record.reason)
        if all(record.status == "skipped" for record in records):
            pytest.skip(records[0].reason)

    @property
    def label(self) -> str:
        """As in ``permutation-efficiency[glove]``."""
        first = self.tasks[0]
        return f"{first.subject.name}-{first.label if len(self.tasks) == 1 else first.check.name}"


def parametrize_with_checks(subjects: Iterable[CheckedSubject | Task[Any]]) -> pytest.MarkDecorator:
    """Decorate a test with a parameter ``check``, to be called in it.

    Parameters
    ----------
    subjects
        Subjects, of which all checks are run, or tasks (``tasks_of``), where something is selected or expected to fail.

    Examples
    --------
    ::

        @parametrize_with_checks([estimator_subject(mine), estimator_subject("permutation")])
        def test_conformance(check):
            check()
    """
    import pytest

    return pytest.mark.parametrize("check", params(subjects))


def params(subjects: Iterable[CheckedSubject | Task[Any]]) -> list[Any]:
    """Return the parameters of such a test, with their ids."""
    import pytest

    tasks: list[Task[Any]] = []
    for one in subjects:
        tasks.extend([one] if isinstance(one, Task) else tasks_of(one, one.checks))
    return [pytest.param(run, id=run.label) for run in map(Run, _together(tasks))]


def _together(tasks: Sequence[Task[Any]]) -> Iterable[tuple[Task[Any], ...]]:
    """Keep together what one expected failure was given for, and nothing else."""
    key: Callable[[tuple[int, Task[Any]]], tuple[Any, ...]] = lambda pair: (  # noqa: E731
        pair[1].subject.name,
        pair[1].expectation or pair[0],
    )
    for _, group in groupby(enumerate(tasks), key):
        yield tuple(task for _, task in group)
