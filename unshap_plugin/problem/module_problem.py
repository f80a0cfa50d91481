"""The problem of a torch module."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from torch import Tensor, nn

from unshap_plugin.errors import SHOWN, InvalidTypeError, InvalidValueError, in_short
from unshap_plugin.losses import LOSSES, Loss, mse, resolve_loss
from unshap_plugin.model.classes import Classes, as_labels, is_text
from unshap_plugin.model.engine import Engine
from unshap_plugin.model.recipe import Recipe
from unshap_plugin.model.sklearn_linear import LinearModel, is_linear_model, linear_model
from unshap_plugin.model.trained import TrainedModule
from unshap_plugin.problem.access import ModelKind
from unshap_plugin.problem.artifacts import Artifacts
from unshap_plugin.problem.evidence import kind_of_outputs
from unshap_plugin.problem.problem import ValuationProblem
from unshap_plugin.scoring.loss_check import check_loss
from unshap_plugin.scoring.outputs import Outputs

__all__ = ["ModuleProblem"]

_log = logging.getLogger(__name__)


class ModuleProblem(ValuationProblem):
    """A problem whose model is a torch module, or a linear model of scikit-learn that became one.

    Made by ``ValuationProblem``, whose parameters it has.

    Examples
    --------
    >>> import torch
    >>> x, y = torch.randn(6, 2), torch.tensor([0, 1, 0, 1, 0, 1])
    >>> problem = ValuationProblem(nn.Linear(2, 2), train=(x, y), test=(x, y))
    >>> type(problem).__name__, problem.engine.n_parameters, problem.kind.names()
    ('ModuleProblem', 6, 'torch modules with trainable parameters')
    >>> problem.task, problem.recipe, problem.linear
    ('classification', None, None)
    """

    trained: TrainedModule

    @classmethod
    def _takes(cls, model: Any) -> bool:
        return isinstance(model, nn.Module) or is_linear_model(model)

    @property
    def engine(self) -> Engine:
        """The module and its loss, evaluated for many coalitions at once."""
        return self.trained.engine

    @property
    def recipe(self) -> Recipe | None:
        """Recipe by which the module was trained, if that is known."""
        return self.trained.recipe

    @property
    def linear(self) -> LinearModel | None:
        """The linear model of scikit-learn that the module was made of and that its own ``fit`` retrains, if it was."""
        return self.trained.linear

    @property
    def task(self) -> Literal["classification", "regression"] | None:
        """Task that the module was trained for, as far as the user or its loss tells."""
        if self._said == "values" or (self._said is None and self.loss is mse):
            return "regression"
        classes = self._said is not None or self.loss in LOSSES.values() or self.classes is not None
        return "classification" if classes else None

    @property
    def kind(self) -> ModelKind:
        """Kind of this model: ``PARAMETERS``, or none where there is nothing to train."""
        return ModelKind.PARAMETERS if self.engine.theta0 else ModelKind(0)

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
        if isinstance(self._given_model, nn.Module):
            self.loss = resolve_loss(loss)
            self.trained = TrainedModule(self._given_model, self.loss, recipe, parameters=parameters)
            self.classes = _text_classes(train[1], test[1])
            if self.classes is not None:
                names = ", ".join(map(repr, self.classes.labels[:SHOWN].tolist()))
                more = ", ..." if len(self.classes) > SHOWN else ""
                self.notes += (
                    f"the labels are text, and the outputs of the model were taken for {names}{more}, in this order: "
                    f"pass the numbers of the outputs if it was trained with others.",
                )
        else:
            if trained_rows is None and artifacts is not None:
                trained_rows = len(_loaded(artifacts))
            linear = _known(
                linear_model(self._given_model, trained_rows or _length(train[1])), self._given_model, loss, recipe
            )
            self.loss = linear.loss
            self.trained = TrainedModule(linear.module, linear.loss, linear.recipe, linear, parameters)
            self.classes = linear.classes
        self.notes += () if self.trained.note is None else (self.trained.note,)

    def _cut(self, parameters: str | Sequence[str] | None) -> None:
        if parameters is None:
            return
        others = [] if self.reference is None else [self.reference[0]]
        sets = self.trained.cut([self.x, self.x_test, *others])
        if sets is None:
            _log.info("no end of %s holds what is unlearned: every pass takes all of it", type(self.model).__name__)
            return
        self.x, self.x_test, *others = sets
        if self.reference is not None:
            self.reference = others[0], self.reference[1]

    def _kind_of(self, outputs: Tensor, said: Outputs | None) -> Outputs | None:
        if not isinstance(self._given_model, nn.Module):
            return super()._kind_of(outputs, said)
        kind, note = kind_of_outputs(said, self.trained.model, self.loss, self.x, outputs)
        self.notes += () if note is None else (note,)
        return kind

    def _check_loss(self, outputs: Tensor, y: Tensor) -> None:
        if self.classes is not None and self.linear is None and outputs[0].numel() != len(self.classes):
            count, more = outputs[0].numel(), ", ..." if len(self.classes) > SHOWN else ""
            raise InvalidValueError(
                f"the model has {count} output{'' if count == 1 else 's'}, but the labels are the {len(self.classes)} "
                f"classes {', '.join(map(str, self.classes.labels[:SHOWN]))}{more}: "
                f"{_of_text(len(self.classes), count)}."
            )
        check_loss(self.loss, outputs, y)

    def _checked(self, artifacts: Artifacts | str | os.PathLike[str]) -> Artifacts:
        if not self.engine.theta0:
            return super()._checked(artifacts)
        stored = _loaded(artifacts)
        stored.check(self.engine, self.recipe, self.x, self.y)
        if self.access == "full" and len(stored) != len(self.y):
            raise InvalidValueError(
                f"the artefacts are of {len(stored)} rows and train has {len(self.y)}, but access is 'full': pass "
                f"access='partial' where train does not hold everything that the model was trained on."
            )
        if self.access == "partial":
            self.notes += (
                f"artefacts of {len(stored)} rows stand in for those that are not at hand, where an unlearner needs "
                f"them.",
            )
        return stored


def _loaded(artifacts: Artifacts | str | os.PathLike[str]) -> Artifacts:
    return artifacts if isinstance(artifacts, Artifacts) else Artifacts.load(artifacts)


def _text_classes(train: Any, test: Any) -> Classes | None:
    """Return the classes of labels that are text, in the order in which scikit-learn encodes them."""
    if not is_text(train):
        return None
    return Classes(
        np.unique(
            np.concatenate([as_labels(y, what).astype(str) for y, what in ((train, "train y"), (test, "test y"))])
        )
    )


def _of_text(classes: int, outputs: int) -> str:
    """Return what to do about so many classes that are text, of a model with another number of outputs."""
    if outputs == 1 and classes == 2:
        return "encode them as 0 and 1"
    return "use an output for each" if classes > outputs else "encode them as the numbers of the outputs"


def _length(y: Any) -> int:
    if not hasattr(y, "__len__") or getattr(y, "ndim", 1) == 0:
        raise InvalidTypeError(f"train y is a {type(y).__name__}, but one label per row is needed.")
    return len(y)


def _known(linear: LinearModel, model: Any, loss: str | Loss, recipe: Recipe | None) -> LinearModel:
    """Return a linear model of scikit-learn, of which nobody has to say how it was trained."""
    if recipe is not None:
        raise InvalidValueError(
            f"fit was given, but {type(model).__name__} says itself how it was trained: leave it out."
        )
    if loss != "cross_entropy" and resolve_loss(loss) is not linear.loss:
        raise InvalidValueError(
            f"loss is {in_short(loss)}, but {type(model).__name__} was fitted with another one, which is known: leave "
            f"it out."
        )
    return linear
