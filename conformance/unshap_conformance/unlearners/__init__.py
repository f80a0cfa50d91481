"""Unlearners: the contracts, on small real problems whose coalitions are all enumerated."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from typing import Any, Literal

from unshap_conformance.results import CheckResult
from unshap_conformance.runner import check
from unshap_conformance.unlearners.contracts import UNLEARNER_CHECKS
from unshap_conformance.unlearners.subject import UnlearnerSubject
from unshap_plugin.errors import InvalidTypeError, InvalidValueError
from unshap_plugin.plugins.manager import plugins
from unshap_plugin.plugins.registry import resolve_unlearner
from unshap_plugin.support.importing import load_object
from unshap_plugin.unlearners.base import Unlearner

__all__ = ["UNLEARNER_CHECKS", "UnlearnerSubject", "check_unlearner", "unlearner_subject"]


def check_unlearner(
    unlearner: str | Unlearner | UnlearnerSubject,
    *,
    checks: Collection[str] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    on_fail: Literal["raise", "collect"] = "raise",
    **traits: Any,
) -> list[CheckResult]:
    """Check an unlearner against the contracts, on small real problems.

    Parameters
    ----------
    unlearner, traits
        See ``unlearner_subject``: its ``name`` and its ``settings``.
    checks, expected_failures, on_fail
        See ``check``.

    Returns
    -------
    One result for every check and problem.

    Raises
    ------
    ConformanceError
        If a check fails, with ``on_fail="raise"``.

    Examples
    --------
    >>> results = check_unlearner("newton", settings={"steps": 2}, checks=["global_rng"])
    >>> {result.status for result in results}
    {'passed'}
    """
    subject = unlearner_subject(unlearner, **traits)
    return check(subject, checks=checks, expected_failures=expected_failures, on_fail=on_fail)


def unlearner_subject(
    unlearner: str | Unlearner | UnlearnerSubject,
    *,
    name: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> UnlearnerSubject:
    """Return an unlearner as a subject.

    Parameters
    ----------
    unlearner
        A registered name, an instance, or ``"package.module:object"`` of an instance, or of a class that can be called
        without arguments. A subject stays as it is.
    name
        Name that results call it by; by default its own.
    settings
        Settings of an unlearner that is given by its registered name.

    Raises
    ------
    UnknownNameError, InvalidValueError, InvalidTypeError
        If there is no such unlearner, it does not have these settings, or it cannot be made without arguments.

    Examples
    --------
    >>> subject = unlearner_subject("newton", settings={"steps": 3})
    >>> subject.name, subject.unlearner.settings["steps"]
    ('newton', 3)
    """
    if isinstance(unlearner, str) and ":" in unlearner and not plugins().unlearners.named(unlearner):
        unlearner = _loaded(unlearner)
    if isinstance(unlearner, UnlearnerSubject):
        if name is not None or settings is not None:
            raise InvalidTypeError(f"name and settings of {unlearner.name!r} are given where that subject is made.")
        return unlearner
    if unlearner == "auto":
        known = ", ".join(plugins().unlearners.usable)
        raise InvalidValueError(f"'auto' is no unlearner, but a choice among the built-in ones: name one of {known}.")
    found = resolve_unlearner(unlearner, settings)
    if not isinstance(getattr(found, "name", None), str):
        raise InvalidTypeError(f"{type(found).__name__} has no name: state it as the class attribute name.")
    called = unlearner if isinstance(unlearner, str) else found.name
    return UnlearnerSubject(name=name or called, checks=UNLEARNER_CHECKS, unlearner=found)


def _loaded(path: str) -> Any:
    """Return the object of that path, and of a class a new one."""
    found = load_object(path)
    if not (inspect.isclass(found) and issubclass(found, Unlearner)):
        return found
    try:
        return found()
    except Exception as error:
        raise InvalidValueError(
            f"{path!r} cannot be made without arguments ({type(error).__name__}: {error}): name an instance instead."
        ) from error
