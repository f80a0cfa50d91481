"""OpenDataVal's conventions: one-hot labels, models that return probabilities, its losses and its training defaults."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from opendataval.model import Model
from torch import Tensor
from torch.utils.data import Dataset

from unshap_plugin import Metric, Recipe
from unshap_plugin.errors import InvalidTypeError
from unshap_plugin.losses import Loss, cross_entropy, mse

__all__ = ["Refit", "as_tensor", "log_likelihood", "mediator_metric", "recipe_of", "training_loss"]


def training_loss(model: Model, y: Tensor) -> Loss:
    """Return the loss that OpenDataVal's ``fit`` minimises for this model, as a function to losses per row, ``[rows]``.

    It is the binary cross entropy for two classes, the softmax cross entropy *of the probabilities* for more, and the
    squared error for regression.

    Parameters
    ----------
    model
        The prediction model, whose outputs are probabilities ``[rows, k]``, or numbers for regression.
    y
        Training labels ``[rows, k]``: one-hot for ``k`` classes. They tell classes from numbers where the type of the
        model does not.

    Examples
    --------
    >>> from opendataval.model import LogisticRegression
    >>> y = torch.eye(3)
    >>> training_loss(LogisticRegression(4, 3), y)(torch.full((3, 3), 0.2), y)
    tensor([1.0986, 1.0986, 1.0986])
    """
    if not _classifies(model, y):
        return mse
    return _binary_cross_entropy if y.shape[1] == 2 else _cross_entropy


def log_likelihood(model: Model, y: Tensor) -> Metric:
    """Return the mean log-likelihood of the labels; for regression, up to constants, minus the mean squared error.

    The outputs for the classes are normalised to sum to one (OpenDataVal's LogisticRegression has one sigmoid per
    class), and bounded below by the round-off of float32.

    Parameters
    ----------
    model, y
        As in ``training_loss``.

    Examples
    --------
    >>> from opendataval.model import LogisticRegression
    >>> y = torch.eye(2)
    >>> log_likelihood(LogisticRegression(4, 2), y).score(torch.full((1, 2, 2), 0.5), y)
    tensor([-0.6931], dtype=torch.float64)
    """
    if not _classifies(model, y):
        return Metric("log_likelihood", lambda out, y: -(out.double() - y.double()).square().flatten(1).mean(dim=1))

    def score(outputs: Tensor, targets: Tensor) -> Tensor:
        # The classes first: sums over few of them are slow where they are last.
        p = outputs.movedim(-1, 0).double().contiguous().clamp(min=torch.finfo(torch.float32).eps)
        return ((p / p.sum(dim=0)).log() * targets.double().T[:, None]).sum(dim=0).mean(dim=1)

    return Metric("log_likelihood", score)


def mediator_metric(metric: Callable[[Tensor, Tensor], float]) -> Metric:
    """Return a metric of OpenDataVal's form in ours, of many models at once.

    Parameters
    ----------
    metric
        A function of labels and predictions, both ``[rows, k]`` and on the processor. Higher is better.

    Examples
    --------
    >>> from opendataval.metrics import Metrics
    >>> accuracy = mediator_metric(Metrics.ACCURACY)
    >>> accuracy.name, accuracy.score(torch.eye(2).expand(3, 2, 2), torch.eye(2))
    ('accuracy', tensor([1., 1., 1.], dtype=torch.float64))
    """

    def score(outputs: Tensor, targets: Tensor) -> Tensor:
        y = targets.cpu()
        return torch.tensor([float(metric(y, y_hat)) for y_hat in outputs.cpu()], dtype=torch.float64)

    # OpenDataVal's own metrics are the members of an enumeration, whose values are named functions.
    name = getattr(metric, "value", getattr(metric, "__name__", metric))
    return Metric(str(name), score)


def recipe_of(model: Model, kwargs: Mapping[str, Any], init: Mapping[str, Tensor] | None) -> Recipe:
    """Return what OpenDataVal's ``fit`` does with these training keywords: Adam, in minibatches.

    Parameters
    ----------
    model
        The prediction model. The defaults of its ``fit`` hold for keywords that are not given.
    kwargs
        Training keywords: ``epochs``, ``batch_size``, ``lr``.
    init
        The parameters that its training starts from; ``None`` if they are not known.

    Examples
    --------
    >>> from opendataval.model import LogisticRegression
    >>> recipe = recipe_of(LogisticRegression(4, 2), {"epochs": 10}, None)
    >>> recipe.optimizer, recipe.epochs, recipe.batch_size, recipe.lr
    ('adam', 10, 32, 0.01)
    """
    given = {**_defaults(model), **kwargs}
    return Recipe(
        optimizer="adam",
        lr=float(given["lr"]),
        epochs=int(given["epochs"]),
        batch_size=int(given["batch_size"]),
        init=init,
    )


def as_tensor(x: Tensor | Dataset[Any], what: str) -> Tensor:
    """Return covariates as one tensor ``[rows, ...]``.

    Parameters
    ----------
    x
        A tensor, or a data set of arrays of one shape.
    what
        What they are called in errors.

    Raises
    ------
    InvalidTypeError
        If they are a data set of something else, such as text.

    Examples
    --------
    >>> from torch.utils.data import Subset
    >>> as_tensor(Subset([[1, 2], [3, 4], [5, 6]], [0, 2]), "x_train")
    tensor([[1, 2],
            [5, 6]])
    """
    if isinstance(x, Tensor):
        return x
    rows = [x[index] for index in range(len(x))]  # type: ignore[arg-type]
    try:
        return torch.stack([torch.as_tensor(row) for row in rows])
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidTypeError(
            f"{what} is a {type(x).__name__} of {type(rows[0]).__name__}, but numbers of one shape are needed: "
            f"embed text and other data first ({error})."
        ) from error


class Refit:
    """An OpenDataVal model without parameters (scikit-learn wrappers), as an object with ``fit`` and ``predict``.

    Parameters
    ----------
    model
        The unfitted model.
    kwargs
        Keywords for its ``fit``.

    Examples
    --------
    >>> from opendataval.model.api import RegressionSkLearnWrapper
    >>> from sklearn.linear_model import LinearRegression
    >>> refit = Refit(RegressionSkLearnWrapper(LinearRegression), {})
    >>> refit.fit(torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [2.0]])).predict(torch.tensor([[3.0]])).round()
    tensor([[6.]])
    """

    def __init__(self, model: Model, kwargs: Mapping[str, Any]) -> None:
        self.blank = model
        self.kwargs = dict(kwargs)
        self.model = model
        self.width = 0

    @property
    def empty_output(self) -> float:
        """What it answers when there is nothing to fit it on: all classes are equally likely, or 0 for numbers.

        OpenDataVal would answer the first class.
        """
        return 1 / self.width if _classifies(self.blank, torch.eye(max(self.width, 1))) else 0.0

    def fit(self, x: Any, y: Any) -> Refit:
        """Fit a fresh copy of the blank model on rows ``[rows, ...]`` with labels ``[rows, k]``, and return itself."""
        self.model = self.blank.clone()
        self.model.fit(torch.as_tensor(x), torch.as_tensor(y), **self.kwargs)
        self.width = y.shape[1]
        return self

    def predict(self, x: Any) -> Tensor:
        """Return the outputs ``[rows, k]``."""
        outputs: Tensor = self.model.predict(torch.as_tensor(x))
        return outputs


def _classifies(model: Model, y: Tensor) -> bool:
    from opendataval.model.api import (
        ClassifierSkLearnWrapper,
        RegressionSkLearnWrapper,
        TorchClassMixin,
        TorchRegressMixin,
    )

    if isinstance(model, TorchRegressMixin | RegressionSkLearnWrapper):
        return False
    if isinstance(model, TorchClassMixin | ClassifierSkLearnWrapper):
        return True
    one_hot = ((y == 0) | (y == 1)).all() and y.ndim == 2 and y.shape[1] > 1
    return bool(one_hot and (y.sum(dim=1) == 1).all())


def _defaults(model: Model) -> dict[str, Any]:
    known = {"lr": 0.01, "epochs": 1, "batch_size": 32}
    parameters = inspect.signature(model.fit).parameters.values()
    known.update({p.name: p.default for p in parameters if p.name in known and p.default is not p.empty})
    return known


def _binary_cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    # Spelled out, and kept away from the ends: torch's own has no second derivative there that float32 can hold.
    p = outputs.clamp(min=_eps(outputs), max=1 - _eps(outputs))
    return -(targets * p.log() + (1 - targets) * torch.log1p(-p)).mean(dim=-1)


def _cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    return cross_entropy(outputs, targets)


def _eps(outputs: Tensor) -> float:
    return torch.finfo(outputs.dtype).eps
