"""What a problem of a torch module answers in another way than that of an object."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor

from unshap_plugin.errors import InvalidValueError
from unshap_plugin.losses import Loss
from unshap_plugin.model.classes import Classes
from unshap_plugin.model.recipe import Recipe
from unshap_plugin.model.trained import FittedObject, TrainedModule
from unshap_plugin.problem.access import ModelKind
from unshap_plugin.problem.artifacts import Artifacts
from unshap_plugin.problem.once import ComputedOnce
from unshap_plugin.scoring.outputs import Outputs

__all__ = ["ProblemKind"]


class ProblemKind(ComputedOnce):
    """The questions that each kind of problem answers for itself, with the answers of a plain fitted object.

    Examples
    --------
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from unshap_plugin import ValuationProblem
    >>> x, y = [[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1]
    >>> problem = ValuationProblem(KNeighborsClassifier(1).fit(x, y), train=(x, y), test=(x, y))
    >>> problem.task, problem.kind.name
    ('classification', 'FIT_PREDICT')
    """

    trained: TrainedModule | FittedObject
    model_name: str
    loss: Loss
    classes: Classes | None

    @classmethod
    def _takes(cls, model: Any) -> bool:
        """Tell whether a problem with this model is of this kind: of each model one kind says so."""
        raise NotImplementedError

    @property
    def task(self) -> Literal["classification", "regression"] | None:
        """Task that the model was trained for, as far as its kind or its loss tells."""
        raise NotImplementedError

    @property
    def kind(self) -> ModelKind:
        """Kind of this model; none of them for a torch module without trainable parameters."""
        raise NotImplementedError

    def _take(
        self,
        train: Any,
        test: Any,
        loss: str | Loss,
        recipe: Recipe | None,
        parameters: str | Sequence[str] | None,
        trained_rows: int | None,
        artifacts: Artifacts | str | os.PathLike[str] | None,
    ) -> None:
        """Set ``trained``, ``classes`` and ``loss``."""
        raise NotImplementedError

    def _cut(self, parameters: str | Sequence[str] | None) -> None:
        """Go on with the end of the model that has the parameters, where it can be told from the rest."""

    def _kind_of(self, outputs: Tensor, said: Outputs | None) -> Outputs | None:  # noqa: ARG002
        """Return what the outputs for the training rows are."""
        if said is not None:
            raise InvalidValueError(
                f"outputs is of torch modules, but {self.model_name} says itself what it answers: leave it out."
            )
        return "logits"

    def _check_loss(self, outputs: Tensor, y: Tensor) -> None:
        """Raise unless the loss can be computed from outputs and targets of all rows."""

    def _checked(self, artifacts: Artifacts | str | os.PathLike[str]) -> Artifacts:  # noqa: ARG002
        """Return the artefacts, which are those of this model and of these rows."""
        raise InvalidValueError(
            f"artefacts are of torch modules with trainable parameters, but {type(self.trained.model).__name__} is not "
            f"one of these: leave them out."
        )
