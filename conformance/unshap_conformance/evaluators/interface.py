"""OpenDataVal's interface: what is returned, what is left alone, and what is fresh."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import NDArray
from opendataval.dataloader import DataFetcher
from opendataval.dataval import DataEvaluator, Sampler
from opendataval.experiment import ExperimentMediator, exper_methods
from opendataval.model import LogisticRegression, Model
from torch import Tensor, nn

from unshap_conformance.axioms import TOLERANCE, compare_runs, exact_values
from unshap_conformance.evaluators.played import (
    ERRORS,
    Fault,
    FaultError,
    Stage,
    Watch,
    noisy_data,
    real_stage,
    stage_of,
)
from unshap_conformance.evaluators.subject import EvaluatorSubject, no_game, silence, trained, values_of
from unshap_conformance.games import by_name, from_function
from unshap_conformance.global_rng import kept
from unshap_conformance.records import Skipped, Violation, compare
from unshap_conformance.runner import Check
from unshap_plugin.model.generators import seeded

__all__ = ["INTERFACE"]

# Every player of both has a value of its own.
_GAME, _SMALLER = by_name("random_6_3", "random_5_2")
# Large values without variance, even of a sampler: little of them shows among others.
_FAR = from_function("far", _GAME.n_players, lambda players: sum(1000 * (player + 1) for player in players))
# Values are looked at before and after the others read them.
_EXPERIMENTS = (
    exper_methods.save_dataval,
    exper_methods.noisy_detection,
    exper_methods.discover_corrupted_sample,
    exper_methods.remove_high_low,
    exper_methods.increasing_bin_removal,
    exper_methods.save_dataval,
)


@dataclass(frozen=True)
class Change:
    """One stage after another."""

    before: Stage
    after: Stage

    @property
    def name(self) -> str:
        """As in ``glove, then negative``."""
        return f"{self.before.name}, then {self.after.name}"


@dataclass(frozen=True)
class _Nothing:
    """The case of a check that is not played on anything."""

    name: str = ""


@dataclass(frozen=True)
class _Place:
    """What the model is to fail in."""

    where: Literal["fit", "predict", "metric"]

    @property
    def name(self) -> str:
        return self.where


def _form(subject: EvaluatorSubject, stage: Stage) -> None:
    with seeded(0):
        evaluator = trained(subject.fresh(), stage)
        values = evaluator.evaluate_data_values()
        values_of(evaluator, stage)
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f":
        got = f"{type(values).__name__} of {getattr(values, 'dtype', 'no dtype')}"
        raise Violation("the values are not a numpy array of real floats", expected="ndarray of floats", got=got)


def _returns_self(subject: EvaluatorSubject, stage: Stage) -> None:
    evaluator, model = subject.fresh(), stage.model(Watch())

    def calls() -> Iterator[tuple[str, Any]]:
        yield "input_data", evaluator.input_data(*(part.clone() for part in stage.data))
        if subject.uses_model:
            yield "input_model_metric", evaluator.input_model_metric(model, stage.metric)
        yield "train_data_values", evaluator.train_data_values(**stage.keywords)
        yield "train", evaluator.train(stage.fetcher(), model, stage.metric, **stage.keywords)

    with seeded(0), silence():
        for name, returned in calls():
            if returned is not evaluator:
                raise Violation(f"{name} does not return the evaluator", expected="self", got=type(returned).__name__)


def _inputs_untouched(subject: EvaluatorSubject, stage: Stage) -> None:
    fetcher, given = stage.fetcher(), [part.clone() for part in stage.data]
    evaluator, before = subject.fresh(), _contents(fetcher)
    with seeded(0), silence():
        evaluator.input_data(*given)
        if subject.uses_model:
            evaluator.input_model_metric(stage.model(Watch()), stage.metric)
        evaluator.train_data_values(**stage.keywords)
        evaluator.evaluate_data_values()
        evaluator.train(fetcher, stage.model(Watch()), stage.metric, **stage.keywords)
        evaluator.evaluate_data_values()
    names = ("x_train", "y_train", "x_valid", "y_valid")
    changed = [name for name, old, new in zip(names, stage.data, given, strict=True) if not torch.equal(old, new)]
    after = _contents(fetcher)
    changed += [f"fetcher.{name}" for name in before if before[name] != after.get(name)]
    if changed:
        raise Violation("training changed the data that it was given", expected="unchanged", got=changed)


def _model_untouched(subject: EvaluatorSubject, stage: Stage) -> None:
    model = stage.model(Watch())
    before = _state(model)
    evaluator = subject.fresh()
    with seeded(0), silence():
        evaluator.train(stage.fetcher(), model, stage.metric, **stage.keywords)
        evaluator.evaluate_data_values()
    after = _state(model)
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    if changed:
        raise Violation("training changed the model that it was given", expected="unchanged", got=changed)


def _fresh_values(subject: EvaluatorSubject, change: Change) -> None:
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


def _fresh_instances(subject: EvaluatorSubject, change: Change) -> None:
    what = "a new evaluator has the values of another one"
    stages = (change.before, change.after)
    with seeded(0):
        alive = [trained(subject.fresh(), stage) for stage in stages]
        expected = [values_of(evaluator, stage) for evaluator, stage in zip(alive, stages, strict=True)]
        for stage, values in zip(stages, expected, strict=True):
            compare(what, values, subject.values_on(stage), TOLERANCE)
    for _ in range(5):
        reborn = _reborn(subject, change.before)
        if reborn is not None:
            with seeded(0):
                compare(what, expected[1], values_of(trained(reborn, change.after), change.after), TOLERANCE)
            return


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


def _repeated_reading(subject: EvaluatorSubject, stage: Stage) -> None:
    with seeded(0):
        evaluator = trained(subject.fresh(), stage)
        first, second = values_of(evaluator, stage), values_of(evaluator, stage)
        cached = np.asarray(evaluator.data_values, dtype=np.float64)
    compare("evaluate_data_values() gives other values when it is called again", first, second, TOLERANCE)
    compare("data_values are not the values that evaluate_data_values() gives", first, cached, TOLERANCE)


def _distinct_reprs(subject: EvaluatorSubject, _: _Nothing) -> None:
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


def _registered_name(subject: EvaluatorSubject, _: _Nothing) -> None:
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


def _random_state(subject: EvaluatorSubject, stage: Stage) -> None:
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


def _global_rng(subject: EvaluatorSubject, stage: Stage) -> None:
    with kept() as before:
        values_of(trained(subject.fresh(), stage), stage)
        moved = before.moved()
    if moved:
        raise Violation("training moves global random generators", expected="unmoved", got=moved)


def _model_errors(subject: EvaluatorSubject, place: _Place) -> None:
    stage = _stages(subject)[0]
    sizes = [None] if place.where == "metric" else range(stage.n_players + 1)
    met = [rows for rows in sizes if _raised(subject, stage, Fault(place.where, rows))]
    if not met:
        raise Skipped(f"it never comes to a {place.where}.")
    for error in ERRORS[1:]:
        _raised(subject, stage, Fault(place.where, met[0], error))


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


def _fresh_models(subject: EvaluatorSubject, stage: Stage) -> None:
    watch = Watch()
    with seeded(0):
        trained(subject.fresh(), stage, watch)
    if watch.refits:
        what = "a model that was fitted already is fitted again, and would start where it ended: clone the one given"
        raise Violation(what, expected=0, got=watch.refits)


def _training_keywords(subject: EvaluatorSubject, stage: Stage) -> None:
    watch = Watch()
    with seeded(0):
        trained(subject.fresh(), stage, watch)
    for given in watch.keywords:
        missing = [name for name, value in stage.keywords.items() if given.get(name) != value]
        if missing:
            raise Violation(f"a fit did not get {', '.join(missing)}", expected=dict(stage.keywords), got=given)


def _experiments(subject: EvaluatorSubject, _: _Nothing) -> None:
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


def _contents(fetcher: DataFetcher) -> dict[str, Any]:
    """Return what a fetcher holds, such that it can be compared later."""
    held = dict(vars(fetcher))
    held["random_state"] = _comparable(held["random_state"].get_state())
    return {
        name: (value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value for name, value in held.items()
    }


def _state(model: Model) -> dict[str, Tensor]:
    if not isinstance(model, nn.Module):
        return {"fitted": torch.tensor(model.fitted)}
    state = {"mode": torch.tensor(model.training), **{name: p.clone() for name, p in model.state_dict().items()}}
    for name, p in model.named_parameters():
        state[f"{name}.grad is None"] = torch.tensor(p.grad is None)
        state[f"{name}.requires_grad"] = torch.tensor(p.requires_grad)
    return state


def _are_exact(subject: EvaluatorSubject, values: NDArray[np.float64]) -> bool:
    if subject.no_game or subject.semivalue is None:
        return False
    return bool(np.allclose(values, exact_values(subject, _GAME), rtol=0.0, atol=TOLERANCE))


def _comparable(state: Any) -> tuple[Any, ...]:
    return tuple(part.tobytes() if isinstance(part, np.ndarray) else part for part in state)


def _caused_by_fault(error: BaseException | None) -> bool:
    return error is not None and (
        isinstance(error, FaultError) or _caused_by_fault(error.__cause__) or _caused_by_fault(error.__context__)
    )


def _descendants(cls: type) -> set[type]:
    direct: list[type] = cls.__subclasses__()
    return set(direct).union(*map(_descendants, direct))


def _others(cls: type) -> list[str]:
    named = (one for one in _descendants(DataEvaluator) if one.__name__.lower() == cls.__name__.lower())
    return sorted(_path(one) for one in named if one is not cls)


def _path(cls: type | None) -> str:
    return "nothing" if cls is None else f"{cls.__module__}.{cls.__qualname__}"


def _stages(subject: EvaluatorSubject) -> list[Stage]:
    """Return a game, where one can be played, and real data with a torch model."""
    return [real_stage()] if subject.no_game else [stage_of(_GAME), real_stage()]


def _changes(subject: EvaluatorSubject) -> list[Change]:
    if subject.no_game:
        first, second, smaller = real_stage(), real_stage(seed=1), real_stage(5)
    else:
        first, second, smaller = map(stage_of, (_FAR, _GAME, _SMALLER))
    return [Change(first, _with_another_metric(second)), Change(first, smaller)]


def _with_another_metric(stage: Stage) -> Stage:
    return replace(stage, name=f"3 * {stage.name}", metric=lambda y, y_hat: 3 * stage.metric(y, y_hat))


def _no_model(subject: EvaluatorSubject) -> str | None:
    return None if subject.uses_model else "it uses no prediction model."


def _no_seed(subject: EvaluatorSubject) -> str | None:
    return None if subject.seedable else "it takes no random_state."


def _no_repeat(subject: EvaluatorSubject) -> str | None:
    repeats = subject.exact or subject.seedable
    return None if repeats else "it samples and takes no random_state, so that no values come twice."


_ALONE = [_Nothing()]
_PLACES = [_Place("fit"), _Place("predict"), _Place("metric")]

#: What OpenDataVal's experiments, and the people who compare evaluators, take for granted.
INTERFACE: tuple[Check[EvaluatorSubject], ...] = (
    Check("form", "evaluate_data_values() gives a numpy array (n,) of finite real floats", _form, _stages),
    Check(
        "returns_self",
        "train, input_data, input_model_metric and train_data_values return the evaluator",
        _returns_self,
        _stages,
    ),
    Check("inputs_untouched", "tensors and fetcher are the same after training", _inputs_untouched, _stages),
    Check("model_untouched", "the model given is the same after training", _model_untouched, _stages, unless=_no_model),
    Check("fresh_values", "a second train gives the values of the second data", _fresh_values, _changes),
    Check(
        "fresh_instances",
        "a new evaluator gives values of its own data",
        _fresh_instances,
        lambda subject: _changes(subject)[:1],
        unless=_no_repeat,
    ),
    Check("repeated_reading", "values do not change by being read", _repeated_reading, _stages),
    Check("distinct_reprs", "different arguments give different reprs", _distinct_reprs, lambda _: _ALONE),
    Check("registered_name", "the name in OpenDataVal's registry is its own", _registered_name, lambda _: _ALONE),
    Check(
        "random_state",
        "random_state (an int or a RandomState), and nothing else random, decides the values",
        _random_state,
        lambda subject: _stages(subject)[:1],
        unless=_no_seed,
    ),
    Check("global_rng", "the generators of torch, numpy and random are not moved", _global_rng, _stages),
    Check("model_errors", "an error of the model is raised", _model_errors, lambda _: _PLACES, unless=_no_model),
    Check(
        "fresh_models",
        "every fit starts from the model given",
        _fresh_models,
        lambda subject: _stages(subject)[:1],
        unless=no_game,
    ),
    Check("training_keywords", "every fit gets the keywords of train", _training_keywords, _stages, unless=_no_model),
    Check("experiments", "OpenDataVal's experiments run on it", _experiments, lambda _: _ALONE),
)
