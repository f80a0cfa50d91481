"""Estimators, which turn a game and a budget into values with standard errors. One method a file."""

from __future__ import annotations

from unshap_plugin.errors import InvalidTypeError, UnknownNameError
from unshap_plugin.estimators.base import Estimate, Estimator
from unshap_plugin.estimators.exact import Exact
from unshap_plugin.estimators.permutation import Permutation

__all__ = ["ESTIMATORS", "Estimate", "Estimator", "Exact", "Permutation", "resolve_estimator"]

ESTIMATORS: dict[str, type[Estimator]] = {one.name: one for one in (Exact, Permutation)}


def resolve_estimator(name: str) -> type[Estimator]:
    """Return the estimator of that name.

    Raises
    ------
    UnknownNameError, InvalidTypeError
        If there is none, or it is not a name.
    """
    if not isinstance(name, str):
        raise InvalidTypeError(f"estimator is a {type(name).__name__}, but a name is needed: {', '.join(ESTIMATORS)}.")
    if name not in ESTIMATORS:
        raise UnknownNameError("estimator", name, ESTIMATORS)
    return ESTIMATORS[name]
