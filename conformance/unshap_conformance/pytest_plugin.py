"""Options of pytest that choose what ``pytest --pyargs unshap_conformance`` checks.

This is loaded in every pytest run where the package is installed, so it imports nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from unshap_conformance.checks import Kind

__all__ = ["OPTIONS", "option_of", "pytest_addoption"]

#: By kind of subject, what its option takes, and what that is.
OPTIONS: dict[Kind, tuple[str, str]] = {
    "estimator": (
        "PKG.MOD:FUNCTION",
        "an estimator: a callable or a subject, or the name of one of unshap_plugin",
    ),
    "evaluator": ("PKG.MOD:CLASS", "an OpenDataVal evaluator"),
    "unlearner": ("NAME", "a registered unlearner, or package.module:object"),
}


def option_of(kind: Kind) -> str:
    """Return the option that names subjects of a kind."""
    return f"--unshap-{kind}"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the options; each may be given several times."""
    group = parser.getgroup("unshap", "conformance of data valuation (pytest --pyargs unshap_conformance)")
    for kind, (metavar, what) in OPTIONS.items():
        group.addoption(option_of(kind), action="append", default=[], metavar=metavar, help=f"check {what}")
