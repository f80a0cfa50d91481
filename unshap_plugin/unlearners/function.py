"""Unlearners made of functions: the smallest that a plugin can offer."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unshap_plugin.errors import ContractError, InvalidTypeError
from unshap_plugin.model.generators import coalition_seed, seeded
from unshap_plugin.model.rows import map_rows, take
from unshap_plugin.model.same_module import change, difference, same
from unshap_plugin.model.trained import as_array
from unshap_plugin.problem.access import Access, ModelKind
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.problem.problem import ValuationProblem
from unshap_plugin.unlearners.base import Unlearner
from unshap_plugin.unlearners.models import ModelList, Models, StackedModels

__all__ = ["FunctionFactory", "FunctionUnlearner"]

_ONE = ("model", "forget", "retain", "reference", "generator")
_MANY = ("problem", "coalitions", "seed")


@dataclass(frozen=True)
class FunctionFactory:
    """Makes a ``FunctionUnlearner`` from the settings of its function.

    Parameters
    ----------
    name
        Of the method.
    unlearn, needs, takes, exact, many
        As in ``UnlearnerSpec.from_function``; ``many`` is its ``batched``.

    Raises
    ------
    InvalidTypeError
        If the functions do not take the arguments that they will be given.
    """

    name: str
    unlearn: Callable[..., Any]
    needs: Access
    takes: ModelKind
    exact: bool
    many: Callable[..., Any] | None

    def __post_init__(self) -> None:
        """Check the signatures."""
        own = _settings(self.unlearn, _ONE)
        if self.many is not None and (batched := _settings(self.many, _MANY)).keys() - {"loss"} != own.keys() - {
            "loss"
        }:
            raise InvalidTypeError(
                f"the batched function of {self.name!r} has the settings {sorted(batched)}, but those of the function "
                f"for one coalition are needed: {sorted(own)}."
            )
        for name in own.keys() - {"loss"}:
            if own[name].default is inspect.Parameter.empty:
                raise InvalidTypeError(
                    f"setting {name!r} of {self.name!r} has no default, but every setting needs one."
                )

        parameters = [p.replace(kind=p.KEYWORD_ONLY) for name, p in own.items() if name != "loss"]
        # Which is where inspect.signature looks for the settings.
        object.__setattr__(self, "__signature__", inspect.Signature(parameters))

    def __call__(self, **settings: Any) -> FunctionUnlearner:
        """Return the unlearner with these settings."""
        parameters = inspect.signature(self).parameters
        # Copied, since a default that can be changed would be shared by all.
        chosen = {name: settings.get(name, copy.deepcopy(p.default)) for name, p in parameters.items()}
        return FunctionUnlearner(self, tuple(chosen.items()))


@dataclass(frozen=True)
class FunctionUnlearner(Unlearner):
    """Asks a function for one unlearned model after the other, or another one for many at once.

    Parameters
    ----------
    factory
        The functions, and what was declared about them.
    chosen
        The settings.
    """

    factory: FunctionFactory
    chosen: tuple[tuple[str, Any], ...]

    @property
    def name(self) -> str:  # type: ignore[override]
        """What the method is called."""
        return self.factory.name

    @property
    def needs(self) -> Access:  # type: ignore[override]
        """What the function was declared to see."""
        return self.factory.needs

    @property
    def takes(self) -> ModelKind:  # type: ignore[override]
        """The kinds of model that the function was declared to take."""
        return self.factory.takes

    @property
    def exact(self) -> bool:  # type: ignore[override]
        """Whether the function was declared to equal retraining."""
        return self.factory.exact

    @property
    def batched(self) -> bool:  # type: ignore[override]
        """Whether there is a function for many coalitions at once."""
        return self.factory.many is not None

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings by name."""
        return dict(self.chosen)

    def _unlearn(self, problem: ValuationProblem, coalitions: NDArray[np.bool_], seed: int) -> Models:
        many = self.factory.many
        engine = problem.engine if isinstance(problem, ModuleProblem) else None
        if many is not None and engine is not None and engine.batched:
            return StackedModels(engine, many(problem, coalitions, seed, **self._keywords(many, _MANY, problem)))
        forgets = ~coalitions.all(axis=1)
        retained = problem.retained(coalitions)
        models = [
            self._one(problem, rows, coalition_seed(seed, coalition)) if forget else problem.model
            for rows, coalition, forget in zip(retained, coalitions, forgets, strict=True)
        ]
        if engine is None:
            return ModelList(problem, models)
        states = [{**dict(model.named_parameters()), **dict(model.named_buffers())} for model in models]
        changed = [
            name
            for name, given in engine.state.items()
            if name in engine.theta0 or not all(same(state[name], given) for state in states)
        ]
        return StackedModels(
            engine, {name: torch.stack([state[name].detach() for state in states]) for name in changed}
        )

    def _one(self, problem: ValuationProblem, retained: Tensor, seed: int) -> Any:
        """Return the model without one forget set, checked."""
        sees = [_reference(problem) if Access.REFERENCE in self.needs else None]
        for rows, access in ((retained, Access.RETAIN), (~retained, Access.FORGET)):
            sees.insert(0, _pair(problem, rows) if access in self.needs else None)
        unlearn, given = self.factory.unlearn, copy.deepcopy(problem.model)
        # Seeded, so that a function that draws from the global generators still is a function of the coalition.
        with seeded(seed), torch.enable_grad():
            model = unlearn(given, *sees, torch.Generator().manual_seed(seed), **self._keywords(unlearn, _ONE, problem))
        if not isinstance(problem.model, nn.Module):
            return _checked_object(model)
        changed = change(problem.model, given)
        if changed is not None:
            raise ContractError(f"changed {changed} of the model that it was given: work on copy.deepcopy(model)")
        if not isinstance(model, nn.Module):
            raise ContractError(f"returned {_kind(model)} instead of the unlearned model: return a torch module")
        other = difference(problem.model, model)
        if other is not None:
            raise ContractError(
                f"returned a model of another architecture ({other}): return a changed copy of the given"
            )
        return model

    def _keywords(
        self, function: Callable[..., Any], positional: tuple[str, ...], problem: ValuationProblem
    ) -> dict[str, Any]:
        loss = {"loss": problem.loss} if "loss" in _settings(function, positional) else {}
        return {**self.settings, **loss}


