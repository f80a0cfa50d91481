"""What one plugin offers, and whether that can be used: the one place where it is decided."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection

import pluggy

from unshap_plugin.errors import InvalidTypeError, InvalidValueError, nearest
from unshap_plugin.plugins import hookspecs
from unshap_plugin.plugins.spec import UnlearnerSpec
from unshap_plugin.problem.access import Access, ModelKind

__all__ = ["offered"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_DECLARED = {"needs": Access, "takes": ModelKind, "exact": bool, "order_dependent": bool, "batched": bool}


def offered(plugin: object) -> list[UnlearnerSpec]:
    """Return what a plugin offers. Every plugin has a manager to itself, so that none can disturb another.

    Raises
    ------
    Exception
        Whatever is wrong with it.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    known = [name for name in vars(manager.hook) if not name.startswith("_")]
    manager.register(plugin)
    hooks = manager.get_hookcallers(plugin) or []
    for caller in hooks:
        if not caller.has_spec():  # pluggy's check_pending, which says less, and lets optional hooks pass
            raise InvalidValueError(
                f"it implements the hook {caller.name!r}, which does not exist{nearest(caller.name, known)}; "
                f"the hooks are: {', '.join(known)}"
            )
        if any(implementation.hookwrapper for implementation in caller.get_hookimpls()):
            raise InvalidValueError(f"its {caller.name} is a hook wrapper, but there is nothing to wrap: yield records")
    if not hooks:
        raise InvalidValueError(f"it implements no hook; the hooks are: {', '.join(known)} (marked with hookimpl)")
    answers = manager.hook.unshap_unlearners()
    if not answers:  # pluggy drops None
        raise InvalidTypeError("unshap_unlearners returned None, but UnlearnerSpec records are needed: yield them")
    [answer] = answers
    if isinstance(answer, str) or not hasattr(answer, "__iter__"):
        raise InvalidTypeError(
            f"unshap_unlearners returned a {type(answer).__name__}, but UnlearnerSpec records are needed: yield them"
        )
    specs: list[UnlearnerSpec] = []
    for spec in answer:
        _check(spec, [one.name for one in specs])
        specs.append(spec)
    return specs


def _check(spec: object, others: Collection[str]) -> None:
    if not isinstance(spec, UnlearnerSpec):
        raise InvalidTypeError(f"unshap_unlearners gave a {type(spec).__name__}, but UnlearnerSpec records are needed")
    if not isinstance(spec.name, str) or not _NAME.fullmatch(spec.name) or spec.name == "auto":
        raise InvalidValueError(
            f"unlearner name {spec.name!r} is not valid: letters, digits, '.', '_' and '-' are needed, and not 'auto'"
        )
    if spec.name in others:
        raise InvalidValueError(f"it offers unlearner {spec.name!r} twice")
    for what in ("summary", "source"):
        text = getattr(spec, what)
        if not isinstance(text, str) or not text.strip() or not text.isprintable():
            raise InvalidValueError(
                f"the {what} of unlearner {spec.name!r} is {text!r}, but one line of text is needed"
            )
    for name, parameter in inspect.signature(spec.factory).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise InvalidValueError(
                f"the factory of unlearner {spec.name!r} takes the {parameter.kind.description} argument {parameter}, "
                f"but settings are given by name"
            )
        if parameter.default is parameter.empty:
            raise InvalidValueError(f"setting {name!r} of unlearner {spec.name!r} has no default, but all need one")
    _check_made(spec)


def _check_made(spec: UnlearnerSpec) -> None:
    made = spec.default
    if made.name != spec.name:
        raise InvalidValueError(f"unlearner {spec.name!r} calls itself {made.name!r}, but one name is needed")
    names = list(inspect.signature(spec.factory).parameters)
    if set(made.settings) != set(names):
        raise InvalidValueError(
            f"unlearner {spec.name!r} says that its settings are {sorted(made.settings)}, but its factory takes "
            f"{sorted(names)}: make it a data class, or state its settings"
        )
    for attribute, kind in _DECLARED.items():
        value = getattr(made, attribute)
        if not isinstance(value, kind):
            raise InvalidTypeError(
                f"{attribute} of unlearner {spec.name!r} is {value!r}, but {kind.__name__} is needed"
            )
