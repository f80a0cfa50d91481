"""Tests that ``pytest --pyargs unshap_conformance`` collects: the checks of what the options name."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from unshap_conformance.parametrize import params
from unshap_conformance.pytest_plugin import OPTIONS, option_of
from unshap_conformance.subjects import subject_named
from unshap_plugin.errors import UnshapError

__all__ = ["pytest_generate_tests", "test_conformance"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of every check, or one that says what to give."""
    try:
        parameters = params(
            subject_named(name, kind) for kind in OPTIONS for name in metafunc.config.getoption(option_of(kind))
        )
    except UnshapError as error:
        raise pytest.Collector.CollectError(str(error)) from error
    if not parameters:
        reason = f"nothing to check: give {', '.join(map(option_of, OPTIONS))}."
        parameters = [pytest.param(None, id="nothing", marks=pytest.mark.skip(reason=reason))]
    metafunc.parametrize("check", parameters)


def test_conformance(check: Callable[[], None]) -> None:
    """Run one check."""
    check()
