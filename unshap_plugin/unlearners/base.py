"""The contract of an unlearner, and what it returns."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unshap_plugin.engine import Engine, Theta
from unshap_plugin.errors import AccessError
from unshap_plugin.problem import Access, ValuationProblem
from unshap_plugin.rows import Rows

__all__ = ["ModelList", "Models", "StackedModels", "Unlearner"]


class Models(Protocol):
    """Unlearned models, one per coalition."""

    def __len__(self) -> int:
        """Return the number of models, m."""
        ...

    def outputs(self, x: Rows) -> Tensor:
        """Return the outputs ``[m, rows, ...]`` on the same rows."""
        ...

    def finite(self) -> NDArray[np.bool_]:
        """Tell for each model whether all its parameters are finite, ``[m]``."""
        ...

    def restore(self, which: NDArray[np.bool_]) -> None:
        """Put the given model, bit for bit, in the places where ``which`` is ``True``."""
        ...


class StackedModels:
    """Models of one module with stacked parameters (and, where they differ, buffers) ``[m, *shape]``."""

    def __init__(self, engine: Engine, state: Theta) -> None:
        self.engine = engine
        self.state = state

    def __len__(self) -> int:
        """Return the number of models."""
        return len(next(iter(self.state.values())))

    def outputs(self, x: Rows) -> Tensor:
        """Return the outputs ``[m, rows, ...]``."""
        return self.engine.outputs(self.state, x)

    def finite(self) -> NDArray[np.bool_]:
        """Tell for each model whether all its parameters are finite."""
        each = [torch.isfinite(p.reshape(len(p), -1)).all(dim=1) for p in self.state.values()]
        result: NDArray[np.bool_] = torch.stack(each).all(dim=0).cpu().numpy()
        return result

    def restore(self, which: NDArray[np.bool_]) -> None:
        """Put the given parameters where ``which`` is ``True``."""
        given = self.engine.module.state_dict()
        for name, value in self.state.items():
            value[torch.as_tensor(which, device=value.device)] = given[name].detach()


class ModelList:
    """Models of any kind, one object each."""

    def __init__(self, problem: ValuationProblem, models: Sequence[Any]) -> None:
        self.problem = problem
        self.models = list(models)

    def __len__(self) -> int:
        """Return the number of models."""
        return len(self.models)

    def outputs(self, x: Rows) -> Tensor:
        """Return the outputs ``[m, rows, ...]``."""
        return torch.stack([self.problem.outputs(model, x) for model in self.models])

    def finite(self) -> NDArray[np.bool_]:
        """Return ``True`` throughout: what such a model holds is its own; its outputs are checked."""
        return np.ones(len(self.models), dtype=bool)

    def restore(self, which: NDArray[np.bool_]) -> None:
        """Put the given model where ``which`` is ``True``."""
        for index in np.flatnonzero(which):
            self.models[index] = self.problem.model


class Unlearner(ABC):
    """Turns (trained model, coalitions) into unlearned models.

    A subclass states what it needs to see and implements ``_unlearn``. Settings are the fields of a (frozen) data
    class. The result for a coalition may depend on the problem, the settings, the seed and that coalition, and on
    nothing else: not on the other coalitions of the call, nor on earlier calls.
    """

    name: ClassVar[str]
    needs: ClassVar[Access] = Access.FORGET
    needs_parameters: ClassVar[bool] = True

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings by name."""
        return dataclasses.asdict(self) if dataclasses.is_dataclass(self) else {}

    def check(self, problem: ValuationProblem) -> None:
        """Refuse, before any work, a problem that lacks what this method needs.

        Raises
        ------
        AccessError
            Naming what is missing.
        """
        missing = self.needs & ~problem.available
        if missing:
            raise AccessError(
                f"unlearner {self.name!r} needs access to {self.needs.names()}, but this problem "
                f"(access={problem.access!r}) has no {missing.names()}"
            )
        if self.needs_parameters and (problem.engine is None or not problem.engine.theta0):
            raise AccessError(
                f"unlearner {self.name!r} changes parameters by gradients, but {type(problem.model).__name__} has no "
                f"trainable torch parameters"
            )

    def bytes_per_coalition(self, problem: ValuationProblem) -> int:
        """Estimate the memory that one coalition takes, from which the size of a chunk follows."""
        return problem.engine.bytes_per_coalition(problem.x) if problem.engine is not None else 1

    def unlearn(self, problem: ValuationProblem, coalitions: NDArray[np.bool_], seed: int) -> Models:
        """Return one model per coalition.

        Parameters
        ----------
        problem
            The trained model and its data.
        coalitions
            ``[m, n_players]``, ``True`` = kept.
        seed
            Of all randomness, together with the coalition.

        Returns
        -------
        Models
            For a coalition that keeps everything, the model as given, bit for bit.
        """
        models = self._unlearn(problem, coalitions, seed)
        models.restore(np.asarray(coalitions.all(axis=1)))
        return models

    @abstractmethod
    def _unlearn(self, problem: ValuationProblem, coalitions: NDArray[np.bool_], seed: int) -> Models: ...
