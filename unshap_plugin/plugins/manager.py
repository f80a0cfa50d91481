"""How plugins are found, loaded one by one, and checked. The built-in methods come in beside them."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions, version
from typing import Any

from unshap_plugin import estimators, unlearners
from unshap_plugin.errors import InvalidValueError, UnshapError, nearest
from unshap_plugin.estimators.base import Estimator
from unshap_plugin.metrics import METRICS, Metric
from unshap_plugin.model.generators import kept
from unshap_plugin.plugins import hookspecs
from unshap_plugin.plugins.catalogue import BUILTIN, Catalogue, Failure, Provider, Registered, normal
from unshap_plugin.plugins.offers import KINDS, offered
from unshap_plugin.plugins.spec import UnlearnerSpec

__all__ = ["VARIABLE", "Plugins", "plugins"]

_log = logging.getLogger(__name__)

#: Environment variable with the distributions whose plugins are loaded, separated by commas; empty: the built-ins only.
VARIABLE = "UNSHAP_PLUGINS"

_MISSING = {"Name": "(no name)", "Version": "(no version)"}
_NAMELESS = _MISSING["Name"]


@dataclass(frozen=True)
class Plugins:
    """What all plugins offer, the built-in methods first, and the plugins that failed."""

    unlearners: Catalogue[UnlearnerSpec]
    estimators: Catalogue[type[Estimator]]
    metrics: Catalogue[Metric]
    failures: tuple[Failure, ...]


_loaded: dict[tuple[str | None, tuple[str, ...]], Plugins] = {}


def plugins() -> Plugins:
    """Load all plugins, or return them where that was done before.

    Loaded again where ``sys.path`` or the environment variable ``UNSHAP_PLUGINS`` is another one. A plugin that fails
    is logged and skipped.
    """
    if _key() not in _loaded:
        own = Provider(BUILTIN, version(BUILTIN), "builtin")
        built_in: dict[str, list[Registered[Any]]] = {
            "unshap_unlearners": [Registered(UnlearnerSpec.of(method), own) for method in unlearners.METHODS],
            "unshap_estimators": [Registered(method, own) for method in estimators.METHODS],
            "unshap_metrics": [Registered(metric, own) for metric in METRICS],
        }
        _loaded[_key()] = _plugins(built_in, [])  # which is what a plugin sees that asks while it is loaded
        before = _key()
        # Plugins may print or draw random numbers while they are imported, and put something on the path.
        with contextlib.redirect_stdout(sys.stderr), kept():
            found = _load(built_in)
        _loaded[before] = _loaded[_key()] = found
    return _loaded[_key()]


def _key() -> tuple[str | None, tuple[str, ...]]:
    return os.environ.get(VARIABLE), tuple(sys.path)


def _load(built_in: dict[str, list[Registered[Any]]]) -> Plugins:
    registered, failures = {hook: list(offers) for hook, offers in built_in.items()}, []
    for provider, load in _found(os.environ.get(VARIABLE)):
        try:
            offers = offered(load())
            for hook, each in offers.items():
                again = {one.name for one in registered[hook] if one.provider.distribution == provider.distribution}
                for offer in each:
                    if offer.name in again:
                        raise InvalidValueError(
                            f"{KINDS[hook].name} {offer.name!r} is offered by another entry point of {provider} too"
                        )
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever it is, the other plugins go on
            failures.append(Failure(provider, _reason(error)))
            _log.warning("plugin %s (entry point %r) was skipped: %s", provider, provider.entry_point, _reason(error))
            _log.debug("the plugin's traceback", exc_info=error)
        else:
            for hook, each in offers.items():
                registered[hook] += [Registered(offer, provider) for offer in each]
    found = _plugins(registered, failures)
    for catalogue in (found.unlearners, found.estimators, found.metrics):
        for name, each in catalogue.conflicts.items():
            who = " and by ".join(str(one.provider) for one in each)
            _log.warning("%s %r is offered by %s", catalogue.kind, name, who)
    return found


def _plugins(registered: dict[str, list[Registered[Any]]], failures: list[Failure]) -> Plugins:
    of = {hook: Catalogue(KINDS[hook].name, tuple(offers)) for hook, offers in registered.items()}
    return Plugins(of["unshap_unlearners"], of["unshap_estimators"], of["unshap_metrics"], tuple(failures))


def _found(allowed: str | None) -> Iterator[tuple[Provider, Callable[[], Any]]]:
    """Yield who offers something, and how to load it, without loading it."""
    wanted = None if allowed is None else {normal(name) for name in allowed.replace(",", " ").split()} - {BUILTIN}
    found: dict[str, list[tuple[Provider, Callable[[], Any]]]] = {}
    for distribution in distributions():
        offers = _entry_points(distribution)
        if not offers:
            continue
        name = offers[0][0].distribution
        if name == _NAMELESS:
            found.setdefault(name, []).extend(offers)
        elif normal(name) != BUILTIN:
            found.setdefault(normal(name), offers)  # of two with one name, the first on the path is imported
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