def _settings(function: Callable[..., Any], positional: tuple[str, ...]) -> dict[str, inspect.Parameter]:
    """Return the parameters behind the positional ones.

    Raises
    ------
    InvalidTypeError
        If the function does not take these arguments.
    """
    expected = f"({', '.join(positional)}, *, setting=default, ...) is needed"
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise InvalidTypeError(f"{function!r} is no function with a signature, but {expected}.") from error
    first, rest = parameters[: len(positional)], parameters[len(positional) :]
    takes = len(first) == len(positional) and all(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in first)
    if not takes or any(p.kind not in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD) for p in rest):
        name = getattr(function, "__name__", repr(function))
        raise InvalidTypeError(f"{name} takes {inspect.signature(function)}, but {expected}.")
    return {p.name: p for p in rest}


def _pair(problem: ValuationProblem, rows: Tensor) -> Any:
    index = rows.nonzero()[:, 0]
    x, y = take(problem.x, index), problem.y[index]
    return (x, y) if isinstance(problem, ModuleProblem) else (as_array(x), y.cpu().numpy())


def _reference(problem: ValuationProblem) -> Any:
    assert problem.reference is not None
    x, y = problem.reference
    if not isinstance(problem, ModuleProblem):
        return as_array(x).copy(), None if y is None else y.cpu().numpy().copy()
    return map_rows(torch.clone, x), None if y is None else y.clone()


def _checked_object(model: Any) -> Any:
    if not callable(getattr(model, "predict", None)):
        raise ContractError(f"returned {_kind(model)} instead of the unlearned model: return an object with predict")
    return model


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
