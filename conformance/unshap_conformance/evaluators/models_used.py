"""Checks of how an evaluator treats the model it is given: its errors, its copies, and the keywords of its fits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from unshap_conformance.checks import Skipped, Violation
from unshap_conformance.evaluators.faults import ERRORS, Fault, FaultError, Watch
from unshap_conformance.evaluators.stages import Stage
from unshap_conformance.evaluators.subject import EvaluatorSubject, silence, stages_of, trained
from unshap_plugin.model.generators import seeded

__all__ = ["Place", "fresh_models", "model_errors", "training_keywords"]


@dataclass(frozen=True)
class Place:
    """Call in which the model is to fail."""

    where: Literal["fit", "predict", "metric"]

    @property
    def name(self) -> str:
        """The name of the call."""
        return self.where


def model_errors(subject: EvaluatorSubject, place: Place) -> None:
    """Check that an error of the model, or of the metric, is raised."""
    stage = stages_of(subject)[0]
    sizes = [None] if place.where == "metric" else range(stage.n_players + 1)
    met = [rows for rows in sizes if _raised(subject, stage, Fault(place.where, rows))]
    if not met:
        raise Skipped(f"it never comes to a {place.where}.")
    for error in ERRORS[1:]:
        _raised(subject, stage, Fault(place.where, met[0], error))


def fresh_models(subject: EvaluatorSubject, stage: Stage) -> None:
    """Check that every fit starts from the model given."""
    watch = Watch()
    with seeded(0):
        trained(subject.fresh(), stage, watch)
    if watch.refits:
        what = "a model that was fitted already is fitted again, and would start where it ended: clone the one given"
        raise Violation(what, expected=0, got=watch.refits)


def training_keywords(subject: EvaluatorSubject, stage: Stage) -> None:
    """Check that every fit gets the keywords of ``train``."""
    watch = Watch()
    with seeded(0):
        trained(subject.fresh(), stage, watch)
    for given in watch.keywords:
        missing = [name for name, value in stage.keywords.items() if given.get(name) != value]
        if missing:
            raise Violation(f"a fit did not get {', '.join(missing)}", expected=dict(stage.keywords), got=given)


def _raised(subject: EvaluatorSubject, stage: Stage, fault: Fault) -> bool:
    """Tell whether the evaluator came to where the model fails; if it did, the error has to come through."""
    watch = Watch(fault)
    watched = replace(stage, metric=lambda y, y_hat: watch.second_score(stage.metric(y, y_hat)))
    try:
        with seeded(0), silence():
            values = trained(subject.fresh(), watched, watch).evaluate_data_values()
    except Exception as error:
        if _caused_by_fault(error):
            return True
        what = f"an error of the model (in the {fault}) is hidden by another one"
        raise Violation(what, expected=fault.error.__name__, got=repr(error)) from error
    if watch.failures:
        raise Violation(
            f"the model failed {watch.failures} times (in the {fault}), and the evaluator made numbers of it",
            expected=fault.error.__name__,
            got=np.asarray(values).tolist(),
        )
    return False


def _caused_by_fault(error: BaseException | None) -> bool:
    return error is not None and (
        isinstance(error, FaultError) or _caused_by_fault(error.__cause__) or _caused_by_fault(error.__context__)
    )
