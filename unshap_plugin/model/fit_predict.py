"""Models that are any object with ``fit`` and ``predict``, as in scikit-learn."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone, is_classifier
from torch import Tensor

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


def predicted(model: Any, x: NDArray[Any], n_classes: int) -> Tensor:
    """Return what ``model`` says about the rows of ``x``.

    A classifier with ``predict_proba`` gives log-probabilities ``[rows, n_classes]`` (valid logits; classes that it
    has not seen get the smallest probability), one without gives its choice as 0 and 1, anything else gives
    ``predict(x)`` as it is.
    """
    if isinstance(model, ConstantModel):
        return model.outputs(len(x))
    if classifies(model):
        scores = np.zeros((len(x), n_classes))
        if hasattr(model, "predict_proba"):
            scores[:, np.asarray(model.classes_, dtype=np.int64)] = model.predict_proba(x)
            return torch.as_tensor(np.log(np.clip(scores, np.finfo(np.float64).eps, 1.0)), device="cpu")
        scores[np.arange(len(x)), np.asarray(model.predict(x), dtype=np.int64)] = 1.0
        return torch.as_tensor(scores, device="cpu")
    outputs = model.predict(x)
    return outputs.detach().cpu() if isinstance(outputs, Tensor) else torch.as_tensor(np.asarray(outputs), device="cpu")


def refit(model: Any, x: NDArray[Any], y: NDArray[Any], n_classes: int, shape: Sequence[int], seed: int) -> Any:
    """Return a copy of ``model``, fitted from scratch on these rows.

    Without a row, a classifier finds all classes equally likely and a regressor answers 0 (of the ``shape`` that the
    given model answers for a row); with rows of a single
    class, a classifier answers that class (many classifiers refuse to be fitted on these). What the fit draws from
    the global generators comes from the seed.
    """
    if isinstance(model, BaseEstimator):
        if classifies(model):
            seen = np.unique(y)
            if len(seen) < 2:
                shares = np.full(n_classes, 1.0 / n_classes)
                if len(seen) == 1:
                    shares = np.full(n_classes, np.finfo(np.float64).eps)
                    shares[int(seen[0])] = 1.0
                return ConstantModel(np.log(shares))
        elif len(y) == 0:
            return ConstantModel(np.zeros(shape))
        fresh = clone(model)
    else:
        fresh = copy.deepcopy(model)
    with seeded(seed):
        fitted = fresh.fit(x, y)
    return fresh if fitted is None else fitted
