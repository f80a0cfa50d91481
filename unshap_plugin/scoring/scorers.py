"""Scorers of scikit-learn on the outputs of models that it has never seen."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import get_scorer, get_scorer_names
from torch import Tensor

from unshap_plugin.errors import InvalidValueError, nearest
from unshap_plugin.scoring.outputs import Outputs, to_logits

__all__ = ["Answers", "hint", "is_scorer", "named_scorer", "score_with"]


@dataclass(frozen=True)
class Answers:
    """What the outputs of a model are.

    Parameters
    ----------
    task
        What the model was trained for; ``None``: that is not known.
    labels
        The labels of the classes in the order of the outputs, ``[classes]``; ``None``: their numbers.
    probable
        Whether a classifier's outputs stand for probabilities, and are not choices.
    outputs
        For what its outputs are taken; ``None``: that is not known.
    """

    task: Literal["classification", "regression"] | None = None
    labels: NDArray[Any] | None = None
    probable: bool = True
    outputs: Outputs | None = "logits"

    def logits(self, outputs: Tensor, metric: str, *, values: bool = True) -> Tensor:
        """Return the logits that outputs ``[m, rows, ...]`` stand for, which metrics of classes take.

        Without ``values`` the metric is none of estimates.

        Raises
        ------
        InvalidValueError
            If it is not known what they are.
        """
        if self.outputs is None:
            others = ", 'logits' or 'values'" if values else " or 'logits'"
            raise InvalidValueError(
                f"metric {metric!r} needs to know what the outputs of the model are, which all lie between 0 and 1, "
                f"and a loss of your own does not tell: say outputs='probabilities'{others}."
            )
        return to_logits(outputs, self.outputs)


def is_scorer(metric: Any) -> bool:
    """Tell whether a callable is a scorer: called as ``(estimator, X, y)``, by the names of scikit-learn.

    Examples
    --------
    >>> from sklearn.metrics import f1_score, make_scorer
    >>> is_scorer(make_scorer(f1_score, average="macro")), is_scorer(f1_score)
    (True, False)
    """
    try:
        return callable(metric) and next(iter(inspect.signature(metric).parameters), None) == "estimator"
    except (TypeError, ValueError):
        return False


def named_scorer(name: str) -> Callable[..., Any] | None:
    """Return scikit-learn's scorer of a name, such as ``"f1_macro"``, if there is one."""
    return get_scorer(name) if name in get_scorer_names() else None  # type: ignore[no-any-return]


def hint(name: str) -> str:
    """Return what an error about an unknown metric says of scikit-learn's."""
    return f"; the scorers of scikit-learn are metrics too{nearest(name, get_scorer_names())}"


def score_with(scorer: Callable[..., Any], answers: Answers) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the scores that a scorer gives to models one by one, ``(outputs [m, rows, ...], targets) -> [m]``.

    Parameters
    ----------
    scorer
        ``(estimator, X, y) -> number``, higher is better.
    answers
        What the outputs are: a classifier's scorer sees the labels that the model was fitted on, the probabilities
        that logits stand for, and the logits themselves as the decision function.

    Raises
    ------
    InvalidValueError
        If it is not known what the model was trained for; when it scores, if a row has no class, or several, or if
        the scorer needs more than the choices that a model makes.

    Examples
    --------
    >>> score = score_with(named_scorer("f1"), Answers("classification"))
    >>> score(torch.tensor([[[0.0, 1.0], [2.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]]), torch.tensor([1, 0]))
    tensor([1., 0.], dtype=torch.float64)
    """
    if answers.task is None and answers.outputs not in ("probabilities", "log_probabilities"):
        raise InvalidValueError(
            "metric is a scorer of scikit-learn, but a loss of your own does not tell whether the model is a "
            "classifier: say outputs='logits' or 'probabilities' for one, 'values' for a regression, or pass a "
            "callable (outputs, targets) -> number instead."
        )

    return _Score(scorer, answers)


@dataclass(frozen=True)
class _Score:
    """The scores that a scorer gives."""

    scorer: Callable[..., Any]
    answers: Answers

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        answers, y = self.answers, targets.detach().cpu().numpy()
        regression = answers.task == "regression"
        numbers = outputs if regression else answers.logits(outputs, "scorer")
        stacked = numbers.detach().cpu().double().numpy()
        if regression:
            shim: BaseEstimator = _Numbers()
            y = _flat(y)
        else:
            # Of one output there are two classes.
            labels = np.arange(max(stacked.shape[-1], 2) if stacked.ndim > 2 else 2)
            labels = labels if answers.labels is None else answers.labels
            shim = (_Logits if answers.probable else _Choices)(labels)
            y = labels[_chosen(_flat(y))]
        try:
            scores = [float(self.scorer(shim, one, y)) for one in stacked]
        except AttributeError as error:
            if regression or answers.probable:
                raise
            raise InvalidValueError(
                "metric is a scorer of scikit-learn that needs probabilities, but the model has no predict_proba, and "
                "answers with one class for each row: use metric='accuracy', or value it as "
                "sklearn.calibration.CalibratedClassifierCV fits it."
            ) from error
        return torch.as_tensor(scores, dtype=torch.float64).to(outputs.device)


class _Numbers(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A regressor whose rows are its own answers."""

    def predict(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        return _flat(outputs)


class _Choices(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier whose rows are its own answers ``[rows, classes]``, or logits ``[rows]`` of the second class."""

    def __init__(self, classes_: NDArray[Any]) -> None:
        self.classes_ = classes_

    def predict(self, outputs: NDArray[np.float64]) -> NDArray[Any]:
        answers = _flat(outputs)
        chosen: NDArray[Any] = self.classes_[(answers > 0).astype(np.int64) if answers.ndim == 1 else answers.argmax(1)]
        return chosen


class _Logits(_Choices):
    """One whose answers are logits."""

    def predict_proba(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        answers = _flat(outputs)
        if answers.ndim == 1:
            answers = np.stack([np.zeros_like(answers), answers], axis=1)
        probabilities: NDArray[np.float64] = torch.as_tensor(answers).softmax(dim=1).numpy()
        return probabilities

    def decision_function(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        answers = _flat(outputs)
        return answers[:, 1] - answers[:, 0] if answers.ndim > 1 and answers.shape[1] == 2 else answers


def _chosen(targets: NDArray[Any]) -> NDArray[np.int64]:
    """Return the numbers of the classes of targets, class numbers ``[rows]`` or shares ``[rows, classes]``."""
    if targets.ndim > 1 and (targets >= 0).all() and (abs(targets.sum(axis=-1) - 1) < 1e-3).all():
        return targets.argmax(axis=-1)
    if targets.ndim > 1 or (targets != targets.astype(np.int64)).any():
        raise InvalidValueError(
            f"metric is a scorer of scikit-learn, which needs one class for every row, but the targets "
            f"{list(targets.shape)} are something else: pass a callable (outputs, targets) -> number instead."
        )
    return targets.astype(np.int64)


def _flat(array: NDArray[Any]) -> NDArray[Any]:
    """Return ``[rows, 1]`` as ``[rows]``."""
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
