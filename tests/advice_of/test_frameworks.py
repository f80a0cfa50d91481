"""What the refusal of a framework advises, followed to the letter."""

from __future__ import annotations

from unittest import mock

import pytest
from advice import Case, check, without_a_case

from unshap_plugin.frameworks import check_framework

FOLDERS = ["unshap_plugin/frameworks.py"]


def found(version):
    """Check the framework where that version is installed."""
    with mock.patch("unshap_plugin.frameworks.version", return_value=version):
        check_framework("shapiq")


CASES = [
    Case(
        "another version",
        lambda: found("1.2.0"),
        "unshap_shapiq works with shapiq >=1.4.1,<2: run pip install 'unshap-plugin[shapiq]'.",
        (lambda: found("1.4.1"),),  # what pip takes for the extra: see tests/test_frameworks.py
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_an_error_advises_helps(case):
    check(case)


def test_all_that_is_advised_is_followed():
    assert without_a_case(FOLDERS, CASES) == []
