"""Checks of estimators, which turn a game into values, on games whose values are known exactly."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

from unshap_conformance.checks import Check
from unshap_conformance.estimators.axioms import AXIOMS
from unshap_conformance.estimators.interface import INTERFACE
from unshap_conformance.estimators.subject import EstimatorSubject, View
from unshap_conformance.results import CheckResult
from unshap_conformance.runner import check
from unshap_conformance.semivalues import Semivalue
from unshap_plugin.errors import InvalidTypeError, InvalidValueError
from unshap_plugin.estimators.base import Estimate, Estimator
from unshap_plugin.plugins.manager import plugins
from unshap_plugin.plugins.registry import find_estimator
from unshap_plugin.support.importing import load_object

__all__ = ["ESTIMATOR_CHECKS", "EstimatorSubject", "check_estimator", "estimator_subject"]

ESTIMATOR_CHECKS: tuple[Check[EstimatorSubject], ...] = (*AXIOMS, *INTERFACE)


def check_estimator(
    estimator: str | type[Estimator] | Callable[..., Any] | EstimatorSubject,
    *,
    checks: Collection[str] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    on_fail: Literal["raise", "collect"] = "raise",
    **traits: Any,
) -> list[CheckResult]:
    """Check an estimator on games whose values are known exactly.

    Parameters
    ----------
    estimator, traits
        See ``estimator_subject``.
    checks, expected_failures, on_fail
        See ``check``.

    Returns
    -------
    One result for every check and game.

    Raises
    ------
    ConformanceError
        If a check fails, with ``on_fail="raise"``.

    Examples
    --------
    >>> results = check_estimator("exact", checks=["efficiency"])
    >>> {result.status for result in results}
    {'passed'}
    """
    subject = estimator_subject(estimator, **traits)
    return check(subject, checks=checks, expected_failures=expected_failures, on_fail=on_fail)


def estimator_subject(
    estimator: str | type[Estimator] | Callable[..., Any] | EstimatorSubject,
    *,
    name: str | None = None,
    semivalue: Semivalue | None = None,
    exact: bool | None = None,
    deterministic: bool | None = None,
    efficient: bool | None = None,
    budget: int | None = None,
    std_errors: bool | None = None,
) -> EstimatorSubject:
    """Return an estimator with its declared traits, which choose the checks.

    Parameters
    ----------
    estimator
        Called as ``estimator(game, budget=..., seed=...)``, with as many of the keywords as its signature has, it
        returns an array ``[n_players]``, or something with ``values`` and possibly ``std_errors``. Or the name of
        a registered estimator, a subclass of ``Estimator``, or ``"package.module:function"``. A subject stays as it is.
    name
        Name that results call it by; by default its own.
    semivalue
        ``"shapley"`` (the default), ``"banzhaf"``, ``"leave_one_out"`` or ``("beta", alpha, beta)``.
    exact
        Its values are those of the definition, up to round-off. By default, if it takes no seed.
    deterministic
        The same call with the same seed gives the same values, bit for bit, which is the default.
    efficient
        Its values sum to ``v(N) - v(none)`` in every run. By default, if they are Shapley values.
    budget
        How many utilities it may ask for: given to it if it takes a budget. By default ``2**n_players`` for an exact
        estimator, and 100 for another.
    std_errors
        Its standard errors have to come: by default, for the estimators of this project. Those that come are checked
        in any case; NaN for every player is none.

    Raises
    ------
    InvalidTypeError, InvalidValueError, UnknownNameError
        If it cannot be called or found, or a trait has a value that cannot be.

    Examples
    --------
    >>> import numpy as np
    >>> def equal(game):  # called with coalitions [m, n_players], a game returns utilities [m]
    ...     nobody, everybody = game(np.array([[False], [True]]).repeat(game.n_players, axis=1))
    ...     return np.full(game.n_players, (everybody - nobody) / game.n_players)
    >>> subject = estimator_subject(equal)
    >>> subject.name, subject.semivalue, subject.exact
    ('equal', 'shapley', True)
    """
    if isinstance(estimator, str):
        foreign = ":" in estimator and not plugins().estimators.named(estimator)
        estimator = load_object(estimator) if foreign else find_estimator(estimator).offer
    if isinstance(estimator, EstimatorSubject):
        if any(trait is not None for trait in (name, semivalue, exact, deterministic, efficient, budget, std_errors)):
            raise InvalidValueError(f"the traits of {estimator.name!r} are declared where that subject is made.")
        return estimator
    if not callable(estimator):
        raise InvalidTypeError(f"estimator is a {type(estimator).__name__}, but a callable is needed.")
    own = estimator if isinstance(estimator, type) and issubclass(estimator, Estimator) else None
    function = estimator if own is None else _caller(own)
    takes = _keywords(function)
    default = own.exact if own is not None else "seed" not in takes
    called = own.name if own is not None else str(getattr(estimator, "__name__", type(estimator).__name__))
    return EstimatorSubject(
        name=name or called,
        checks=ESTIMATOR_CHECKS,
        estimator=function,
        takes=takes,
        semivalue=semivalue or "shapley",
        exact=default if exact is None else exact,
        deterministic=True if deterministic is None else deterministic,
        efficient=semivalue in (None, "shapley") if efficient is None else efficient,
        budget=budget,
        std_errors=own is not None if std_errors is None else std_errors,
    )


def _caller(method: type[Estimator]) -> Callable[..., Estimate]:
    def estimate(game: View, budget: int, seed: int) -> Estimate:
        return method(game.n_players, budget, seed).run(game)

    return estimate


def _keywords(function: Callable[..., Any]) -> frozenset[str]:
    """Return which of budget and seed a function takes; none if its signature cannot be read."""
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:
        return frozenset()
    anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    return frozenset(name for name in ("budget", "seed") if anything or name in parameters)
