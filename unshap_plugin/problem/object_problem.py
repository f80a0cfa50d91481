"""The problem of an object with ``fit`` and ``predict``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, is_clusterer, is_outlier_detector
from torch import nn

from unshap_plugin.errors import InvalidTypeError, InvalidValueError, in_short
from unshap_plugin.losses import Loss, resolve_loss
from unshap_plugin.model.classes import Classes, as_labels, is_text
from unshap_plugin.model.fit_predict import classifies
from unshap_plugin.model.recipe import Recipe
from unshap_plugin.model.sklearn_linear import is_linear_model
from unshap_plugin.model.trained import FittedObject
from unshap_plugin.problem.access import ModelKind
from unshap_plugin.problem.artifacts import Artifacts
from unshap_plugin.problem.problem import ValuationProblem
from unshap_plugin.scoring.scorers import Answers

__all__ = ["ObjectProblem"]


class ObjectProblem(ValuationProblem):
    """A problem whose model is an object with ``fit`` and ``predict``, which can be retrained but has no parameters.

    Made by ``ValuationProblem``, whose parameters it has.

    Examples
    --------
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> x, y = np.arange(8.0)[:, None], np.array(["no", "yes"] * 4)
    >>> problem = ValuationProblem(KNeighborsClassifier(1).fit(x, y), train=(x, y), test=(x, y))
    >>> type(problem).__name__, problem.classes.labels.tolist()
    ('ObjectProblem', ['no', 'yes'])
    """

    trained: FittedObject

    @classmethod
    def _takes(cls, model: Any) -> bool:
        return not (isinstance(model, nn.Module) or is_linear_model(model))

    @property
    def task(self) -> Literal["classification", "regression"] | None:
        """Task that the object was fitted for."""
        return "classification" if self.classes is not None else "regression"

    @property
    def kind(self) -> ModelKind:
        """Kind of this model: ``FIT_PREDICT``."""
        return ModelKind.FIT_PREDICT

    def _take(
        self,
        train: Any,
        test: Any,
        loss: str | Loss,
        recipe: Recipe | None,
        parameters: str | Sequence[str] | None,
        trained_rows: int | None,  # noqa: ARG002
        artifacts: Artifacts | str | os.PathLike[str] | None,  # noqa: ARG002
    ) -> None:
        _check_supervised(self._given_model)
        self.classes = _classes(self._given_model, train[1], test[1])
        self.loss = resolve_loss(loss)
        self.trained = FittedObject(self._given_model, self.classes)
        if parameters is not None:
            raise InvalidTypeError(
                f"parameters is {in_short(parameters)}, but {self.model_name} is not a torch module: leave it out."
            )
        if recipe is not None:
            raise InvalidValueError(f"fit was given, but {self.model_name} is retrained by its own fit: leave it out.")

    @property
    def answers(self) -> Answers:
        """What the object answers: a classifier without ``predict_proba`` makes choices."""
        return replace(super().answers, probable=hasattr(self._given_model, "predict_proba"))

    def _cut(self, parameters: str | Sequence[str] | None) -> None:  # noqa: ARG002
        self.trained.watch(self.x_test)


def _check_supervised(model: Any) -> None:
    """Refuse what predicts something else than the labels that it was given."""
    if not isinstance(model, BaseEstimator):
        return
    what = "a clusterer" if is_clusterer(model) else "an outlier detector" if is_outlier_detector(model) else None
    if what is not None:
        raise InvalidTypeError(
            f"{type(model).__name__} is {what}, whose fit takes no notice of y, but a classifier or a regression is "
            f"needed: wrap it in an object whose fit(x, y) and predict(x) are about y."
        )


def _classes(model: Any, train: Any, test: Any) -> Classes | None:
    """Return the classes of a classifier (or of labels that are text), those that it was fitted on where it says so."""
    if not (classifies(model) or is_text(train)):
        return None
    labels = getattr(model, "classes_", None)
    if labels is None:
        parts = [as_labels(y, what).ravel() for y, what in ((train, "train y"), (test, "test y"))]
        try:
            given = np.concatenate(parts)
            labels = np.unique(given[~pd.isna(given)])
        except TypeError as error:
            # Of numbers something that shows no classes is taken for a regression.
            other = ", or all numbers" if classifies(model) else ""
            raise InvalidTypeError(f"y has labels of several types ({error}): make them all text{other}.") from error
    if isinstance(labels, list) and any(np.ndim(one) for one in labels):
        raise InvalidTypeError(
            f"{type(model).__name__} was fitted on {len(labels)} targets, but one class label per row is needed: fit "
            f"one model for each."
        )
    labels = np.asarray(labels)
    try:
        # Scorers of scikit-learn take the last of them for the positive class, in this order.
        return Classes(np.sort(labels))
    except TypeError:  # of several types
        return Classes(labels)
