"""Unlearners, estimators and metrics by name."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from unshap_plugin.errors import (
    AccessError,
    ContractError,
    InvalidTypeError,
    InvalidValueError,
    PluginError,
    UnknownNameError,
    UnshapError,
)
from unshap_plugin.estimators.base import Estimator
from unshap_plugin.estimators.semivalue import NAMED
from unshap_plugin.metrics import Metric, look_up_with
from unshap_plugin.plugins.approximators import SHAPIQ, find_approximator
from unshap_plugin.plugins.catalogue import BUILTIN, Catalogue, Named, Provider, Registered
from unshap_plugin.plugins.manager import plugins
from unshap_plugin.plugins.spec import UnlearnerSpec
from unshap_plugin.problem.lending import lending
from unshap_plugin.problem.problem import ValuationProblem
from unshap_plugin.scoring.scorers import hint
from unshap_plugin.unlearners.base import Unlearner

__all__ = [
    "advised",
    "another",
    "check_access",
    "described",
    "find_estimator",
    "find_metric",
    "find_unlearner",
    "lent_to",
    "others",
    "provider_of",
    "registered_name",
    "registered_unlearners",
    "remade",
    "resolve_unlearner",
]

_log = logging.getLogger(__name__)


T = TypeVar("T", bound=Named)


def registered_unlearners() -> dict[str, Registered[UnlearnerSpec]]:
    """Return all unlearners, by name, or where that is not unique by ``distribution:name``."""
    return plugins().unlearners.usable


def find_unlearner(name: str) -> Registered[UnlearnerSpec]:
    """Return the unlearner of a name, or of ``distribution:name``.

    Raises
    ------
    UnknownNameError
        If there is none.
    InvalidValueError
        If several distributions offer it.
    InvalidTypeError
        If it is not a name.
    """
    if not isinstance(name, str):
        is_class = isinstance(name, type) and issubclass(name, Unlearner)
        raise InvalidTypeError(
            f"unlearner is {_kind(name)}, but a name or an instance of Unlearner is needed"
            f"{f': make one, {name.__name__}()' if is_class else ''}."
        )
    return _found(plugins().unlearners, name, "auto")


def find_estimator(name: str) -> Registered[type[Estimator]]:
    """Return the estimator of a name, or of ``distribution:name``, or the approximator ``shapiq:name`` of shapiq.

    Raises
    ------
    UnknownNameError, InvalidValueError, InvalidTypeError
        As from ``find_unlearner``.
    """
    if not isinstance(name, str):
        known = ", ".join(plugins().estimators.usable)
        raise InvalidTypeError(f"estimator is {_kind(name)}, but a name is needed: auto, {known}.")
    remark = f"; {name!r} values are no Shapley values: semivalues(game, {name!r}) has them" if name in NAMED else ""
    if name.startswith(f"{SHAPIQ}:") and not plugins().estimators.named(name):
        return find_approximator(name)
    return _found(plugins().estimators, name, "auto", remark=remark)


def find_metric(name: str) -> Registered[Metric]:
    """Return the metric of a name, or of ``distribution:name``.

    Raises
    ------
    UnknownNameError, InvalidValueError
        As from ``find_unlearner``.
    """
    return _found(plugins().metrics, name, remark=hint(name))


def _kind(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"


def _found(catalogue: Catalogue[T], name: str, *more: str, remark: str = "") -> Registered[T]:
    offers = catalogue.named(name)
    if not offers:
        skipped = ", ".join(f"{failure.provider} ({failure.reason})" for failure in plugins().failures)
        remark += f"; these plugins could not be loaded: {skipped}" if skipped else ""
        raise UnknownNameError(catalogue.kind, name, [*catalogue.usable, *more], remark)
    if len(offers) > 1:
        raise InvalidValueError(
            f"{catalogue.kind} {name!r} is offered by {' and by '.join(str(one.provider) for one in offers)}: say "
            f"which one, as {' or '.join(repr(one.qualified) for one in offers)}."
        )
    return offers[0]


look_up_with(lambda name: find_metric(name).offer)


def resolve_unlearner(unlearner: str | Unlearner, settings: Mapping[str, Any] | None = None) -> Unlearner:
    """Return the unlearner of that name with these settings, or the given instance.

    Raises
    ------
    UnknownNameError
        If there is no unlearner of that name.
    InvalidValueError
        If several distributions offer it, a setting does not exist or is out of range, or an instance comes with
        settings.
    InvalidTypeError
        If it is neither a name nor an unlearner, or the settings are no dict of names.
    PluginError
        If a plugin fails to make it.
    """
    if isinstance(unlearner, Unlearner):
        if settings:
            raise InvalidValueError(
                f"settings {sorted(settings)} were given beside an instance of {type(unlearner).__name__}, which has "
                f"its own: put them into the instance, or give the unlearner by name."
            )
        return unlearner
    registered = find_unlearner(unlearner)
    name = registered.name
    if settings is not None and not isinstance(settings, Mapping):
        raise InvalidTypeError(
            f"settings of unlearner {name!r} are a {type(settings).__name__}, but a dict of names and values is needed."
        )
    chosen = dict(settings or {})
    for key in chosen:
        if not isinstance(key, str):
            raise InvalidTypeError(f"settings of unlearner {name!r} have the key {key!r}, but names are needed.")
    try:
        return registered.offer.make(**chosen)
    except (Exception, SystemExit) as error:
        if registered.provider.distribution == BUILTIN:
            raise
        kind = InvalidValueError if isinstance(error, UnshapError) else PluginError
        raise kind(
            f"{described(name, registered.provider)} cannot be made with the settings {chosen} "
            f"({type(error).__name__}: {error})."
        ) from error


def remade(unlearner: Unlearner, provider: Provider | None, settings: Mapping[str, Any]) -> Unlearner:
    """Return a registered unlearner with some other settings.

    Raises
    ------
    InvalidTypeError
        If it is an instance of a class that nobody registered: it was not made by name.
    InvalidValueError, PluginError
        As from ``resolve_unlearner``.
    """
    if provider is None:
        raise InvalidTypeError(
            f"the unlearner is an instance of {type(unlearner).__name__}, which nobody registered, but one that is "
            f"made by name is needed for other settings: make another instance, and a game with it."
        )
    return resolve_unlearner(f"{provider.distribution}:{unlearner.name}", {**unlearner.settings, **settings})


def provider_of(unlearner: Unlearner) -> Provider | None:
    """Return where an instance comes from: whose registered factory makes such unlearners, if anybody's does."""
    return next((one.provider for one in plugins().unlearners.offers if one.offer.factory is type(unlearner)), None)


