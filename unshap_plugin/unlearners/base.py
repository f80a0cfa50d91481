"""The contract of an unlearner."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, cast, final

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.errors import AccessError, ContractError, InvalidTypeError, UnknownNameError
from unshap_plugin.model.generators import coalition_seed
from unshap_plugin.problem.access import Access, ModelKind
from unshap_plugin.problem.artifacts import STAND_INS, Artifacts
from unshap_plugin.problem.lending import lending
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.problem.problem import ValuationProblem
from unshap_plugin.second_order.objective import MAX_PARAMETERS
from unshap_plugin.unlearners.models import ModelList, Models, StackedModels

__all__ = ["Unlearner"]


class Unlearner(ABC):
    """Turns (trained model, coalitions) into unlearned models.

    A subclass states what it needs and is, and implements ``_unlearn``. Settings are the fields of a (frozen) data
    class. The result for a coalition may depend on the problem, the settings, the seed and that coalition, and on
    nothing else: not on the other coalitions of the call, nor on earlier calls.

    Attributes
    ----------
    name, summary, source
        Its name; one line about what it does; the paper or book that it comes from.
    needs
        What it needs to see.
    stored
        The artefact that can stand in for retained rows: ``"hessian"``, ``"gram"`` or ``"fisher"``. Where they are not
        at hand, ``stand_in`` returns the artefacts.
    takes
        The kinds of model it takes.
    advice
        What to change where a model diverges, such as ``"a smaller lr"``. A method that gives advice is held to a bound
        too: a mean loss on the test set of more than a hundred times that of an uninformed model is a divergence.
    exact
        Whether it equals retraining.
    order_dependent
        Whether it breaks the rule above: its results then depend on the order in which coalitions come.
    batched
        Whether it works on many coalitions at once.
    tunable
        Values that ``tune`` tries for some of its settings where no others are given.

    Examples
    --------
    >>> import torch
    >>> from unshap_plugin import UnlearningGame, ValuationProblem
    >>> @dataclasses.dataclass(frozen=True)
    ... class Shrink(Unlearner):
    ...     name = "shrink"
    ...     strength: float = 0.5
    ...     def _unlearn(self, problem, coalitions, seed):
    ...         forgotten = 1 - problem.retained(coalitions).double().mean(dim=1)  # [m, rows] -> [m]
    ...         scale = (1 - self.strength * forgotten)[:, None, None]
    ...         return StackedModels(problem.engine, {"weight": scale * problem.engine.theta0["weight"]})
    >>> x, y = torch.tensor([[1.0], [2.0]]).double(), torch.tensor([1.0, 2.0]).double()
    >>> model = torch.nn.Linear(1, 1, bias=False).double()
    >>> _ = torch.nn.init.ones_(model.weight)
    >>> game = UnlearningGame(ValuationProblem(model, (x, y), (x, y), loss="mse"), Shrink())
    >>> game([[True, False], [False, False]])
    array([-0.15625, -0.625  ])
    >>> problem, shrink = game.problem, game.unlearner
    >>> shrink.check(problem)  # needs nothing that is not there
    >>> shrink.settings, shrink.stand_in(problem), shrink.bytes_per_coalition(problem) > 0
    ({'strength': 0.5}, None, True)
    >>> shrink.marginals(problem, np.array([[True, False]])) is None
    True
    >>> shrink.unlearn(problem, np.array([[False, False]]), seed=0).state["weight"].tolist()
    [[[0.5]]]
    """

    name: ClassVar[str]
    summary: ClassVar[str] = ""
    source: ClassVar[str] = ""
    needs: ClassVar[Access] = Access.FORGET
    stored: ClassVar[str | None] = None
    takes: ClassVar[ModelKind] = ModelKind.PARAMETERS
    advice: ClassVar[str] = ""
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
        """Refuse, before any work, a ``problem`` that lacks what this method needs.

        Raises
        ------
        AccessError
            If something is missing, which the message names.
        """
        missing = self.needs & ~problem.available
        if self.stand_in(problem) is not None:
            missing &= ~Access.RETAIN
        if missing:
            remedy = ""
            if self.stored is not None and Access.RETAIN in missing:
                if problem.stored is not None:
                    remedy = f"; the stored artefacts have no {self.stored}"
                elif self.takes & problem.kind and self._storable(cast(ModuleProblem, problem)):
                    remedy = (
                        f"; a stored {self.stored} would do: save compute_artifacts(problem) where all data is at "
                        f"hand, and pass it as artifacts"
                    )
            raise AccessError(
                f"unlearner {self.name!r} needs access to {self.needs.names()}, but this problem "
                f"(access={problem.access!r}) has no {missing.names()}{remedy}"
            )
        if not self.takes & problem.kind:
            raise AccessError(
                f"unlearner {self.name!r} takes {self.takes.names()}, but {problem.model_name} is not one of these"
            )
        self._check(cast(ModuleProblem, problem))

    def _check(self, problem: ModuleProblem) -> None:  # noqa: B027 (most have nothing to add)
        """Refuse, with an ``AccessError``, a problem that this method cannot work on for another reason."""

    def _storable(self, problem: ModuleProblem) -> bool:
        """Tell whether ``compute_artifacts`` would give what can stand in for retained rows."""
        return self.stored != "hessian" or problem.engine.n_parameters <= MAX_PARAMETERS

    def stand_in(self, problem: ValuationProblem) -> Artifacts | None:
        """Return the artefacts of ``problem`` that stand in for retained rows, where these are not at hand."""
        if self.stored is None or Access.RETAIN in problem.available or problem.stored is None:
            return None
        return problem.stored if problem.stored.has(self.stored) else None

    def bytes_per_coalition(self, problem: ModuleProblem) -> int:
        """Estimate the memory that a coalition of ``problem`` takes, from which the size of a chunk follows."""
        return problem.engine.bytes_per_coalition(problem.x)

    def marginals(
        self,
        problem: ModuleProblem,  # noqa: ARG002 (most have none)
        coalitions: NDArray[np.bool_],  # noqa: ARG002
    ) -> NDArray[np.float64] | None:
        """Return what each player adds to each coalition, to first order, where that comes cheaply.

        Of a player of the coalition it is what is lost without it. Measured is minus the mean training loss on the test
        set, whatever the metric. A method that gets all of them from one model saves an estimator a utility for each.

        Parameters
        ----------
        problem
            The problem.
        coalitions
            ``[m, n_players]``, ``True`` = kept.

        Returns
        -------
        float64 ``[m, n_players]``, not finite where it is not known; or ``None``.

        Raises
        ------
        Exception
            Whatever a subclass raises.
        """
        return None

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
            Seed of all randomness, together with the coalition.

        Returns
        -------
        Models
            One model per coalition; for one that keeps everything, the model as given, bit for bit.

        Raises
        ------
        ContractError
            If ``_unlearn`` changed the problem or the global random generators (see ``lending``) or the coalitions, or
            did not return a model of its kind for every coalition.
        """
        asked = coalitions.copy()
        with lending(problem):
            models = self._unlearn(cast(ModuleProblem, problem), coalitions, seed)
            if not np.array_equal(coalitions, asked):
                coalitions[:] = asked
                raise ContractError("changed the coalitions that it was given: work on a copy")
        if not isinstance(models, Models):
            kind = "None" if models is None else f"a {type(models).__name__}"
            wanted = "StackedModels" if isinstance(problem, ModuleProblem) else "a ModelList"
            raise ContractError(f"returned {kind} instead of unlearned models: return {wanted}")
        if len(models) != len(coalitions):
            raise ContractError(f"returned {len(models)} models for {len(coalitions)} coalitions: return one for each")
        if isinstance(models, StackedModels) and models.engine is not getattr(problem, "engine", None):
            raise ContractError("returned models of another engine than problem.engine: use that of the problem")
        if isinstance(models, ModelList):
            models.seeds = [coalition_seed(seed, coalition) for coalition in coalitions]
        models.restore(np.asarray(coalitions.all(axis=1)))
        return models

    @abstractmethod
    def _unlearn(self, problem: ModuleProblem, coalitions: NDArray[np.bool_], seed: int) -> Models:
        """Return one model per coalition; a method that takes objects too gets any ``ValuationProblem``."""
