"""Models that are any object with ``fit`` and ``predict``, as in scikit-learn."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier
from torch import Tensor

from unshap_plugin.errors import InvalidTypeError, InvalidValueError
from unshap_plugin.model.classes import Classes
from unshap_plugin.model.generators import seeded
from unshap_plugin.model.numeric import as_numbers

__all__ = ["ConstantModel", "Relabelled", "classifies", "constant", "predicted", "refit"]

#: Probabilities may lie outside 0 and 1 by so much.
_ROUND_OFF = 1e-5


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


@dataclass(frozen=True)
class Relabelled:
    """A fitted classifier whose own numbers of classes are not the labels.

    Parameters
    ----------
    model
        The classifier.
    classes_
        The labels of the classes that it saw, ``[k]``, in its order.
    encoded
        Whether it was fitted on their numbers, ``0 .. k - 1``, and answers these.
    """

    model: Any
    classes_: NDArray[Any]
    encoded: bool

    def predict(self, x: Any) -> NDArray[Any]:
        """Return the labels of rows ``[rows, ...]``."""
        answers = np.asarray(self.model.predict(x))
        return self.classes_[answers.ravel().astype(np.int64)] if self.encoded else answers


def classifies(model: Any) -> bool:
    """Tell whether a model is a classifier: by its base class or tags, ``predict_proba`` or ``classes_``.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression, Ridge
    >>> classifies(LogisticRegression()), classifies(Ridge())
    (True, False)
    """
    if isinstance(model, ClassifierMixin) or hasattr(model, "predict_proba") or hasattr(model, "classes_"):
        return True
    return isinstance(model, BaseEstimator) and bool(is_classifier(model))


def predicted(model: Any, x: Any, classes: Classes | None, seed: int = 0) -> Tensor:
    """Return what ``model`` says about the rows of ``x``.

    A classifier with ``predict_proba`` gives log-probabilities ``[rows, classes]`` (valid logits; classes that it
    has not seen get the smallest probability), one without gives its choice as 0 and 1, anything else gives
    ``predict(x)`` as it is. What it draws from the global generators comes from the seed.

    Raises
    ------
    InvalidValueError, InvalidTypeError
        If its answers are not one for each row, or do not tell which class they are of.
    """
    rows = int(x.shape[0]) if hasattr(x, "shape") else len(x)
    if isinstance(model, ConstantModel):
        return model.outputs(rows)
    with seeded(seed), warnings.catch_warnings():
        # Tables have the right columns, and arrays go by position: both were compared when they were read.
        warnings.filterwarnings("ignore", "X (does not have valid|has) feature names", UserWarning)
        if classes is None:
            given = model.predict(x)
            return _checked(_numbers(model, given).cpu(), model, rows)
        inner = model.model if isinstance(model, Relabelled) else model
        scores = np.zeros((rows, len(classes)))
        if hasattr(inner, "predict_proba"):
            probabilities = inner.predict_proba(x)
            if isinstance(probabilities, Tensor):
                probabilities = probabilities.detach().cpu()
            elif isinstance(probabilities, list) and np.ndim(probabilities[0]) > 1:
                raise InvalidTypeError(
                    f"{_name(inner)} has several targets, one predict_proba for each, but one class label per row is "
                    f"needed: fit one model per target."
                )
            probabilities = np.asarray(probabilities, dtype=np.float64)
            columns = _columns(model, probabilities.shape, rows, classes)
            low, high = probabilities.min(initial=0.0), probabilities.max(initial=1.0)
            if low < -_ROUND_OFF or high > 1 + _ROUND_OFF:
                raise InvalidValueError(
                    f"predict_proba of {_name(model)} gave numbers from {low:.3g} to {high:.3g}, but probabilities are "
                    f"needed, from 0 to 1: return shares of one from it, such as the softmax of scores, or the "
                    f"exponential of logarithms."
                )
            scores[:, columns] = probabilities
            return _on_cpu(np.log(np.clip(scores, np.finfo(np.float64).eps, 1.0)))
        chosen = classes.encode(model.predict(x), "a prediction", "let its predict return one of these for each row")
        scores[np.arange(len(_checked(_on_cpu(chosen), inner, rows))), chosen] = 1.0
        return _on_cpu(scores)


def constant(model: Any, y: NDArray[Any], classes: Classes | None, shape: Sequence[int]) -> ConstantModel | None:
    """Return what can be learned from no row, or from one class, if ``y`` is no more than that; see ``refit``.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> constant(Ridge(), np.empty(0), None, ()).outputs(2).tolist(), constant(Ridge(), np.ones(3), None, ())
    ([0.0, 0.0], None)
    """
    if len(y) == 0:
        shares = np.zeros(shape) if classes is None else np.full(len(classes), -np.log(len(classes)))
        own = getattr(model, "empty_output", None)
        return ConstantModel(shares if own is None else np.full(shape, own, dtype=np.float64))
    if classes is None or (y != y[0]).any():
        return None
    shares = np.full(len(classes), np.finfo(np.float64).eps)
    shares[int(y[0])] = 1.0
    return ConstantModel(np.log(shares))


def refit(model: Any, x: Any, y: NDArray[Any], classes: Classes | None, shape: Sequence[int], seed: int | None) -> Any:
    """Return a copy of ``model``, fitted from scratch on these rows.

    Without a row, a classifier finds all classes equally likely, and anything else answers 0 (of the ``shape`` that
    the given model answers for a row), or what it has as ``empty_output``; with rows of a single class, a classifier
    answers that class. ``fit`` is not asked there, since most refuse such rows. Where a classifier refuses labels
    ``0, 2`` for the lack of 1, it is fitted on their numbers, 0 and 1, and answers are translated. What the fit draws
    from the global generators comes from the seed.

    Parameters
    ----------
    model
        An object with ``fit`` and ``predict``.
    x, y
        The rows ``[rows, ...]`` in any form that the object takes, and their targets; of a classifier the numbers of
        their classes, ``[rows]``.
    classes
        The labels of the classes of a classifier, on which it is fitted.
    shape
        Shape of the output of one row.
    seed
        Seed of what is random in the fit; ``None``: the global generators as they are.
    """
    answer = constant(model, y, classes, shape)
    if answer is not None:
        return answer
    if classes is None:
        # One target per row is a row of numbers or a column, as the model answers it.
        return _fitted(model, x, y.reshape(len(y), *shape) if y.size == len(y) * np.prod(shape) else y, seed)
    seen, numbers = np.unique(y, return_inverse=True)
    labels = classes.decode(seen)
    try:
        fitted = _fitted(model, x, classes.decode(y), seed)
    except Exception as error:
        if not (classes.numbered and int(seen[-1]) >= len(seen)):
            raise
        try:
            return Relabelled(_fitted(model, x, numbers.reshape(y.shape), seed), labels, encoded=True)
        except Exception:
            raise error from None
    return fitted if hasattr(fitted, "classes_") else Relabelled(fitted, labels, encoded=False)


def _fitted(model: Any, x: Any, y: NDArray[Any], seed: int | None) -> Any:
    fresh = clone(model) if isinstance(model, BaseEstimator) else copy.deepcopy(model)
    with contextlib.nullcontext() if seed is None else seeded(seed):
        fitted = fresh.fit(x, y)
    return fresh if fitted is None else fitted


def _columns(model: Any, shape: tuple[int, ...], rows: int, classes: Classes) -> NDArray[np.int64]:
    """Return the numbers of the classes that the columns of ``predict_proba`` are of."""
    labels = getattr(model, "classes_", None)
    if shape == (rows, len(classes)) and (labels is None or len(labels) != shape[1]):
        return np.arange(len(classes))  # it counts classes that it has not seen
    wanted = len(classes) if labels is None else len(labels)
    if shape != (rows, wanted):
        raise InvalidValueError(
            f"predict_proba of {_name(model)} gave shape {list(shape)}, but {[rows, wanted]} is needed: one column for "
            f"each class, in the order of classes_."
        )
    return np.arange(wanted) if labels is None else classes.columns(labels)


def _numbers(model: Any, answers: Any) -> Tensor:
    try:
        return as_numbers(answers, "a prediction")
    except InvalidTypeError as error:
        raise InvalidTypeError(
            f"{_name(model)} predicts {np.asarray(answers).dtype}, but y holds numbers: let its predict return "
            f"numbers, or pass the labels that it predicts as y."
        ) from error


def _checked(outputs: Tensor, model: Any, rows: int) -> Tensor:
    if outputs.ndim == 0 or len(outputs) != rows:
        raise InvalidValueError(
            f"predict of {_name(model)} gave shape {list(outputs.shape)} for {rows} rows, but one answer for each is "
            f"needed: check its predict."
        )
    return outputs


def _name(model: Any) -> str:
    return type(model.model if isinstance(model, Relabelled) else model).__name__


def _on_cpu(array: NDArray[Any]) -> Tensor:
    return torch.as_tensor(array, device="cpu")
