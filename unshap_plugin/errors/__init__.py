"""The errors of this package: one sentence each, with what was given, what was expected and what to do."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from typing_extensions import Self

from unshap_plugin.errors.wording import in_short, nearest

__all__ = [
    "AccessError",
    "AdvisingError",
    "BudgetError",
    "ContractError",
    "DivergenceError",
    "InvalidTypeError",
    "InvalidValueError",
    "JobError",
    "PluginError",
    "UnknownNameError",
    "UnshapError",
    "check_integer",
    "check_number",
    "check_share",
    "in_short",
    "nearest",
]


#: So many names an error message lists at most: players may be thousands.
SHOWN = 30


class UnshapError(Exception):
    """Base class of every error that this package raises on purpose.

    Examples
    --------
    >>> from unshap_plugin import Recipe
    >>> try:
    ...     Recipe("adm")
    ... except UnshapError as error:
    ...     print(error)
    unknown optimizer 'adm' (did you mean 'adam'?); expected one of: adam, adamw, lbfgs, sgd.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what pickle makes the error of, which is not what it was made of: processes send errors home."""
        return _made_again, (type(self), self.args, vars(self))


def _made_again(kind: type[UnshapError], arguments: tuple[Any, ...], attributes: dict[str, Any]) -> UnshapError:
    error = kind.__new__(kind, *arguments)
    error.args = arguments
    vars(error).update(attributes)
    return error


class InvalidValueError(UnshapError, ValueError):
    """An argument, a table or a setting has a value that cannot be used.

    Examples
    --------
    >>> issubclass(InvalidValueError, UnshapError), issubclass(InvalidValueError, ValueError)
    (True, True)
    """


class InvalidTypeError(UnshapError, TypeError):
    """An argument has a type that cannot be used.

    Examples
    --------
    >>> issubclass(InvalidTypeError, UnshapError), issubclass(InvalidTypeError, TypeError)
    (True, True)
    """


class AccessError(UnshapError, ValueError):
    """An unlearner was asked to run without something that it needs to see.

    Examples
    --------
    >>> raise AccessError("unlearner 'newton' needs access to RETAIN, but this problem has no RETAIN.")
    Traceback (most recent call last):
    ...
    unshap_plugin.errors.AccessError: unlearner 'newton' needs access to RETAIN, but this problem has no RETAIN.
    """


class AdvisingError(UnshapError):
    """An error whose advice is a list of ways out, so that who knows more of the situation can give others.

    Parameters
    ----------
    what
        What failed: all of the message but the advice.
    advice
        Ways out, each of which is an alternative to the others; none where ``what`` says it all.

    Examples
    --------
    >>> error = AdvisingError("the model diverged", ("a smaller lr", "fewer steps"))
    >>> print(error)
    the model diverged; use a smaller lr, or fewer steps.
    >>> print(error.advising(error.advice[:1]))
    the model diverged; use a smaller lr.
    """

    def __init__(self, what: str, advice: tuple[str, ...] = ()) -> None:
        ways = [*advice[:-1], f"or {advice[-1]}"] if len(advice) > 1 else advice
        super().__init__(f"{what}; use {', '.join(ways)}." if advice else what)
        self.what, self.advice = what, advice

    def advising(self, advice: tuple[str, ...]) -> Self:
        """Return the error with other ways out, ``advice``."""
        other = copy.copy(self)
        AdvisingError.__init__(other, self.what, advice)
        return other


class BudgetError(AdvisingError, ValueError):
    """An estimator cannot work within (or up to) the given number of evaluations.

    Parameters
    ----------
    what, advice
        See ``AdvisingError``.

    Examples
    --------
    >>> from unshap_plugin.estimators import Exact
    >>> try:
    ...     Exact(3, budget=5, seed=0)
    ... except BudgetError as error:
    ...     print(error)
    budget=5 is too small: estimator 'exact' over 3 players needs all 8 evaluations; give that.
    """


class DivergenceError(AdvisingError, ValueError):
    """Unlearning failed for a coalition, or its utility is not a finite number.

    Parameters
    ----------
    what
        What failed: all of the message but the advice.
    coalition
        The boolean row (``True`` = kept) that it happened for.
    advice
        Ways out, each of which is an alternative to the others; none where ``what`` says it all.

    Examples
    --------
    >>> raise DivergenceError("unlearner 'npo' diverged", (True, False), ("a smaller lr", "another unlearner"))
    Traceback (most recent call last):
    ...
    unshap_plugin.errors.DivergenceError: unlearner 'npo' diverged; use a smaller lr, or another unlearner.
    """

    def __init__(self, what: str, coalition: tuple[bool, ...], advice: tuple[str, ...] = ()) -> None:
        super().__init__(what, advice)
        self.coalition = coalition


class ContractError(UnshapError, TypeError):
    """An unlearner breaks its contract: it changed the given model, or returned no models of its kind.

    Examples
    --------
    >>> raise ContractError("unlearner 'mine' returned None instead of models: return StackedModels.")
    Traceback (most recent call last):
    ...
    unshap_plugin.errors.ContractError: unlearner 'mine' returned None instead of models: return StackedModels.
    """


class PluginError(UnshapError, RuntimeError):
    """Code of a plugin failed outside of unlearning; the cause has its traceback.

    Examples
    --------
    >>> issubclass(PluginError, UnshapError), issubclass(PluginError, RuntimeError)
    (True, True)
    """


class JobError(UnshapError, RuntimeError):
    """Coalitions could not be evaluated in another process, though this one might.

    Examples
    --------
    >>> issubclass(JobError, UnshapError), issubclass(JobError, RuntimeError)
    (True, True)
    """


class UnknownNameError(UnshapError, ValueError):
    """A name is not among those that exist; the message names the nearest one, and ends with a ``remark``.

    Examples
    --------
    >>> raise UnknownNameError("colour", "gray", ["grey", "red"])
    Traceback (most recent call last):
    ...
    unshap_plugin.errors.UnknownNameError: unknown colour 'gray' (did you mean 'grey'?); expected one of: grey, red.
    """

    def __init__(self, kind: str, name: object, known: Iterable[str], remark: str = "") -> None:
        names = sorted(known)
        shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
        super().__init__(f"unknown {kind} {in_short(name)}{nearest(name, names)}; expected one of: {shown}{remark}.")


def check_integer(name: str, value: object, least: int, most: int | None = None) -> None:
    """Raise unless a value is a whole number within limits.

    Parameters
    ----------
    name, value
        What the message calls it, and what was given.
    least, most
        The limits, which are allowed; ``None``: there is no upper one.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If it is no whole number, or not within the limits.

    Examples
    --------
    >>> check_integer("steps", 0, 1)
    Traceback (most recent call last):
    ...
    unshap_plugin.errors.InvalidValueError: steps is 0, but a whole number of at least 1 is needed.
    """
    limits = f"of at least {least}" if most is None else f"from {least} to {most}"
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise InvalidTypeError(f"{name} is {in_short(value)}, but a whole number {limits} is needed.")
    if value < least or (most is not None and value > most):
        raise InvalidValueError(f"{name} is {in_short(value)}, but a whole number {limits} is needed.")


def check_number(name: str, value: object, *, zero: bool) -> None:
    """Raise unless a value is a finite number above 0, or from 0 on.

    Parameters
    ----------
    name, value
        What the message calls it, and what was given.
    zero
        Whether 0 itself is allowed.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If it is no number, or not one of these.

    Examples
    --------
    >>> check_number("lr", 0.0, zero=False)
    Traceback (most recent call last):
    ...
    unshap_plugin.errors.InvalidValueError: lr is 0.0, but a finite number above 0 is needed.
    """
    expected = f"a finite number {'of at least' if zero else 'above'} 0 is needed"
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise InvalidTypeError(f"{name} is {in_short(value)}, but {expected}.")
    if not (math.isfinite(value) and (value > 0 or (zero and value == 0))):
        raise InvalidValueError(f"{name} is {in_short(value)}, but {expected}.")


def check_share(name: str, value: object) -> None:
    """Raise unless a value is a number from 0 to 1.

    Parameters
    ----------
    name, value
        What the message calls it, and what was given.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If it is no number, or not one of these.

    Examples
    --------
    >>> check_share("shrink", 1.5)
    Traceback (most recent call last):
    ...
    unshap_plugin.errors.InvalidValueError: shrink is 1.5, but a number from 0 to 1 is needed.
    """
    check_number(name, value, zero=True)
    if not value <= 1:  # type: ignore[operator]
        raise InvalidValueError(f"{name} is {in_short(value)}, but a number from 0 to 1 is needed.")
