"""The contract of an unlearner, and what it returns."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, final, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unshap_plugin.artifacts import STAND_INS, Artifacts
from unshap_plugin.engine import Engine, Theta
from unshap_plugin.errors import AccessError, ContractError, InvalidTypeError, UnknownNameError
from unshap_plugin.problem import Access, ModelKind, ValuationProblem
from unshap_plugin.rows import Rows
from unshap_plugin.seeds import moved, states

__all__ = ["ModelList", "Models", "StackedModels", "Unlearner"]


@runtime_checkable
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
    """

    def __init__(self, engine: Engine, state: Theta) -> None:
        _check_state(engine, state)
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
        if which.any():
            given = self.engine.state
            for name, value in self.state.items():
                chosen = torch.as_tensor(which, device=value.device).reshape(-1, *[1] * (value.ndim - 1))
                self.state[name] = torch.where(chosen, given[name], value)


class ModelList:
    """Models that are objects with ``fit`` and ``predict``, one each."""

    def __init__(self, problem: ValuationProblem, models: Sequence[Any]) -> None:
        if problem.engine is not None:
            raise ContractError("returned a ModelList for a torch module, but StackedModels are needed for these")
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

    A subclass states what it needs and is, and implements ``_unlearn``. Settings are the fields of a (frozen) data
    class. The result for a coalition may depend on the problem, the settings, the seed and that coalition, and on
    nothing else: not on the other coalitions of the call, nor on earlier calls.

    Attributes
    ----------
    name
        What it is called.
    needs
        What it needs to see.
    stored
        The artefact that can stand in for retained rows: ``"hessian"``, ``"gram"`` or ``"fisher"``. Where they are not
        at hand, ``stand_in`` returns the artefacts.
    takes
        The kinds of model it takes.
    gentler
        What to change where a model diverges, such as ``"a smaller lr"``. A method that says so is held to a bound too:
        a mean loss on the test set of more than a hundred times that of an uninformed model is a divergence.
    exact
        Whether it equals retraining.
    order_dependent
        Whether it breaks the rule above: its results then depend on the order in which coalitions come.
    batched
        Whether it works on many coalitions at once.
    tunable
        Values that ``tune`` tries for some of its settings where no others are given.
    """

    name: ClassVar[str]
    needs: ClassVar[Access] = Access.FORGET
    stored: ClassVar[str | None] = None
    takes: ClassVar[ModelKind] = ModelKind.PARAMETERS
    gentler: ClassVar[str] = ""
    exact: ClassVar[bool] = False
    order_dependent: ClassVar[bool] = False
    batched: ClassVar[bool] = True
    tunable: ClassVar[Mapping[str, tuple[Any, ...]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "unlearn" in vars(cls):
            raise InvalidTypeError(
                f"{cls.__name__} overrides unlearn, which sees to the contract of all unlearners: implement _unlearn."
            )
        if cls.stored is not None and cls.stored not in STAND_INS:
            raise UnknownNameError("stored artefact", cls.stored, STAND_INS)

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
        if self.stand_in(problem) is not None:
            missing &= ~Access.RETAIN
        if missing:
            remedy = ""
            if self.stored is not None and Access.RETAIN in missing:
                lacking = f"the stored artefacts have no {self.stored}"
                would_do = f"a stored {self.stored} would do: save problem.artifacts() where all data is at hand"
                remedy = f"; {would_do if problem.stored is None else lacking}"
            raise AccessError(
                f"unlearner {self.name!r} needs access to {self.needs.names()}, but this problem "
                f"(access={problem.access!r}) has no {missing.names()}{remedy}"
            )
        if not self.takes & problem.kind:
            raise AccessError(
                f"unlearner {self.name!r} takes {self.takes.names()}, but {type(problem.model).__name__} is not one of "
                f"these"
            )

    def stand_in(self, problem: ValuationProblem) -> Artifacts | None:
        """Return the artefacts that stand in for retained rows that are not at hand, if they are needed and do."""
        if self.stored is None or Access.RETAIN in problem.available or problem.stored is None:
            return None
        return problem.stored if problem.stored.has(self.stored) else None

    def bytes_per_coalition(self, problem: ValuationProblem) -> int:
        """Estimate the memory that one coalition takes, from which the size of a chunk follows."""
        return problem.engine.bytes_per_coalition(problem.x) if problem.engine is not None else 1

    @final
    def unlearn(self, problem: ValuationProblem, coalitions: NDArray[np.bool_], seed: int) -> Models:
        """Return one model per coalition, and see to the contract.

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

        Raises
        ------
        ContractError
            If ``_unlearn`` changed the given model (which is put back), the data or the global random generators, or
            did not return a model of its kind for every coalition.
        """
        before, versions = states(), problem.versions()
        try:
            models = self._unlearn(problem, coalitions, seed)
        except Exception as error:
            changed = problem.recover()
            if changed is None:
                raise
            raise ContractError(
                f"changed {changed} of the model that it was given, and failed with {type(error).__name__}: {error}"
            ) from error
        changed = problem.recover()
        if changed is not None:
            raise ContractError(f"changed {changed} of the model that it was given: work on a copy")
        if problem.versions() != versions:
            raise ContractError("changed the data of the problem: work on copies, and make the problem anew")
        generator = moved(before)
        if generator is not None:
            raise ContractError(
                f"drew from the global random generator of {generator}: draw from one that coalition_seed seeds"
            )
        if not isinstance(models, Models):
            kind = "None" if models is None else f"a {type(models).__name__}"
            raise ContractError(f"returned {kind} instead of unlearned models: return StackedModels or a ModelList")
        if len(models) != len(coalitions):
            raise ContractError(f"returned {len(models)} models for {len(coalitions)} coalitions: return one for each")
        if isinstance(models, StackedModels) and models.engine is not problem.engine:
            raise ContractError("returned models of another engine than problem.engine: use that of the problem")
        models.restore(np.asarray(coalitions.all(axis=1)))
        return models

    @abstractmethod
    def _unlearn(self, problem: ValuationProblem, coalitions: NDArray[np.bool_], seed: int) -> Models: ...


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
