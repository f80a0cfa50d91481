"""Models that are any object with ``fit`` and ``predict``, as in scikit-learn."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone, is_classifier
from torch import Tensor

from unshap_plugin.model.classes import Classes
from unshap_plugin.model.generators import seeded

__all__ = ["ConstantModel", "classifies", "predicted", "refit"]


class ConstantModel:
    """A model that answers the same output for every row: all that can be learned from no row, or from one class.

    Parameters
    ----------
    output
        The output of one row.
    """

    def __init__(self, output: NDArray[np.float64]) -> None:
        self.output = output

    def outputs(self, rows: int) -> Tensor:
        """Return the outputs ``[rows, ...]``."""
        return torch.as_tensor(self.output, device="cpu").expand(rows, *self.output.shape)


def classifies(model: Any) -> bool:
    """Tell whether a model is a scikit-learn classifier."""
    return isinstance(model, BaseEstimator) and bool(is_classifier(model))


def predicted(model: Any, x: NDArray[Any], classes: Classes | None, seed: int = 0) -> Tensor:
    """Return what ``model`` says about the rows of ``x``.

    A classifier with ``predict_proba`` gives log-probabilities ``[rows, classes]`` (valid logits; classes that it
    has not seen get the smallest probability), one without gives its choice as 0 and 1, anything else gives
    ``predict(x)`` as it is. What it draws from the global generators comes from the seed.
    """
    if isinstance(model, ConstantModel):
        return model.outputs(len(x))
    with seeded(seed), warnings.catch_warnings():
        # Rows are arrays here, whatever the model was fitted on: names of columns were compared when they were read.
        warnings.filterwarnings("ignore", "X does not have valid feature names", UserWarning)
        if classes is None:
            outputs = model.predict(x)
            return outputs.detach().cpu() if isinstance(outputs, Tensor) else _on_cpu(np.asarray(outputs))
        scores = np.zeros((len(x), len(classes)))
        if hasattr(model, "predict_proba"):
            scores[:, classes.columns(model.classes_)] = model.predict_proba(x)
            return _on_cpu(np.log(np.clip(scores, np.finfo(np.float64).eps, 1.0)))
        scores[np.arange(len(x)), classes.encode(model.predict(x), "a prediction")] = 1.0
        return _on_cpu(scores)


def refit(
    model: Any, x: NDArray[Any], y: NDArray[Any], classes: Classes | None, shape: Sequence[int], seed: int
) -> Any:
    """Return a copy of ``model``, fitted from scratch on these rows.

    Without a row, a classifier finds all classes equally likely and a regressor answers 0 (of the ``shape`` that the
    given model answers for a row); with rows of a single class, a classifier answers that class (many classifiers
    refuse to be fitted on these). What the fit draws from the global generators comes from the seed.

    Parameters
    ----------
    model
        An object with ``fit`` and ``predict``.
    x, y
        The rows ``[rows, ...]`` and their targets; of a classifier the numbers of their classes, ``[rows]``.
    classes
        The labels of the classes of a classifier, on which it is fitted.
    shape
        Shape of the output of one row.
    seed
        Seed of what is random in the fit.
    """
    if classes is not None:
        seen = np.unique(y)
        if len(seen) < 2:
            shares = np.full(len(classes), 1.0 / len(classes))
            if len(seen) == 1:
                shares = np.full(len(classes), np.finfo(np.float64).eps)
                shares[int(seen[0])] = 1.0
            return ConstantModel(np.log(shares))
        y = classes.decode(y)
    elif isinstance(model, BaseEstimator) and len(y) == 0:
        return ConstantModel(np.zeros(shape))
    fresh = clone(model) if isinstance(model, BaseEstimator) else copy.deepcopy(model)
    with seeded(seed):
        fitted = fresh.fit(x, y)
    return fresh if fitted is None else fitted


def _on_cpu(array: NDArray[Any]) -> Tensor:
    return torch.as_tensor(array, device="cpu")
