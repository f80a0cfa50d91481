"""Checks as pytest tests. Needs pytest only where it is called."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from unshap_conformance.checks import Subject
from unshap_conformance.runner import Task, run, tasks_of
from unshap_plugin.errors import InvalidTypeError

if TYPE_CHECKING:
    import pytest

__all__ = ["parametrize_with_checks", "params"]


def parametrize_with_checks(subjects: Iterable[Subject | Task]) -> pytest.MarkDecorator:
    """Decorate a test with a parameter ``check``, to be called in it.

    Parameters
    ----------
    subjects
        Subjects, of which all checks are run, or tasks (``tasks_of``), where something is selected or expected to fail.

    Returns
    -------
    ``pytest.mark.parametrize`` with one test for every check and case, called as in ``exact-efficiency[glove]``.

    Raises
    ------
    InvalidTypeError
        If these are no subjects or tasks.

    Examples
    --------
    >>> from unshap_conformance import estimator_subject, tasks_of
    >>> @parametrize_with_checks(tasks_of(estimator_subject("exact"), checks=["global_rng"]))
    ... def test_conformance(check):
    ...     check()
    >>> [parameter.id for parameter in test_conformance.pytestmark[0].args[1]]
    ['exact-global_rng[random_5_2]']
    """
    import pytest

    return pytest.mark.parametrize("check", params(subjects))


def params(subjects: Iterable[Subject | Task]) -> list[Any]:
    """Return the parameters of such a test, with their ids: functions that run one task, in the terms of pytest."""
    import pytest

    if not isinstance(subjects, Iterable):
        raise InvalidTypeError(f"subjects is a {type(subjects).__name__}, but a list of subjects is needed.")
    tasks = [task for one in subjects for task in ([one] if isinstance(one, Task) else tasks_of(one))]
    return [pytest.param(partial(_test, task), id=f"{task.subject.name}-{task.label}") for task in tasks]


def _test(task: Task) -> None:
    """Run a task, and fail, fail as expected or skip if not all of it passes."""
    import pytest

    results = run([task])
    failed = [str(result) for result in results if result.status == "failed"]
    if failed:
        pytest.fail("\n".join(failed), pytrace=False)  # a line of this file says nothing about the subject
    for result in results:
        if result.status == "expected_failure":
            pytest.xfail(result.reason)
    if all(result.status == "skipped" for result in results):
        pytest.skip(results[0].reason)
