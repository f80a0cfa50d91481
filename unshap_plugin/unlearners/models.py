"""Unlearned models, one per coalition: what an unlearner returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from typing_extensions import Self

from unshap_plugin.errors import ContractError
from unshap_plugin.model.engine import Engine, Theta
from unshap_plugin.model.rows import Rows
from unshap_plugin.model.same_module import same
from unshap_plugin.problem.object_problem import ObjectProblem
from unshap_plugin.problem.problem import ValuationProblem

__all__ = ["ModelList", "Models", "StackedModels"]


@runtime_checkable
class Models(Protocol):
    """Unlearned models, one per coalition.

    Examples
    --------
    >>> from unshap_plugin.losses import mse
    >>> engine = Engine(torch.nn.Linear(1, 1), mse)
    >>> models = StackedModels(engine, engine.stack(2))
    >>> models.restore(np.array([True, False]))
    >>> isinstance(models, Models), models.outputs(torch.zeros(3, 1)).shape
    (True, torch.Size([2, 3, 1]))
    """

    def __len__(self) -> int:
        """Return the number of models, m."""
        ...

    def outputs(self, x: Rows) -> Tensor:
        """Return the outputs ``[m, rows, ...]`` on the same rows ``x``, ``[rows, ...]``.

        Raises
        ------
        Exception
            Whatever a model raises of such rows.
        """
        ...

    def restore(self, which: NDArray[np.bool_]) -> None:
        """Put the given model, bit for bit, in the places where ``which`` (bool ``[m]``) is ``True``."""
        ...


class StackedModels:
    """Models of one module with stacked parameters.

    Parameters
    ----------
    engine
        The module.
    state
        All trainable parameters, and those other parameters and buffers that differ from the given ones, as
        ``[m, *shape]``.

    Raises
    ------
    ContractError
        If these are not parameters of the module.

    Examples
    --------
    >>> from unshap_plugin.losses import cross_entropy
    >>> engine = Engine(torch.nn.Linear(2, 3), cross_entropy)
    >>> models = StackedModels(engine, engine.stack(4))
    >>> len(models), models.outputs(torch.zeros(5, 2)).shape
    (4, torch.Size([4, 5, 3]))
    >>> models.state["bias"] = torch.zeros(4, 3)
    >>> models.restore(np.array([True, False, False, False]))
    >>> torch.equal(models.state["bias"][0], engine.state["bias"]), models.state["bias"][1].tolist()
    (True, [0.0, 0.0, 0.0])
    """

    def __init__(self, engine: Engine, state: Theta) -> None:
        _check_state(engine, state)
        self.engine = engine
        self.state = state

    @classmethod
    def of(cls, engine: Engine, models: Sequence[nn.Module]) -> Self:
        """Return modules of one architecture, stacked.

        Parameters
        ----------
        engine
            The given module.
        models
            ``m`` of that architecture.

        Raises
        ------
        KeyError
            If one lacks a parameter of the given one.

        Examples
        --------
        >>> from unshap_plugin.losses import mse
        >>> engine = Engine(torch.nn.Linear(1, 1), mse)
        >>> len(StackedModels.of(engine, [torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)]))
        2
        """
        states = [{**dict(model.named_parameters()), **dict(model.named_buffers())} for model in models]
        changed = [
            name
            for name, given in engine.state.items()
            if name in engine.theta0 or not all(same(state[name], given) for state in states)
        ]
        return cls(engine, {name: torch.stack([state[name].detach() for state in states]) for name in changed})

    def __len__(self) -> int:
        """Return the number of models."""
        return len(next(iter(self.state.values())))

    def outputs(self, x: Rows) -> Tensor:
        """Return the outputs ``[m, rows, ...]`` on the same rows ``x``, ``[rows, ...]``.

        Raises
        ------
        Exception
            Whatever the module raises of such rows.
        """
        return self.engine.outputs(self.state, x)

    def restore(self, which: NDArray[np.bool_]) -> None:
        """Put the given parameters where ``which`` (bool ``[m]``) is ``True``."""
        if which.any():
            given = self.engine.state
            for name, value in self.state.items():
                chosen = torch.as_tensor(which, device=value.device).reshape(-1, *[1] * (value.ndim - 1))
                self.state[name] = torch.where(chosen, given[name], value)


class ModelList:
    """Models that are objects with ``fit`` and ``predict``, one each.

    Parameters
    ----------
    problem
        The problem of such an object.
    models
        ``m`` of them.

    Attributes
    ----------
    seeds
        What each draws from the global generators when it answers comes from its seed, which ``Unlearner.unlearn``
        sets to that of the coalition.

    Raises
    ------
    ContractError
        If the problem is that of a torch module.

    Examples
    --------
    >>> from sklearn.neighbors import KNeighborsRegressor
    >>> x, y = np.arange(8.0)[:, None], np.arange(8.0)
    >>> problem = ValuationProblem(KNeighborsRegressor(1).fit(x, y), train=(x, y), test=(x, y))
    >>> models = ModelList(problem, [problem.model, KNeighborsRegressor(1).fit(x[1:], y[1:])])
    >>> models.outputs(torch.zeros(1, 1, dtype=torch.float64)).tolist()
    [[0.0], [1.0]]
    >>> models.restore(np.array([False, True]))
    >>> models.outputs(torch.zeros(1, 1, dtype=torch.float64)).tolist()
    [[0.0], [0.0]]
    """

    def __init__(self, problem: ValuationProblem, models: Sequence[Any]) -> None:
        if not isinstance(problem, ObjectProblem):
            raise ContractError("returned a ModelList for a torch module, but StackedModels are needed for these")
        self.problem = problem
        self.models = list(models)
        self.seeds = [0] * len(self.models)

    def __len__(self) -> int:
        """Return the number of models."""
        return len(self.models)

    def outputs(self, x: Rows) -> Tensor:
        """Return the outputs ``[m, rows, ...]`` on the same rows ``x``, ``[rows, ...]``.

        Raises
        ------
        InvalidValueError, InvalidTypeError
            If an object does not answer with one output for each row.
        """
        pairs = zip(self.models, self.seeds, strict=True)
        return torch.stack([self.problem.trained.outputs(model, x, seed) for model, seed in pairs])

    def restore(self, which: NDArray[np.bool_]) -> None:
        """Put the given model where ``which`` (bool ``[m]``) is ``True``."""
        for index in np.flatnonzero(which):
            self.models[index] = self.problem.model


def _check_state(engine: Engine, state: Theta) -> None:
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ContractError(
            "returned something else for the parameters than a dict from their names to tensors: stack them as "
            "engine.stack does"
        )
    given = engine.state
    odd = sorted((state.keys() - given.keys()) | (engine.theta0.keys() - state.keys()))
    if odd:
        what = "unknown" if odd[0] in state else "missing"
        raise ContractError(f"returned a model of another architecture ({odd[0]!r} is {what}): keep the given names")
    m = len(next(iter(state.values()))) if next(iter(state.values())).ndim else 0
    for name, value in state.items():
        p = given[name]
        if (value.shape, value.dtype, value.device) != ((m, *p.shape), p.dtype, p.device):
            raise ContractError(
                f"returned a model of another architecture ({name!r} is {list(value.shape)} {value.dtype} on "
                f"{value.device} instead of {[m, *p.shape]} {p.dtype} on {p.device}): keep shapes, dtypes and devices"
            )
