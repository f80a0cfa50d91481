"""OpenDataVal evaluators: every ``DataEvaluator`` class, on games played through OpenDataVal's own interface."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

from opendataval.dataval import DataEvaluator

from unshap_conformance.checks import Check
from unshap_conformance.evaluators.axioms import AXIOMS
from unshap_conformance.evaluators.interface import INTERFACE
from unshap_conformance.evaluators.subject import EvaluatorSubject
from unshap_conformance.results import CheckResult
from unshap_conformance.runner import check
from unshap_conformance.semivalues import Semivalue, check_semivalue
from unshap_plugin.errors import InvalidTypeError, InvalidValueError
from unshap_plugin.support.importing import load_object

__all__ = ["EVALUATOR_CHECKS", "EvaluatorSubject", "check_evaluator", "evaluator_subject"]

EVALUATOR_CHECKS: tuple[Check[EvaluatorSubject], ...] = (*AXIOMS, *INTERFACE)


def check_evaluator(
    evaluator: str | Callable[..., DataEvaluator] | EvaluatorSubject,
    *,
    checks: Collection[str] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    on_fail: Literal["raise", "collect"] = "raise",
    **traits: Any,
) -> list[CheckResult]:
    """Check an OpenDataVal evaluator on games whose values are known exactly, and on its interface.

    Parameters
    ----------
    evaluator, traits
        See ``evaluator_subject``.
    checks, expected_failures, on_fail
        See ``check``.

    Returns
    -------
    One result for every check and case.

    Raises
    ------
    ConformanceError
        If a check fails, with ``on_fail="raise"``.

    Examples
    --------
    >>> from opendataval.dataval import LeaveOneOut
    >>> results = check_evaluator(LeaveOneOut, semivalue="leave_one_out", exact=True, checks=["null_player"])
    >>> {result.status for result in results}
    {'passed'}
    """
    subject = evaluator_subject(evaluator, **traits)
    return check(subject, checks=checks, expected_failures=expected_failures, on_fail=on_fail)


def evaluator_subject(
    evaluator: str | Callable[..., DataEvaluator] | EvaluatorSubject,
    *,
    name: str | None = None,
    kwargs: Mapping[str, Any] | None = None,
    semivalue: Semivalue | None = "shapley",
    efficient: bool | None = None,
    exact: bool | None = None,
    seedable: bool | None = None,
    variants: Sequence[Mapping[str, Any]] = (),
    no_game: str = "",
) -> EvaluatorSubject:
    """Return an OpenDataVal evaluator with its declared traits, which choose the checks.

    Parameters
    ----------
    evaluator
        Its class, a function that returns a new one, or ``"package.module:Class"``. A subject stays as it is. A class
        may declare the traits below itself, as a dict in its attribute ``conformance``, which count if none are given.
    name
        Name that results call it by; by default its own.
    kwargs
        Keywords of its constructor. With these its utility has to be the metric that it is handed, and it has to take
        a model without parameters.
    semivalue
        ``"shapley"`` (the default), ``"banzhaf"``, ``"leave_one_out"``, ``("beta", alpha, beta)``, or ``None`` if its
        values are none of these.
    efficient
        Its values sum to ``v(N) - v(none)`` in every run. By default, if they are Shapley values.
    exact
        Its values are those of the definition, up to round-off. By default, if it takes no ``random_state``. Another
        one is played with 30 seeds.
    seedable
        Its constructor takes a ``random_state``. By default, if it names that parameter.
    variants
        Further keywords, each of which makes an evaluator with a repr of its own.
    no_game
        Why no game can be played: what its values are of, if not of the metric of the model. Empty if one can.

    Raises
    ------
    InvalidTypeError, InvalidValueError, UnknownNameError
        If it cannot be called or found, or a trait has a value that cannot be.

    Examples
    --------
    >>> from opendataval.dataval import LeaveOneOut
    >>> subject = evaluator_subject(LeaveOneOut, semivalue="leave_one_out")
    >>> subject.name, subject.exact, subject.efficient
    ('LeaveOneOut', False, False)
    """
    if isinstance(evaluator, str):
        evaluator = load_object(evaluator)
    if isinstance(evaluator, EvaluatorSubject):
        traits = (name, kwargs, efficient, exact, seedable)
        if any(trait is not None for trait in traits) or variants or no_game or semivalue != "shapley":
            raise InvalidValueError(f"the traits of {evaluator.name!r} are declared where that subject is made.")
        return evaluator
    declared = getattr(evaluator, "conformance", None)
    given = (name, kwargs, efficient, exact, seedable, *variants, no_game or None)
    if declared is not None and semivalue == "shapley" and all(trait is None for trait in given):
        return evaluator_subject(evaluator, **{"name": getattr(evaluator, "__name__", None), **declared})
    if not callable(evaluator):
        raise InvalidTypeError(
            f"evaluator is a {type(evaluator).__name__}, but its class, or a function that returns a new one, is "
            f"needed: every play takes a fresh one."
        )
    if kwargs and "random_state" in kwargs:
        raise InvalidValueError("kwargs has random_state, which the checks choose: leave it out.")
    if semivalue is not None:
        check_semivalue(semivalue)
    seedable = _names_random_state(evaluator) if seedable is None else seedable
    return EvaluatorSubject(
        name=name or str(getattr(evaluator, "__name__", evaluator)),
        checks=EVALUATOR_CHECKS,
        evaluator=evaluator,
        kwargs=dict(kwargs or {}),
        semivalue=semivalue,
        efficient=semivalue == "shapley" if efficient is None else efficient,
        exact=not seedable if exact is None else exact,
        seedable=seedable,
        variants=tuple(variants),
        no_game=no_game,
    )


def _names_random_state(evaluator: Callable[..., DataEvaluator]) -> bool:
    # OpenDataVal's classes have a __new__ that takes anything, which hides the parameters.
    called: Any = evaluator.__init__ if inspect.isclass(evaluator) else evaluator  # type: ignore[misc]
    return "random_state" in inspect.signature(called).parameters
