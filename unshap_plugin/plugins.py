"""How unlearning methods are found by name. The built-in ones come in through the same hook as any other."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import pluggy

from unshap_plugin import builtin, hookspecs
from unshap_plugin.errors import AccessError, InvalidTypeError, InvalidValueError, UnknownNameError
from unshap_plugin.hookspecs import UnlearnerSpec
from unshap_plugin.problem import ValuationProblem
from unshap_plugin.unlearners.base import Unlearner

__all__ = ["check_access", "registered_unlearners", "resolve_unlearner"]


@cache
def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(builtin, name="unshap_plugin.builtin")
    manager.check_pending()
    return manager


def registered_unlearners() -> dict[str, UnlearnerSpec]:
    """Return the unlearning methods by name."""
    return {spec.name: spec for offered in _manager().hook.unshap_unlearners() for spec in offered}


def resolve_unlearner(unlearner: str | Unlearner, settings: Mapping[str, Any] | None = None) -> Unlearner:
    """Return the unlearner of that name with these settings, or the given instance.

    Raises
    ------
    UnknownNameError
        If there is no unlearner of that name.
    InvalidValueError
        If a setting does not exist or is out of range, or settings come with an instance.
    InvalidTypeError
        If it is neither a name nor an unlearner.
    """
    if isinstance(unlearner, Unlearner):
        if settings:
            raise InvalidValueError(
                f"settings {sorted(settings)} were given beside an instance of {type(unlearner).__name__}, which has "
                f"its own: put them into the instance, or give the unlearner by name."
            )
        return unlearner
    if not isinstance(unlearner, str):
        raise InvalidTypeError(
            f"unlearner is a {type(unlearner).__name__}, but a name or an instance of Unlearner is needed."
        )
    specs = registered_unlearners()
    if unlearner not in specs:
        raise UnknownNameError("unlearner", unlearner, [*specs, "auto"])
    return specs[unlearner].make(**(settings or {}))


def check_access(unlearner: Unlearner, problem: ValuationProblem) -> None:
    """Let the unlearner check what it needs; where it refuses, name the registered ones that would work.

    Raises
    ------
    AccessError
        If the unlearner cannot work on this problem.
    """
    try:
        unlearner.check(problem)
    except AccessError as refusal:
        fitting = [name for name, spec in registered_unlearners().items() if _works(spec, problem)]
        advice = (
            f"unlearners that would work: {', '.join(fitting)}" if fitting else "no registered unlearner would work"
        )
        raise AccessError(f"{refusal}; {advice}.") from None


def _works(spec: UnlearnerSpec, problem: ValuationProblem) -> bool:
    try:
        spec.make().check(problem)
    except (AccessError, TypeError):
        return False
    return True
