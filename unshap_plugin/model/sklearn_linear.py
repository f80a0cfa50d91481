"""Linear models of scikit-learn as torch modules: exactly as they were fitted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, SGDClassifier
from torch import Tensor, nn

from unshap_plugin.losses import Loss, cross_entropy, mse
from unshap_plugin.model.classes import Classes
from unshap_plugin.model.fit_predict import ConstantModel
from unshap_plugin.model.recipe import Recipe

__all__ = ["LinearModel", "hinge", "is_linear_model", "linear_model", "one_vs_rest", "squared_hinge"]

_log = logging.getLogger(__name__)

#: Classes that are less likely count as this likely, as in objects with ``predict_proba``.
_LEAST = float(np.log(np.finfo(np.float64).eps))
_KEPT = 1e-9


class _Linear(nn.Module):
    """A linear layer, and what makes outputs of the scores ``[rows, c]``.

    Without an intercept there is still a constant, which is not trained: what a single class or no row teaches.
    """

    def __init__(self, features: int, scores: int, bias: bool, link: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        # Without its own first parameters, for which it would draw from the global generator.
        self.linear = nn.utils.skip_init(nn.Linear, features, scores, bias=bias, dtype=torch.float64)
        self.constant: Tensor | None
        self.register_buffer("constant", None if bias else self.linear.weight.new_zeros(scores))
        self.link = link

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs."""
        scores = self.linear(x.double())
        return self.link(scores if self.constant is None else scores + self.constant)


def _numbers(scores: Tensor) -> Tensor:
    return scores[..., 0]


def _same(scores: Tensor) -> Tensor:
    return scores


def _two_scores(scores: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(scores), scores], dim=-1)


def _two_log_probabilities(scores: Tensor) -> Tensor:
    return _log_probabilities(_two_scores(scores))


def _log_probabilities(scores: Tensor) -> Tensor:
    exact = F.log_softmax(scores, dim=-1)
    # The values are clipped, the derivatives are not: rows that are far off still have a gradient. A billionth of what
    # is clipped stays, which metrics of ranks tell apart.
    return exact + (1 - _KEPT) * (exact.clamp(min=_LEAST) - exact).detach()


