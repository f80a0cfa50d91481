"""Options of pytest that choose what ``pytest --pyargs unshap_conformance`` checks.

This is loaded in every pytest run where the package is installed, so it imports nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

__all__ = ["OPTIONS", "pytest_addoption"]

#: Option, what it takes, and what that is.
OPTIONS = {
    "--unshap-estimator": (
        "PKG.MOD:FUNCTION",
        "an estimator: a callable or a subject, or the name of one of unshap_plugin",
    ),
    "--unshap-evaluator": ("PKG.MOD:CLASS", "an OpenDataVal evaluator"),
    "--unshap-unlearner": ("NAME", "a registered unlearner"),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the options; each may be given several times."""
    group = parser.getgroup("unshap", "conformance of data valuation (pytest --pyargs unshap_conformance)")
    for option, (metavar, what) in OPTIONS.items():
        group.addoption(option, action="append", default=[], metavar=metavar, help=f"check {what}")
