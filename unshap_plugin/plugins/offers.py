"""What one plugin offers, and whether that can be used: the one place where it is decided."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pluggy

from unshap_plugin.errors import InvalidTypeError, InvalidValueError, nearest
from unshap_plugin.estimators.base import Estimator
from unshap_plugin.metrics import Metric
from unshap_plugin.plugins import hookspecs
from unshap_plugin.plugins.spec import UnlearnerSpec
from unshap_plugin.problem.access import Access, ModelKind

__all__ = ["KINDS", "RESERVED", "Kind", "offered"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_DECLARED = {"needs": Access, "takes": ModelKind, "exact": bool, "order_dependent": bool, "batched": bool}

#: The arguments of ``UnlearningGame``, which takes settings beside them.
RESERVED = ("problem", "unlearner", "seed", "on_error", "chunk", "n_jobs", "memory", "store")


@dataclass(frozen=True)
class Kind:
    """One kind of thing that plugins offer.

    Parameters
    ----------
    name
        What one is called in a message.
    wanted
        What the hook has to yield, in words.
    is_one
        Tells whether something is one.
    check
        Raises where one with a valid name cannot be used.
    """

    name: str
    wanted: str
    is_one: Callable[[object], bool]
    check: Callable[[Any], None]


def offered(plugin: object) -> dict[str, list[Any]]:
    """Return what a plugin offers, by the name of the hook.

    Every plugin has a manager to itself, so that none can disturb another.

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
            raise InvalidValueError(
                f"its {caller.name} is a hook wrapper, but there is nothing to wrap: yield what it offers"
            )
    if not hooks:
        raise InvalidValueError(f"it implements no hook; the hooks are: {', '.join(known)} (marked with hookimpl)")
    return {caller.name: _answers(caller) for caller in hooks}


def _answers(caller: pluggy.HookCaller) -> list[Any]:
    """Return what a hook yields, checked."""
    kind = KINDS[caller.name]
    answers = caller()
    if not answers:  # pluggy drops None
        raise InvalidTypeError(f"{caller.name} returned None, but {kind.wanted} are needed: yield them")
    [answer] = answers
    if isinstance(answer, str | type) or not hasattr(answer, "__iter__"):
        what = answer.__name__ if isinstance(answer, type) else f"a {type(answer).__name__}"
        raise InvalidTypeError(f"{caller.name} returned {what}, but {kind.wanted} are needed: yield them")
    found: list[Any] = []
    for offer in answer:
        if not kind.is_one(offer):
            what = offer.__name__ if isinstance(offer, type) else f"a {type(offer).__name__}"
            raise InvalidTypeError(f"{caller.name} gave {what}, but {kind.wanted} are needed")
        name = getattr(offer, "name", None)
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name == "auto":
            raise InvalidValueError(
                f"{kind.name} name {name!r} is not valid: letters, digits, '.', '_' and '-' are needed, and not 'auto'"
            )
        if name in [one.name for one in found]:
            raise InvalidValueError(f"it offers {kind.name} {name!r} twice")
        kind.check(offer)
        found.append(offer)
    return found


def _check_texts(kind: str, offer: Any) -> None:
    for what in ("summary", "source"):
        text = getattr(offer, what, None)
        if not isinstance(text, str) or not text.strip() or not text.isprintable():
            raise InvalidValueError(f"the {what} of {kind} {offer.name!r} is {text!r}, but one line of text is needed")


def _check_unlearner(spec: UnlearnerSpec) -> None:
    _check_texts("unlearner", spec)
    for name, parameter in inspect.signature(spec.factory).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise InvalidValueError(
                f"the factory of unlearner {spec.name!r} takes the {parameter.kind.description} argument {parameter}, "
                f"but settings are given by name"
            )
        if parameter.default is parameter.empty:
            raise InvalidValueError(f"setting {name!r} of unlearner {spec.name!r} has no default, but all need one")
        if name in RESERVED:
            raise InvalidValueError(
                f"setting {name!r} of unlearner {spec.name!r} is called like an argument of UnlearningGame, which it "
                f"would be taken for: rename it"
            )
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


def _check_estimator(method: type[Estimator]) -> None:
    _check_texts("estimator", method)
    if inspect.isabstract(method):
        missing = ", ".join(sorted(method.__abstractmethods__))
        raise InvalidTypeError(f"estimator {method.name!r} does not implement {missing}")
    if not isinstance(method.exact, bool):
        raise InvalidTypeError(f"exact of estimator {method.name!r} is {method.exact!r}, but bool is needed")


def _check_metric(metric: Metric) -> None:
    if metric.default:
        raise InvalidValueError(
            f"metric {metric.name!r} says that it is a default, but what is measured where no metric is named does not "
            f"depend on what is installed: leave it out"
        )


#: What each hook yields.
KINDS = {
    "unshap_unlearners": Kind(
        "unlearner", "UnlearnerSpec objects", lambda offer: isinstance(offer, UnlearnerSpec), _check_unlearner
    ),
    "unshap_estimators": Kind(
        "estimator",
        "subclasses of Estimator",
        lambda offer: isinstance(offer, type) and issubclass(offer, Estimator),
        _check_estimator,
    ),
    "unshap_metrics": Kind("metric", "Metric objects", lambda offer: isinstance(offer, Metric), _check_metric),
}