def _signed(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return margins, positive on the right side: ``[rows, 1]`` for two classes, else one column per class."""
    if outputs.shape[-1] == 2:
        return (outputs[..., 1:] - outputs[..., :1]) * (2 * targets[..., None] - 1)
    own = F.one_hot(targets, outputs.shape[-1]).to(outputs.dtype)
    return outputs * (2 * own - 1)


def hinge(outputs: Tensor, targets: Tensor) -> Tensor:
    """Hinge loss of each class against the others, added up."""
    return F.relu(1 - _signed(outputs, targets)).sum(dim=-1)


def squared_hinge(outputs: Tensor, targets: Tensor) -> Tensor:
    """Squared hinge loss of each class against the others, added up."""
    return F.relu(1 - _signed(outputs, targets)).square().sum(dim=-1)


def one_vs_rest(outputs: Tensor, targets: Tensor) -> Tensor:
    """Logistic loss of each class against the others, added up."""
    return F.softplus(-_signed(outputs, targets)).sum(dim=-1)


_SGD: dict[str, Loss] = {"hinge": hinge, "squared_hinge": squared_hinge, "log_loss": one_vs_rest}


@dataclass(frozen=True)
class LinearModel:
    """A fitted linear model of scikit-learn as a module.

    Parameters
    ----------
    module
        Its coefficients, float64; the outputs are log-probabilities or decision values of classes, or numbers.
    loss
        Loss that it was fitted with, per row.
    recipe
        The strength of its penalty, and zero as where training starts.
    classes
        The labels of its classes; ``None`` for a regression.
    to_the_end
        Whether it is fitted to the optimum of its loss, as all are but those of stochastic gradient descent.
    """

    module: nn.Module
    loss: Loss
    recipe: Recipe
    classes: Classes | None
    to_the_end: bool

    def parameters_of(self, fitted: Any) -> dict[str, Tensor]:
        """Return the parameters (and the constant) of another fit, of the same kind or a constant model, by name."""
        given = self.module.state_dict()
        scores, features = given["linear.weight"].shape
        if isinstance(fitted, ConstantModel):
            constant = np.ravel(fitted.output)
            weight = np.zeros((scores, features))
            bias = constant if len(constant) == scores else constant[1:] - constant[:1]
        else:
            weight, bias = _coefficients(fitted)
            if len(weight) != scores:
                assert self.classes is not None
                weight, bias = _widened(fitted, weight, bias, scores, self.classes.columns(fitted.classes_))
        found = {"linear.weight": weight, "linear.bias": bias, "constant": bias}
        return {name: torch.as_tensor(found[name], dtype=p.dtype, device=p.device) for name, p in given.items()}


def is_linear_model(model: Any) -> bool:
    """Tell whether a model is a fitted linear model of scikit-learn that can be a torch module exactly."""
    if type(model) not in (LogisticRegression, Ridge, LinearRegression, SGDClassifier) or not hasattr(model, "coef_"):
        return False
    obstacle = _obstacle(model)
    if obstacle is not None:
        _log.info("%s stays an object with fit and predict: %s", type(model).__name__, obstacle)
    return obstacle is None


def linear_model(model: Any, rows: int) -> LinearModel:
    """Return a fitted scikit-learn model as a module.

    Parameters
    ----------
    model
        A fitted ``LogisticRegression``, ``Ridge``, ``LinearRegression`` or ``SGDClassifier`` (``is_linear_model``).
    rows
        How many it was fitted on.
    """
    scores, features = _coefficients(model)[0].shape
    link: Callable[[Tensor], Tensor]
    loss: Loss
    if isinstance(model, LogisticRegression):
        link, loss = (_two_log_probabilities if scores == 1 else _log_probabilities), cross_entropy
        free = _penalty(model) is None or np.isinf(model.C)
        penalised = 0.0 if free else 1.0 / float(model.C)
    elif isinstance(model, SGDClassifier):
        logistic = scores == 1 and model.loss == "log_loss"
        link = _two_log_probabilities if logistic else _two_scores if scores == 1 else _same
        loss = cross_entropy if logistic else _SGD[model.loss]
        penalised = 0.0 if model.penalty is None else float(model.alpha) * rows
    else:
        link, loss = (_numbers if np.ndim(model.coef_) == 1 else _same), mse
        # Of the sum of squared errors over all outputs, where our loss is the mean, and half of the penalty.
        penalised = 2 * float(np.ravel(model.alpha)[0]) / scores if isinstance(model, Ridge) else 0.0
    module = _Linear(features, scores, bool(model.fit_intercept), link)
    strengths = {"linear.weight": penalised}
    if getattr(model, "solver", None) == "liblinear" and model.fit_intercept:
        strengths["linear.bias"] = penalised
    init = {name: torch.zeros_like(p) for name, p in module.state_dict().items()}
    recipe = Recipe("lbfgs", lr=1.0, epochs=500, batch_size=None, l2=strengths, init=init)
    classes = Classes(np.asarray(model.classes_)) if hasattr(model, "classes_") else None
    found = LinearModel(module, loss, recipe, classes, not isinstance(model, SGDClassifier))
    module.load_state_dict(found.parameters_of(model))
    return found


def _obstacle(model: Any) -> str | None:
    """Return why a model is not one of those that can be represented exactly, if so."""
    coefficients = model.coef_
    if not isinstance(coefficients, np.ndarray):
        return "its coefficients are sparse"
    if getattr(model, "class_weight", None) is not None:
        return "its rows have weights by class"
    if getattr(model, "positive", False):
        return "its coefficients are constrained to be positive"
    if isinstance(model, Ridge) and len(np.unique(model.alpha)) > 1:
        return "it has a penalty of its own for every output"
    if isinstance(model, LogisticRegression):
        if _penalty(model) not in ("l2", None):
            return "its penalty is not l2"
        one_by_one = getattr(model, "multi_class", "auto") == "ovr" or model.solver == "liblinear"
        if len(model.classes_) > 2 and one_by_one:
            return "its classes are fitted one against the others"
        if len(model.classes_) == 2 and getattr(model, "multi_class", "auto") == "multinomial":
            return "its two classes are fitted with a score for each"
        if model.solver == "liblinear" and model.fit_intercept and model.intercept_scaling != 1:
            return "its intercept is penalised with another strength"
    if isinstance(model, SGDClassifier):
        if model.loss not in _SGD:
            return f"its loss {model.loss!r} is none of {', '.join(_SGD)}"
        if model.penalty not in ("l2", None):
            return "its penalty is not l2"
        if model.average:
            return "its coefficients are averages over the training"
    return None


def _penalty(model: LogisticRegression) -> str | None:
    """Return the penalty by name, however this version of scikit-learn spells it."""
    penalty = getattr(model, "penalty", "l2")
    if penalty == "deprecated":
        ratio = getattr(model, "l1_ratio", 0.0) or 0.0
        penalty = "l2" if ratio == 0 else "l1" if ratio == 1 else "elasticnet"
    return penalty if penalty is None else str(penalty)


def _coefficients(model: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weights ``[scores, features]`` and intercepts ``[scores]``."""
    weight = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64))
    bias = np.broadcast_to(np.asarray(model.intercept_, dtype=np.float64), len(weight))
    return weight, bias.copy()


def _widened(
    fitted: Any, weight: NDArray[np.float64], bias: NDArray[np.float64], scores: int, seen: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the scores of a fit that saw fewer classes, those with the numbers ``seen``.

    The others stay below the mean of its scores by so much that no row is theirs.
    """
    if len(weight) == 1:  # two classes: the score of the second, against the first or (softmax) beyond it
        one = weight if isinstance(fitted, SGDClassifier) else weight / 2
        same = bias if isinstance(fitted, SGDClassifier) else bias / 2
        weight, bias = np.concatenate([-one, one]), np.concatenate([-same, same])
    wide = np.repeat(weight.mean(axis=0, keepdims=True), scores, axis=0)
    low = np.full(scores, bias.mean() + _LEAST)
    wide[seen], low[seen] = weight, bias
    return wide, low
