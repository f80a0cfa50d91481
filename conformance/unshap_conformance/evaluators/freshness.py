"""Checks that values of an evaluator depend on the data at hand and its seed, and on nothing that came before."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from opendataval.dataval import DataEvaluator, Sampler

from unshap_conformance.axioms import TOLERANCE, compare_runs, exact_values
from unshap_conformance.checks import Skipped, Violation, compare
from unshap_conformance.evaluators.stages import Stage
from unshap_conformance.evaluators.subject import GAME, EvaluatorSubject, silence, trained, values_of
from unshap_plugin.model.generators import seeded

__all__ = ["Change", "fresh_instances", "fresh_values", "random_state", "repeated_reading"]

#: How often a new evaluator is looked for in the place of another one.
_TRIES = 10


@dataclass(frozen=True)
class Change:
    """One stage after another."""

    before: Stage
    after: Stage

    @property
    def name(self) -> str:
        """Both names, as in ``glove, then negative``."""
        return f"{self.before.name}, then {self.after.name}"


def fresh_values(subject: EvaluatorSubject, change: Change) -> None:
    """Check that a second training gives the values of the second data."""
    fresh = np.stack([subject.values_on(change.after, seed) for seed in subject.seeds])
    again: dict[str, list[NDArray[np.float64]]] = {"data_values": [], "evaluate_data_values()": []}
    for seed in subject.seeds:
        with seeded(seed), silence():
            evaluator = trained(subject.fresh(seed), change.before)
            _ = evaluator.data_values  # OpenDataVal remembers these
            trained(evaluator, change.after)
            again["data_values"].append(np.asarray(evaluator.data_values, dtype=np.float64))
            again["evaluate_data_values()"].append(np.asarray(evaluator.evaluate_data_values(), dtype=np.float64))
    for name, values in again.items():
        what = f"after a second train, on other data, {name} is not what a fresh evaluator gives"
        if values[0].shape != fresh[0].shape:
            raise Violation(what, expected=list(fresh[0].shape), got=list(values[0].shape))
        compare_runs(what, fresh, np.stack(values))


def fresh_instances(subject: EvaluatorSubject, change: Change) -> None:
    """Check that a new evaluator gives values of its own data."""
    what = "a new evaluator has the values of another one"
    stages = (change.before, change.after)
    with seeded(0):
        alive = [trained(subject.fresh(), stage) for stage in stages]
        expected = [values_of(evaluator, stage) for evaluator, stage in zip(alive, stages, strict=True)]
        for stage, values in zip(stages, expected, strict=True):
            compare(what, values, subject.values_on(stage), TOLERANCE)
    for _ in range(_TRIES):
        reborn = _reborn(subject, change.before)
        if reborn is not None:
            with seeded(0):
                compare(what, expected[1], values_of(trained(reborn, change.after), change.after), TOLERANCE)
            return
    raise Skipped(
        f"no new evaluator came to stand where one had been in {_TRIES} tries, so that values that are kept by the "
        f"place of an evaluator could not be seen."
    )


def repeated_reading(subject: EvaluatorSubject, stage: Stage) -> None:
    """Check that values do not change by being read."""
    with seeded(0):
        evaluator = trained(subject.fresh(), stage)
        first, second = values_of(evaluator, stage), values_of(evaluator, stage)
        cached = np.asarray(evaluator.data_values, dtype=np.float64)
    compare("evaluate_data_values() gives other values when it is called again", first, second, TOLERANCE)
    compare("data_values are not the values that evaluate_data_values() gives", first, cached, TOLERANCE)


def random_state(subject: EvaluatorSubject, stage: Stage) -> None:
    """Check that ``random_state``, and nothing else random, decides the values."""

    def values(random_state: Any, outside: int = 0) -> NDArray[np.float64]:
        with seeded(outside):
            return values_of(trained(subject.fresh(random_state=random_state), stage), stage)

    first = values(3)
    what = "the same random_state gives other values where the global generators stand elsewhere"
    compare(what, first, values(3, outside=1), TOLERANCE)
    compare("RandomState(3) gives other values than 3", first, values(RandomState(3)), TOLERANCE)
    others = [values(seed) for seed in range(5)]
    if subject.exact:
        for other in others:
            compare("the values are declared exact, and random_state changes them", first, other, TOLERANCE)
    elif all(np.array_equal(other, first) for other in others) and not _are_exact(subject, first):
        raise Violation(
            "six different random_states give the same values, which are not exact",
            players=range(stage.n_players),
            expected="different values",
            got=first.tolist(),
        )


def _reborn(subject: EvaluatorSubject, stage: Stage) -> DataEvaluator | None:
    """Return a new evaluator in the place of one that was trained, with its id; or ``None``, if none comes there."""
    crowd = [subject.fresh() for _ in range(300)]  # the place of a single one is soon taken by something else
    with seeded(0):
        gone: set[int] = set().union(*(_ids(trained(evaluator, stage)) for evaluator in crowd[150:155]))
    crowd.clear()
    gc.collect()
    for _ in range(300):
        crowd.append(subject.fresh())
        if _ids(crowd[-1]) & gone:
            return crowd[-1]
    return None


def _ids(evaluator: DataEvaluator) -> set[int]:
    """Return the ids that a cache may go by: that of its sampler, if it has one, or its own."""
    return {id(part) for part in vars(evaluator).values() if isinstance(part, Sampler)} or {id(evaluator)}


def _are_exact(subject: EvaluatorSubject, values: NDArray[np.float64]) -> bool:
    if subject.no_game or subject.semivalue is None:
        return False
    return bool(np.allclose(values, exact_values(subject, GAME), rtol=0.0, atol=TOLERANCE))
