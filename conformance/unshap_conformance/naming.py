"""What a name on the command line stands for."""

from __future__ import annotations

import inspect
import sys
from typing import Any

from unshap_conformance.estimators import estimator_subject
from unshap_conformance.loading import load
from unshap_conformance.parametrize import CheckedSubject
from unshap_conformance.unlearners import unlearner_subject
from unshap_plugin.errors import InvalidTypeError, InvalidValueError, UnknownNameError
from unshap_plugin.estimators import ESTIMATORS
from unshap_plugin.plugins.manager import plugins
from unshap_plugin.plugins.registry import registered_unlearners
from unshap_plugin.unlearners.base import Unlearner

__all__ = ["subject_named"]


def subject_named(name: str) -> CheckedSubject:
    """Return what is to be checked.

    Parameters
    ----------
    name
        An unlearner that is registered, an estimator of this project, or ``package.module:object`` for anything else: a
        class of OpenDataVal evaluators, an unlearner (its class or an instance), or a callable that is an estimator.

    Raises
    ------
    UnknownNameError, InvalidValueError
        If nothing of that name can be found.
    """
    if name in ESTIMATORS:
        return estimator_subject(name)
    if plugins().named(name):
        return unlearner_subject(name)
    if ":" not in name:
        raise UnknownNameError("unlearner or estimator", name, [*registered_unlearners(), *ESTIMATORS])
    found = load(name)
    if _is_evaluator(found):
        # Only now, since that imports the framework.
        subject: CheckedSubject = load("unshap_conformance.evaluators:evaluator_subject")(found)
        return subject
    if inspect.isclass(found) and issubclass(found, Unlearner):
        try:
            found = found()
        except Exception as error:
            raise InvalidValueError(
                f"{name!r} cannot be made without arguments ({type(error).__name__}: {error}): "
                f"name an instance instead."
            ) from error
    if isinstance(found, Unlearner):
        return unlearner_subject(found)
    if not callable(found):
        raise InvalidTypeError(f"{name!r} is neither an unlearner, an evaluator class nor a callable: it is {found!r}.")
    return estimator_subject(found)


def _is_evaluator(found: Any) -> bool:
    opendataval = sys.modules.get("opendataval.dataval")
    return opendataval is not None and inspect.isclass(found) and issubclass(found, opendataval.DataEvaluator)
