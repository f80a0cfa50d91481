"""Subjects by name: on the command line, and in the options of pytest."""

from __future__ import annotations

import inspect
import sys

from unshap_conformance.checks import Kind, Subject
from unshap_plugin.errors import InvalidTypeError, UnknownNameError
from unshap_plugin.plugins.manager import plugins
from unshap_plugin.support.importing import load_object
from unshap_plugin.unlearners.base import Unlearner

__all__ = ["subject_named"]


def subject_named(name: str, kind: Kind | None = None) -> Subject:
    """Return what is to be checked.

    Parameters
    ----------
    name
        An unlearner or an estimator that is registered, or ``package.module:object`` for anything else: a
        class of OpenDataVal evaluators, an unlearner (its class or an instance), a callable that is an estimator, or a
        subject.
    kind
        Kind of the subject, where that is known.

    Raises
    ------
    UnknownNameError, InvalidValueError, InvalidTypeError
        If nothing of that name can be found, or it is of no kind that can be checked.
    """
    kind = kind or _kind_of(name)
    # What checks a kind is imported only where one is asked for: evaluators need OpenDataVal.
    subject: Subject = load_object(f"unshap_conformance.{kind}s:{kind}_subject")(name)
    return subject


def _kind_of(name: str) -> Kind:
    found = plugins()
    if found.estimators.named(name):
        return "estimator"
    if found.unlearners.named(name):
        return "unlearner"
    if ":" not in name:
        known = [*found.unlearners.usable, *found.estimators.usable]
        raise UnknownNameError("unlearner or estimator", name, known, ", or package.module:object for one of your own")
    thing = load_object(name)
    if isinstance(thing, Subject):
        return thing.kind
    opendataval = sys.modules.get("opendataval.dataval")  # whoever defines an evaluator has imported it
    if opendataval is not None and inspect.isclass(thing) and issubclass(thing, opendataval.DataEvaluator):
        return "evaluator"
    if isinstance(thing, Unlearner) or (inspect.isclass(thing) and issubclass(thing, Unlearner)):
        return "unlearner"
    if not callable(thing):
        raise InvalidTypeError(f"{name!r} is neither an unlearner, an evaluator class nor a callable: it is {thing!r}.")
    return "estimator"
