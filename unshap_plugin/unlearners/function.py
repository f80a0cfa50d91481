"""Unlearners made of functions: the smallest that a plugin can offer."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import field, make_dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unshap_plugin.errors import ContractError, InvalidTypeError, nearest
from unshap_plugin.model.generators import coalition_seed, seeded
from unshap_plugin.model.given import copied
from unshap_plugin.model.rows import map_rows, take
from unshap_plugin.model.same_module import change, difference
from unshap_plugin.model.trained import as_input
from unshap_plugin.problem.access import Access, ModelKind
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.problem.problem import ValuationProblem
from unshap_plugin.unlearners.base import Unlearner
from unshap_plugin.unlearners.models import ModelList, Models, StackedModels

__all__ = ["FunctionUnlearner", "checked_model", "function_unlearner"]

_DATA = {"forget": Access.FORGET, "retain": Access.RETAIN, "reference": Access.REFERENCE}
#: What a function for one coalition, and one for many, may ask for by the names of its arguments.
ONE = ("model", *_DATA, "generator", "loss")
MANY = ("problem", "coalitions", "seed", "loss")


class FunctionUnlearner(Unlearner):
    """Asks a function for one unlearned model after the other, or another one for many at once.

    The base of the data classes that ``function_unlearner`` makes, whose fields are the settings.

    Attributes
    ----------
    one, many
        The functions; ``many`` may be ``None``.
    made_of
        What ``function_unlearner`` made the class of, from which its instances are unpickled.
    """

    one: ClassVar[Callable[..., Any]]
    many: ClassVar[Callable[..., Any] | None]
    made_of: ClassVar[tuple[Any, ...]]

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.made_of, self.settings)

    def _unlearn(self, problem: ValuationProblem, coalitions: NDArray[np.bool_], seed: int) -> Models:
        engine = problem.engine if isinstance(problem, ModuleProblem) else None
        if self.many is not None and engine is not None and engine.batched:
            given = {"problem": problem, "coalitions": coalitions, "seed": seed, "loss": problem.loss}
            asked = {name: given[name] for name in _asked(self.many, MANY)}
            return StackedModels(engine, self.many(**asked, **self.settings))
        forgets = ~coalitions.all(axis=1)
        retained = problem.retained(coalitions)
        models = [
            self._model(problem, rows, coalition_seed(seed, coalition)) if forget else problem.model
            for rows, coalition, forget in zip(retained, coalitions, forgets, strict=True)
        ]
        if engine is None:
            return ModelList(problem, models)
        return StackedModels.of(engine, models)

    def _model(self, problem: ValuationProblem, retained: Tensor, seed: int) -> Any:
        """Return the model without one forget set, checked."""
        model = copied(problem.model) if isinstance(problem, ModuleProblem) else copy.deepcopy(problem.model)
        make: dict[str, Callable[[], Any]] = {
            "model": lambda: model,
            "forget": lambda: _pair(problem, ~retained),
            "retain": lambda: _pair(problem, retained),
            "reference": lambda: _reference(problem),
            "generator": lambda: torch.Generator().manual_seed(seed),
            "loss": lambda: problem.loss,
        }
        asked = {name: make[name]() for name in _asked(self.one, ONE)}
        # Seeded, so that a function that draws from the global generators still is a function of the coalition.
        with seeded(seed), torch.enable_grad():
            unlearned = self.one(**asked, **self.settings)
        if isinstance(problem, ModuleProblem):
            changed = change(problem.model, model, problem.engine.restless)
            if changed is not None:
                raise ContractError(f"changed {changed} of the model that it was given: work on copy.deepcopy(model)")
        return checked_model(problem, unlearned)


def checked_model(problem: ValuationProblem, model: Any) -> Any:
    """Return a model that a function gave, or raise ``ContractError`` if it is none of the kind of the given one.

    Examples
    --------
    >>> from sklearn.neighbors import KNeighborsRegressor
    >>> x, y = np.arange(8.0)[:, None], np.arange(8.0)
    >>> model = KNeighborsRegressor(1).fit(x, y)
    >>> checked_model(ValuationProblem(model, train=(x, y), test=(x, y)), model) is model
    True
    """
    if not isinstance(problem, ModuleProblem):
        if not callable(getattr(model, "predict", None)):
            raise ContractError(
                f"returned {_kind(model)} instead of the unlearned model: return an object with predict"
            )
        return model
    if not isinstance(model, nn.Module):
        raise ContractError(f"returned {_kind(model)} instead of the unlearned model: return a torch module")
    other = difference(problem.model, model)
    if other is not None:
        raise ContractError(f"returned a model of another architecture ({other}): return a changed copy of the given")
    return model


@functools.lru_cache(maxsize=None, typed=True)
def function_unlearner(
    one: Callable[..., Any],
    many: Callable[..., Any] | None,
    name: str,
    summary: str,
    source: str,
    takes: ModelKind,
    exact: bool,
    /,
) -> type[FunctionUnlearner]:
    """Return a class of unlearners, the same for the same arguments, whose settings are those of its functions.

    Parameters
    ----------
    one, many
        The functions for one coalition, and for many if there is one; see ``UnlearnerSpec.from_function``.
    name, summary, source, takes, exact
        As in ``Unlearner``. What the method needs to see follows from the arguments of ``one``.

    Raises
    ------
    InvalidTypeError
        If an argument of a function is none that it can be given, and has no default; or if the settings of the two
        differ.

    Examples
    --------
    >>> def keep(model, *, strength=1.0):
    ...     return model
    >>> made = function_unlearner(keep, None, "keep", "Keeps all.", "an example", ModelKind.PARAMETERS, False)
    >>> made(strength=2.0), made.needs.names()
    (keep(strength=2.0), 'FORGET')
    """
    settings = _settings(one, ONE)
    if many is not None and (others := set(_settings(many, MANY))) != set(settings):
        raise InvalidTypeError(
            f"the batched function of {name!r} has the settings {sorted(others)}, but those of the function for one "
            f"coalition are needed: {sorted(settings)}."
        )
    needs = functools.reduce(Access.__or__, (_DATA[data] for data in _asked(one, _DATA)), Access(0))
    attributes = {
        "one": staticmethod(one),
        "many": None if many is None else staticmethod(many),
        "made_of": (one, many, name, summary, source, takes, exact),
        "name": name,
        "summary": summary,
        "source": source,
        "needs": needs or Access.FORGET,
        "takes": takes,
        "exact": exact,
        "batched": many is not None,
        "__doc__": summary,
    }
    for setting, default in settings.items():
        if default is inspect.Parameter.empty:
            raise InvalidTypeError(
                f"argument {setting!r} of {name!r} has no default, which a setting needs, and is none of those that a "
                f"function is given{nearest(setting, ONE)}: {', '.join(ONE)}."
            )
        if setting in attributes or hasattr(FunctionUnlearner, setting):
            raise InvalidTypeError(
                f"setting {setting!r} of {name!r} is called like something that every unlearner has: rename it."
            )
        try:
            copy.deepcopy(default)
        except Exception as error:
            raise InvalidTypeError(
                f"the default of setting {setting!r} of {name!r} is a {type(default).__name__}, which cannot be copied "
                f"({error}): use a number, a text or None."
            ) from error
    # Copied, since a default that can be changed would be shared by all.
    fields = [(key, Any, field(default_factory=functools.partial(copy.deepcopy, v))) for key, v in settings.items()]
    return make_dataclass(name, fields, bases=(FunctionUnlearner,), frozen=True, namespace=attributes)


def _again(made_of: tuple[Any, ...], settings: Mapping[str, Any]) -> FunctionUnlearner:
    return function_unlearner(*made_of)(**settings)


def _asked(function: Callable[..., Any], given: Collection[str]) -> list[str]:
    """Return what a function asks for of what it can be given."""
    return [name for name in inspect.signature(function).parameters if name in given]


def _settings(function: Callable[..., Any], given: Collection[str]) -> dict[str, Any]:
    """Return the arguments of a function that it is not given, with their defaults."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        raise InvalidTypeError(
            f"{function!r} is no function with a signature, but one whose arguments are some of {', '.join(given)}, "
            f"and settings with defaults, is needed."
        ) from error
    called = getattr(function, "__name__", repr(function))
    for parameter in parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise InvalidTypeError(
                f"{called} takes the {parameter.kind.description} argument {parameter}, but arguments are given by "
                f"name."
            )
    return {name: parameter.default for name, parameter in parameters.items() if name not in given}


def _pair(problem: ValuationProblem, rows: Tensor) -> Any:
    index = rows.nonzero()[:, 0]
    x, y = take(problem.x, index), problem.y[index]
    return (x, y) if isinstance(problem, ModuleProblem) else (as_input(x), y.cpu().numpy())


def _reference(problem: ValuationProblem) -> Any:
    assert problem.reference is not None
    x, y = problem.reference
    if not isinstance(problem, ModuleProblem):
        return as_input(x), None if y is None else y.cpu().numpy().copy()
    return map_rows(torch.clone, x), None if y is None else y.clone()


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
