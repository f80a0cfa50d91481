"""How plugins are found, loaded one by one, and checked. The built-in unlearners come in through the same hook."""

from __future__ import annotations

import inspect
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, distributions, version
from typing import Any

import pluggy

from unshap_plugin import builtin, hookspecs
from unshap_plugin.errors import InvalidTypeError, InvalidValueError, UnshapError, nearest
from unshap_plugin.hookspecs import UnlearnerSpec
from unshap_plugin.problem import Access, ModelKind

__all__ = ["BUILTIN", "VARIABLE", "Failure", "Plugins", "Provider", "Registered", "plugins"]

_log = logging.getLogger(__name__)

#: The distribution that the built-in unlearners belong to.
BUILTIN = "unshap-plugin"
#: Environment variable with the distributions whose plugins are loaded, separated by commas; empty: the built-ins only.
VARIABLE = "UNSHAP_PLUGINS"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Provider:
    """The distribution, and its entry point, that a plugin comes from."""

    distribution: str
    version: str
    entry_point: str

    def __str__(self) -> str:
        """Return distribution and version."""
        return f"{self.distribution} {self.version}".strip()


@dataclass(frozen=True)
class Registered:
    """An unlearner as it was offered, and by whom."""

    spec: UnlearnerSpec
    provider: Provider

    @property
    def qualified(self) -> str:
        """The name that is never ambiguous, ``distribution:name``."""
        return f"{self.provider.distribution}:{self.spec.name}"


@dataclass(frozen=True)
class Failure:
    """A plugin that was skipped, and why."""

    provider: Provider
    reason: str


@dataclass(frozen=True)
class Plugins:
    """What all plugins offer, in the order in which they were loaded, and the plugins that failed."""

    offered: tuple[Registered, ...]
    failures: tuple[Failure, ...]

    def named(self, name: str) -> list[Registered]:
        """Return who offers a name, or ``distribution:name``."""
        distribution, _, bare = name.rpartition(":")
        wanted = _normal(distribution)
        offers = [one for one in self.offered if one.spec.name == bare]
        return [one for one in offers if wanted in ("", _normal(one.provider.distribution))]

    @property
    def conflicts(self) -> dict[str, list[Registered]]:
        """The names that several distributions offer, with all of these."""
        offers = {one.spec.name: self.named(one.spec.name) for one in self.offered}
        return {name: each for name, each in offers.items() if len(each) > 1}

    @property
    def usable(self) -> dict[str, Registered]:
        """Every unlearner by the shortest name that is not ambiguous."""
        conflicts = self.conflicts
        return {one.qualified if one.spec.name in conflicts else one.spec.name: one for one in self.offered}


def plugins() -> Plugins:
    """Load all plugins, or return them where that was done before.

    Loaded again where ``sys.path`` or the environment variable ``UNSHAP_PLUGINS`` is another one. A plugin that fails
    is logged and skipped.
    """
    return _plugins(os.environ.get(VARIABLE), tuple(sys.path))


@cache
def _plugins(allowed: str | None, path: tuple[str, ...]) -> Plugins:  # noqa: ARG001
    own = Provider(BUILTIN, version(BUILTIN), "builtin")
    offered = [Registered(spec, own) for spec in _offered(builtin)]
    failures = []
    for provider, load in _found(allowed):
        try:
            specs = _offered(load())
            again = {one.spec.name for one in offered if one.provider.distribution == provider.distribution}
            for spec in specs:
                if spec.name in again:
                    raise InvalidValueError(
                        f"unlearner {spec.name!r} is offered by another entry point of {provider} too"
                    )
        except (Exception, SystemExit) as error:  # whatever it is, the other plugins go on
            failures.append(Failure(provider, _reason(error)))
            _log.warning("plugin %s (entry point %r) was skipped: %s", provider, provider.entry_point, _reason(error))
            _log.debug("the plugin's traceback", exc_info=error)
        else:
            offered += [Registered(spec, provider) for spec in specs]
    found = Plugins(tuple(offered), tuple(failures))
    for name, each in found.conflicts.items():
        _log.warning("unlearner %r is offered by %s", name, " and by ".join(str(one.provider) for one in each))
    return found