def registered_name(name: str, provider: Provider) -> str:
    """Return what an unlearner of a provider is called where names are not unique: ``distribution:name``."""
    offers = [one for one in plugins().unlearners.named(name) if one.provider == provider]
    return next((known for known, one in registered_unlearners().items() if one in offers), name)


def described(name: str, provider: Provider | None) -> str:
    """Return an unlearner in words that fit an error message: with its distribution and version if it is a plugin's."""
    foreign = provider is not None and provider.distribution != BUILTIN
    return f"unlearner {name!r} of {provider}" if foreign else f"unlearner {name!r}"


def lent_to(provider: Provider | None, problem: ValuationProblem) -> contextlib.AbstractContextManager[None]:
    """Lend a problem to an unlearner (see ``lending``); the built-in ones are known to leave it alone."""
    ours = provider is not None and provider.distribution == BUILTIN
    return contextlib.nullcontext() if ours else lending(problem)


@contextlib.contextmanager
def advised(problem: ValuationProblem) -> Iterator[None]:
    """Name the registered unlearners that would work on a problem, where the block finds that its own does not.

    Raises
    ------
    AccessError
        That of the block, with the advice.
    """
    try:
        yield
    except AccessError as refusal:
        fitting = _fitting(problem)
        advice = (
            f"unlearners that would work: {', '.join(fitting)}" if fitting else "no registered unlearner would work"
        )
        raise AccessError(f"{refusal}; {advice}.") from None


def check_access(unlearner: Unlearner, problem: ValuationProblem, provider: Provider | None = None) -> None:
    """Let the unlearner check what it needs; where it refuses, name the registered ones that would work.

    Raises
    ------
    AccessError
        If the unlearner cannot work on this problem.
    ContractError
        If it changes what it was lent.
    PluginError
        If a plugin fails to say.
    """
    try:
        with advised(problem), lent_to(provider, problem):
            unlearner.check(problem)
    except ContractError as error:
        raise ContractError(
            f"{described(unlearner.name, provider)} {error} (when it was asked whether it takes this problem)."
        ) from error
    except UnshapError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"{described(unlearner.name, provider)} failed when it was asked whether it can work on this problem "
            f"({type(error).__name__}: {error})."
        ) from error


def another(unlearner: Unlearner, problem: ValuationProblem, provider: Provider | None = None) -> tuple[str, ...]:
    """Return the advice to take another unlearner, which names those that would work; nothing where none would.

    Examples
    --------
    >>> from sklearn.neighbors import KNeighborsRegressor
    >>> from unshap_plugin.unlearners import Retrain
    >>> x, y = [[0.0], [1.0], [2.0]], [0.0, 1.0, 2.0]
    >>> problem = ValuationProblem(KNeighborsRegressor(1).fit(x, y), train=(x, y), test=(x, y))
    >>> another(Retrain(), problem, provider_of(Retrain()))
    ()
    """
    found = others(unlearner, problem, provider)
    return (f"another unlearner ({', '.join(found)})",) if found else ()


def others(unlearner: Unlearner, problem: ValuationProblem, provider: Provider | None = None) -> list[str]:
    """Return the other registered unlearners that would work on a problem, by name."""
    own = None if provider is None else registered_name(unlearner.name, provider)
    return [name for name in _fitting(problem) if name != own]


def _fitting(problem: ValuationProblem) -> list[str]:
    return [name for name, registered in registered_unlearners().items() if _works(registered, problem)]


def _works(registered: Registered[UnlearnerSpec], problem: ValuationProblem) -> bool:
    try:
        with lent_to(registered.provider, problem):
            registered.offer.default.check(problem)
    except AccessError:
        return False
    except (Exception, SystemExit) as error:  # a plugin's, which must not spoil a message about another unlearner
        who = described(registered.name, registered.provider)
        _log.warning("%s cannot say whether it would work (%s: %s)", who, type(error).__name__, error)
        return False
    return True
