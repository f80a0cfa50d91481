"""``--semivalue``: which values are asked for, in the words of the command line."""

from __future__ import annotations

import math

from unshap_plugin.by_name import leaving_one_out, weighted
from unshap_plugin.errors import InvalidValueError, UnknownNameError, in_short
from unshap_plugin.estimators.semivalue import NAMED, Kind
from unshap_plugin.estimators.stopping import Stopping

__all__ = ["NAMES", "check_semivalue", "semivalue_kind"]

_SHAPLEY, _BETA = "shapley", "beta"
#: As they are typed.
NAMES = (_SHAPLEY, *NAMED, f"{_BETA}:A,B")


def semivalue_kind(text: str) -> Kind | None:
    """Return what ``semivalues`` calls it; ``None`` for Shapley values.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    InvalidValueError
        If parameters are not two numbers above 0.

    Examples
    --------
    >>> semivalue_kind("shapley"), semivalue_kind("banzhaf"), semivalue_kind("beta:4,1")
    (None, 'banzhaf', ('beta', 4.0, 1.0))
    """
    if text == _SHAPLEY or text in NAMED:
        return None if text == _SHAPLEY else text
    name, _, parameters = text.partition(":")
    if name != _BETA:
        raise UnknownNameError("--semivalue", text, NAMES)
    try:
        alpha, beta = map(float, parameters.split(","))
    except ValueError:
        alpha = beta = 0.0
    if not (0 < alpha < math.inf and 0 < beta < math.inf):
        raise InvalidValueError(
            f"--semivalue is {in_short(text)}, but two numbers above 0 belong to beta: give them, such as beta:4,1."
        )
    return (_BETA, alpha, beta)


def check_semivalue(text: str, estimator: str, stopping: Stopping, pay: str | None) -> None:
    """Refuse what the values that are asked for do not go with, before anything is read.

    Raises
    ------
    UnknownNameError, InvalidValueError
        If there are no such values, the estimator has none, rules end what is not estimated, or money is to be divided
        by values that do not add up.
    """
    kind = semivalue_kind(text)
    if kind is None:
        return
    if pay is not None:
        raise InvalidValueError(
            f"--pay divides money by Shapley values, which add up to what all data is worth together, but --semivalue "
            f"{text} was given too: leave one out."
        )
    if kind == "loo":
        leaving_one_out(estimator, stopping)
    elif estimator != "auto":
        weighted(estimator)