def _found(allowed: str | None) -> Iterator[tuple[Provider, Callable[[], Any]]]:
    """Yield who offers something, and how to load it, without loading it."""
    wanted = None if allowed is None else {_normal(name) for name in allowed.replace(",", " ").split()} - {BUILTIN}
    found: dict[str, list[tuple[Provider, Callable[[], Any]]]] = {}
    for distribution in distributions():
        offers = _entry_points(distribution)
        # Of two with one name, the first on the path is the one that is imported.
        if offers and _normal(offers[0][0].distribution) != BUILTIN:
            found.setdefault(_normal(offers[0][0].distribution), offers)
    for name in sorted(found if wanted is None else wanted):
        if name in found:
            yield from found[name]
        else:
            what = f"{VARIABLE} names it, but no plugin of that name is installed{nearest(name, found)}"
            yield Provider(name, "", ""), _raiser(InvalidValueError(what))


def _entry_points(distribution: Distribution) -> list[tuple[Provider, Callable[[], Any]]]:
    """Return the entry points of our group; one that fails to load where they cannot be read."""
    try:
        if hookspecs.PROJECT not in (distribution.read_text("entry_points.txt") or ""):
            return []  # before the name is read, which takes much longer
        points = [point for point in distribution.entry_points if point.group == hookspecs.PROJECT]
    except Exception as error:  # what lies on the path may be anything
        return [(Provider(_metadata(distribution, "Name"), _metadata(distribution, "Version"), ""), _raiser(error))]
    name, number = _metadata(distribution, "Name"), _metadata(distribution, "Version")
    return [(Provider(name, number, point.name), point.load) for point in sorted(points, key=lambda p: p.name)]


def _offered(plugin: object) -> list[UnlearnerSpec]:
    """Return what one plugin offers, checked. Every plugin has a manager to itself, so that none can disturb another.

    Raises
    ------
    Exception
        Whatever is wrong with it.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    hooks = [caller.name for caller in manager.get_hookcallers(plugin) or ()]
    known = [name for name in vars(hookspecs) if hasattr(vars(hookspecs)[name], f"{hookspecs.PROJECT}_spec")]
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        [unknown, *_] = [name for name in hooks if name not in known]
        raise InvalidValueError(
            f"it implements the hook {unknown!r}, which does not exist{nearest(unknown, known)}; "
            f"the hooks are: {', '.join(known)}"
        ) from error
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


def _check(spec: object, others: list[str]) -> None:
    """Raise where a record cannot be used: the one place where that is decided."""
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
        if not isinstance(text, str) or not text.strip() or "\n" in text:
            raise InvalidValueError(
                f"the {what} of unlearner {spec.name!r} is {text!r}, but one line of text is needed"
            )
    for name, parameter in inspect.signature(spec.factory).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise InvalidValueError(
                f"the factory of unlearner {spec.name!r} takes {parameter}, but settings need names"
            )
        if parameter.default is parameter.empty:
            raise InvalidValueError(f"setting {name!r} of unlearner {spec.name!r} has no default, but all need one")
    made = spec.make()
    if made.name != spec.name:
        raise InvalidValueError(f"unlearner {spec.name!r} calls itself {made.name!r}, but one name is needed")
    declared = {"needs": Access, "takes": ModelKind, "exact": bool, "order_dependent": bool, "batched": bool}
    for attribute, kind in declared.items():
        value = getattr(made, attribute)
        if not isinstance(value, kind):
            raise InvalidTypeError(
                f"{attribute} of unlearner {spec.name!r} is {value!r}, but {kind.__name__} is needed"
            )


def _metadata(distribution: Distribution, key: str) -> str:
    try:
        return distribution.metadata[key] or f"(no {key.lower()})"
    except Exception:  # what is on the path may be anything
        return f"(no {key.lower()})"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return text if isinstance(error, UnshapError) else f"{type(error).__name__}: {text}"


def _raiser(error: Exception) -> Callable[[], Any]:
    def load() -> Any:
        raise error

    return load
