"""Checks of what calls of an evaluator return, and of what they leave alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from opendataval.dataloader import DataFetcher
from opendataval.model import Model
from torch import Tensor, nn

from unshap_conformance.checks import Violation
from unshap_conformance.evaluators.faults import Watch
from unshap_conformance.evaluators.stages import Stage
from unshap_conformance.evaluators.subject import EvaluatorSubject, silence, trained, values_of
from unshap_conformance.global_rng import kept
from unshap_plugin.model.generators import seeded

__all__ = ["form", "global_rng", "inputs_untouched", "model_untouched", "returns_self"]


def form(subject: EvaluatorSubject, stage: Stage) -> None:
    """Check that values come as a numpy array ``[n]`` of finite real floats."""
    with seeded(0):
        evaluator = trained(subject.fresh(), stage)
        values = evaluator.evaluate_data_values()
        values_of(evaluator, stage)
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f":
        got = f"{type(values).__name__} of {getattr(values, 'dtype', 'no dtype')}"
        raise Violation("the values are not a numpy array of real floats", expected="ndarray of floats", got=got)


def returns_self(subject: EvaluatorSubject, stage: Stage) -> None:
    """Check that whatever trains returns the evaluator."""
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


def inputs_untouched(subject: EvaluatorSubject, stage: Stage) -> None:
    """Check that tensors and fetcher are the same after training."""
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


def model_untouched(subject: EvaluatorSubject, stage: Stage) -> None:
    """Check that the model given is the same after training."""
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


def global_rng(subject: EvaluatorSubject, stage: Stage) -> None:
    """Check that no global generator is moved."""
    with kept() as before:
        values_of(trained(subject.fresh(), stage), stage)
        moved = before.moved()
    if moved:
        raise Violation("training moves global random generators", expected="unmoved", got=moved)


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


def _comparable(state: Any) -> tuple[Any, ...]:
    return tuple(part.tobytes() if isinstance(part, np.ndarray) else part for part in state)
