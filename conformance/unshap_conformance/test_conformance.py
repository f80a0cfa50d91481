"""What ``pytest --pyargs unshap_conformance`` collects: the checks of what the options name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from unshap_conformance.loading import load
from unshap_conformance.parametrize import CheckedSubject, Run, params
from unshap_conformance.pytest_plugin import OPTIONS
from unshap_plugin.errors import UnshapError

__all__ = ["pytest_generate_tests", "test_conformance"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of every check, or one that says what to give."""
    try:
        parameters = params(_subjects(metafunc.config))
    except UnshapError as error:
        raise pytest.Collector.CollectError(str(error)) from error
    if not parameters:
        reason = f"nothing to check: give {', '.join(OPTIONS)}."
        parameters = [pytest.param(None, id="nothing", marks=pytest.mark.skip(reason=reason))]
    metafunc.parametrize("check", parameters)


def test_conformance(check: Run) -> None:
    """Run one check."""
    check()


def _subjects(config: pytest.Config) -> Iterator[CheckedSubject]:
    """Yield what the options name; what checks one kind is imported only where one is given."""
    for name in config.getoption("--unshap-estimator"):
        yield load("unshap_conformance.estimators:estimator_subject")(name)
    for name in config.getoption("--unshap-evaluator"):
        yield load("unshap_conformance.evaluators:evaluator_subject")(load(name))
    for name in config.getoption("--unshap-unlearner"):
        yield load("unshap_conformance.unlearners:unlearner_subject")(name)
