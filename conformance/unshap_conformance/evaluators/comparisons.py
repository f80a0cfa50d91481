"""Checks of what OpenDataVal's tables and experiments, and people who compare evaluators, take for granted."""

from __future__ import annotations

import gc
import warnings

import numpy as np
from opendataval.dataloader import DataFetcher
from opendataval.dataval import DataEvaluator
from opendataval.experiment import ExperimentMediator, exper_methods
from opendataval.model import LogisticRegression

from unshap_conformance.checks import Skipped, Violation
from unshap_conformance.evaluators.stages import noisy_data
from unshap_conformance.evaluators.subject import EvaluatorSubject, silence
from unshap_plugin.model.generators import seeded

__all__ = ["distinct_reprs", "experiments", "registered_name"]

# Values are looked at before and after the others read them.
_EXPERIMENTS = (
    exper_methods.save_dataval,
    exper_methods.noisy_detection,
    exper_methods.discover_corrupted_sample,
    exper_methods.remove_high_low,
    exper_methods.increasing_bin_removal,
    exper_methods.save_dataval,
)


def distinct_reprs(subject: EvaluatorSubject, _: None) -> None:
    """Check that different arguments give different reprs."""
    one, two = subject.fresh(), subject.fresh()
    if repr(one) != repr(two):
        raise Violation("equal arguments do not give equal reprs", expected=repr(one), got=repr(two))
    made = [subject.fresh(**kwargs) for kwargs in ({}, *subject.variants)]
    if subject.seedable:
        made.append(subject.fresh(1))
    if len(made) == 1:
        raise Skipped(
            "it takes no random_state, and no other arguments are given to compare the reprs of (variants=...)."
        )
    reprs = [repr(one) for one in made]
    twice = sorted({one for one in reprs if reprs.count(one) > 1})
    if twice:
        raise Violation(
            "evaluators with different arguments have one repr, and so one row in OpenDataVal's tables",
            expected=f"{len(reprs)} different ones",
            got=twice,
        )


def registered_name(subject: EvaluatorSubject, _: None) -> None:
    """Check that the name in OpenDataVal's registry is its own."""
    cls = type(subject.fresh())
    name = cls.__name__.lower()
    named = DataEvaluator.Evaluators.get(name)
    if named is not cls:
        raise Violation(
            f"OpenDataVal finds another class under the name {name!r}", expected=_path(cls), got=_path(named)
        )
    if _others(cls):
        gc.collect()  # some may be classes that nobody holds any more
    if others := _others(cls):
        raise Violation(f"the name {name!r} shadows another evaluator", expected="a name of its own", got=others)


def experiments(subject: EvaluatorSubject, _: None) -> None:
    """Check that OpenDataVal's experiments run on it."""
    train, valid, wrong = noisy_data(10, seed=0)
    fetcher = DataFetcher.from_data_splits(
        *(part.numpy() for part in (*train, *valid, *valid)), one_hot=True, random_state=0
    )
    fetcher.noisy_train_indices = wrong
    with seeded(0), silence(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # OpenDataVal's own: pinned memory, clusters of equal values
        model, evaluator = LogisticRegression(train[0].shape[1], 2), subject.fresh()
        mediator = ExperimentMediator(fetcher, model, {"epochs": 2, "lr": 0.05}, raises_error=True)
        mediator.compute_data_values([evaluator])
        for experiment in _EXPERIMENTS:
            table = mediator.evaluate(experiment)
            if repr(evaluator) not in table.index:
                raise Violation(
                    f"{experiment.__name__} has no row of the evaluator",
                    expected=repr(evaluator),
                    got=list(table.index),
                )
            saved = table["data_values"].to_numpy(dtype=float) if "data_values" in table else np.zeros(10)
            if saved.shape != (10,) or not np.isfinite(saved).all():
                raise Violation("the values that save_dataval gives are not ten finite numbers", got=saved.tolist())


def _others(cls: type) -> list[str]:
    named = (one for one in _descendants(DataEvaluator) if one.__name__.lower() == cls.__name__.lower())
    return sorted(_path(one) for one in named if one is not cls)


def _descendants(cls: type) -> set[type]:
    direct: list[type] = cls.__subclasses__()
    return set(direct).union(*map(_descendants, direct))


def _path(cls: type | None) -> str:
    return "nothing" if cls is None else f"{cls.__module__}.{cls.__qualname__}"
