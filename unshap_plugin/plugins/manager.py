"""How plugins are found, loaded one by one, and checked. The built-in unlearners come in through the same hook."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions, version
from typing import Any

from unshap_plugin.errors import InvalidValueError, UnshapError, nearest
from unshap_plugin.model.generators import kept
from unshap_plugin.plugins import hookspecs
from unshap_plugin.plugins.offers import offered
from unshap_plugin.plugins.spec import UnlearnerSpec
from unshap_plugin.unlearners import METHODS

__all__ = ["BUILTIN", "VARIABLE", "Failure", "Plugins", "Provider", "Registered", "plugins"]

_log = logging.getLogger(__name__)

#: The distribution that the built-in unlearners belong to.
BUILTIN = "unshap-plugin"
#: Environment variable with the distributions whose plugins are loaded, separated by commas; empty: the built-ins only.
VARIABLE = "UNSHAP_PLUGINS"

_MISSING = {"Name": "(no name)", "Version": "(no version)"}
_NAMELESS = _MISSING["Name"]


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
        distribution, colon, bare = name.rpartition(":")
        offers = [one for one in self.offered if one.spec.name == bare]
        return [one for one in offers if not colon or _normal(one.provider.distribution) == _normal(distribution)]

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


_loaded: dict[tuple[str | None, tuple[str, ...]], Plugins] = {}


def plugins() -> Plugins:
    """Load all plugins, or return them where that was done before.

    Loaded again where ``sys.path`` or the environment variable ``UNSHAP_PLUGINS`` is another one. A plugin that fails
    is logged and skipped.
    """
    if _key() not in _loaded:
        own = Provider(BUILTIN, version(BUILTIN), "builtin")
        built_in = tuple(Registered(UnlearnerSpec.of(method), own) for method in METHODS)
        _loaded[_key()] = Plugins(built_in, ())  # which is what a plugin sees that asks while it is loaded
        before = _key()
        # Plugins may print or draw random numbers while they are imported, and put something on the path.
        with contextlib.redirect_stdout(sys.stderr), kept():
            found = _load(built_in)
        _loaded[before] = _loaded[_key()] = found
    return _loaded[_key()]


def _key() -> tuple[str | None, tuple[str, ...]]:
    return os.environ.get(VARIABLE), tuple(sys.path)


def _load(built_in: tuple[Registered, ...]) -> Plugins:
    all_offered, failures = list(built_in), []
    for provider, load in _found(os.environ.get(VARIABLE)):
        try:
            specs = offered(load())
            again = {one.spec.name for one in all_offered if one.provider.distribution == provider.distribution}
            for spec in specs:
                if spec.name in again:
                    raise InvalidValueError(
                        f"unlearner {spec.name!r} is offered by another entry point of {provider} too"
                    )
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever it is, the other plugins go on
            failures.append(Failure(provider, _reason(error)))
            _log.warning("plugin %s (entry point %r) was skipped: %s", provider, provider.entry_point, _reason(error))
            _log.debug("the plugin's traceback", exc_info=error)
        else:
            all_offered += [Registered(spec, provider) for spec in specs]
    found = Plugins(tuple(all_offered), tuple(failures))
    for name, each in found.conflicts.items():
        _log.warning("unlearner %r is offered by %s", name, " and by ".join(str(one.provider) for one in each))
    return found


def _found(allowed: str | None) -> Iterator[tuple[Provider, Callable[[], Any]]]:
    """Yield who offers something, and how to load it, without loading it."""
    wanted = None if allowed is None else {_normal(name) for name in allowed.replace(",", " ").split()} - {BUILTIN}
    found: dict[str, list[tuple[Provider, Callable[[], Any]]]] = {}
    for distribution in distributions():
        offers = _entry_points(distribution)
        if not offers:
            continue
        name = offers[0][0].distribution
        if name == _NAMELESS:
            found.setdefault(name, []).extend(offers)
        elif _normal(name) != BUILTIN:
            found.setdefault(_normal(name), offers)  # of two with one name, the first on the path is imported
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
    if name == _NAMELESS:
        return [(Provider(name, number, ""), _raiser(InvalidValueError("its metadata has no name")))]
    return [(Provider(name, number, point.name), point.load) for point in sorted(points, key=lambda p: p.name)]


def _metadata(distribution: Distribution, key: str) -> str:
    try:
        return distribution.metadata[key] or _MISSING[key]
    except Exception:  # what is on the path may be anything
        return _MISSING[key]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _reason(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split()).rstrip(".")
    except Exception:
        return f"{type(error).__name__}, which cannot be printed"
    return text if isinstance(error, UnshapError) else f"{type(error).__name__}: {text}"


def _raiser(error: Exception) -> Callable[[], Any]:
    def load() -> Any:
        raise error

    return load
