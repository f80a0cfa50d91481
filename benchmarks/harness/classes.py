"""Classes of models that ``auto`` tells apart: one trained model of each, on the rows of six providers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine, make_classification
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler
from torch import nn

from unshap_plugin import Recipe, ValuationProblem
from unshap_plugin.losses import cross_entropy

__all__ = ["AT_HAND", "CLASSES", "LOADERS", "SHARES", "TESTS", "WRONG", "Given", "Rows", "network"]

#: What may be at hand, and what is said of it.
AT_HAND = {
    "all": "",
    "rows": "training not told",
    "reference": "partial access",
}
#: Shares of the rows, and of the labels that are wrong, of each provider.
SHARES = (0.07, 0.1, 0.13, 0.17, 0.23, 0.3)
WRONG = (0.0, 0.6, 0.0, 0.1, 0.3, 0.2)
TESTS = 300


def made(*, return_X_y: bool) -> tuple[NDArray[Any], NDArray[Any]]:  # noqa: N803 - as scikit-learn has it
    """Return made data, four classes in 300 features, as the loaders of scikit-learn return theirs."""
    assert return_X_y
    x, y = make_classification(1500, 300, n_informative=20, n_classes=4, random_state=0)
    return x, y


LOADERS: dict[str, Callable[..., Any]] = {
    "breast_cancer": load_breast_cancer,
    "diabetes": load_diabetes,
    "digits": load_digits,
    "made": made,
    "wine": load_wine,
}
Rows = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True)
class Given:
    """A trained model and its data.

    Attributes
    ----------
    model
        The model.
    train, test
        Features and labels.
    reference
        Features of rows that are neither.
    provider
        Whose each training row is, ``[rows]``.
    recipe
        How the model was trained; ``None`` for models of scikit-learn, which train themselves.
    """

    model: Any
    train: Rows
    test: Rows
    reference: NDArray[Any]
    provider: NDArray[np.int64]
    recipe: Recipe | None = None

    def problem(self, at_hand: str = "all", *, rows: bool = False) -> ValuationProblem:
        """Return the problem, with what is at hand (see ``AT_HAND``); players are providers, or single rows."""
        return ValuationProblem(
            self.model,
            self.train,
            self.test,
            metric="log_likelihood" if self.train[1].dtype.kind == "i" else "r2",
            groups=None if rows else self.provider,
            reference=self.reference if at_hand == "reference" else None,
            access="partial" if at_hand == "reference" else "full",
            fit=None if at_hand == "rows" else self.recipe,
        )


@dataclass(frozen=True)
class Class:
    """A class of models.

    Attributes
    ----------
    text
        What is trained, and on what.
    given
        Returns one that is trained on data of a seed.
    at_hand
        Some of ``AT_HAND``: those that make a difference for it.
    coalitions
        How many coalitions of single rows are measured.
    """

    text: str
    given: Callable[[int], Given]
    at_hand: tuple[str, ...] = ("all",)
    coalitions: int = 256


def data(name: str, rows: int, seed: int) -> tuple[Rows, Rows, NDArray[Any], NDArray[np.int64]]:
    """Return training rows, test rows, reference rows without labels, and the provider of each training row.

    A provider has wrong labels: another class, or for regression a number that is drawn from all of them.
    """
    x, y = LOADERS[name](return_X_y=True)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    x, y = StandardScaler().fit(x[order[:rows]]).transform(x[order]).astype(np.float32), y[order]
    ends = np.round(np.cumsum(rng.permutation(SHARES)) * rows).astype(int)
    provider = np.searchsorted(ends, np.arange(rows), side="right")
    wrong = rng.random(rows) < rng.permutation(WRONG)[provider]
    labels = y[:rows].copy()
    if y.dtype.kind == "i":
        classes = int(y.max()) + 1
        labels[wrong] = (labels[wrong] + rng.integers(1, classes, int(wrong.sum()))) % classes
    else:
        labels[wrong] = rng.choice(labels, int(wrong.sum()))
    end = rows + min(TESTS, (len(y) - rows) // 2)
    return (x[:rows], labels), (x[rows:end], y[rows:end]), x[end : end + rows], provider


def fitted(make: Callable[[], Any], name: str, rows: int) -> Callable[[int], Given]:
    """Return what fits a model of scikit-learn."""

    def given(seed: int) -> Given:
        train, test, reference, provider = data(name, rows, seed)
        return Given(make().fit(*train), train, test, reference, provider)

    return given


def trained(
    make: Callable[[], nn.Module], name: str, rows: int, optimizer: str, epochs: int, batch_size: int | None, lr: float
) -> Callable[[int], Given]:
    """Return what trains a torch module."""

    def given(seed: int) -> Given:
        train, test, reference, provider = data(name, rows, seed)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            start = make()
        recipe = Recipe(optimizer, lr=lr, epochs=epochs, batch_size=batch_size, init=start)  # type: ignore[arg-type]
        model = recipe.train(start, cross_entropy, *map(torch.as_tensor, train), seed=seed)
        return Given(model, train, test, reference, provider, recipe)

    return given


def network(features: int, hidden: int, classes: int) -> Callable[[], nn.Module]:
    """Return what makes a network with one hidden layer."""
    return lambda: nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, classes))


def convolutions() -> nn.Module:
    """Return two convolutions with batch norm, for images of 8 by 8 pixels."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


CLASSES = {
    "logistic regression, two classes": Class(
        "scikit-learn's, on 200 rows of breast_cancer",
        fitted(LogisticRegression, "breast_cancer", 200),
        ("all", "reference"),
    ),
    "logistic regression, ten classes": Class(
        "scikit-learn's, on 300 rows of digits (650 parameters)",
        fitted(lambda: LogisticRegression(tol=1e-6, max_iter=1000), "digits", 300),
        coalitions=128,
    ),
    "logistic regression, many parameters": Class(
        "scikit-learn's, on 400 rows of made data, four classes in 300 features (1,204 parameters)",
        fitted(lambda: LogisticRegression(tol=1e-6, max_iter=1000), "made", 400),
        coalitions=96,
    ),
    "ridge regression": Class("scikit-learn's, on 200 rows of diabetes", fitted(Ridge, "diabetes", 200)),
    "linear model stopped early": Class(
        "a linear layer, 10 epochs of Adam in batches of 32, on 200 rows of breast_cancer",
        trained(lambda: nn.Linear(30, 2), "breast_cancer", 200, "adam", 10, 32, 0.01),
    ),
    "network stopped early": Class(
        "30-32-2, 30 epochs of Adam in batches of 32, on 200 rows of breast_cancer",
        trained(network(30, 32, 2), "breast_cancer", 200, "adam", 30, 32, 0.01),
        ("all", "rows"),
    ),
    "network to convergence": Class(
        "64-32-10, 100 epochs of Adam in batches of 32, on 300 rows of digits",
        trained(network(64, 32, 10), "digits", 300, "adam", 100, 32, 0.01),
        coalitions=48,
    ),
    "network, full-batch": Class(
        "64-32-10, 150 steps of Adam with all of 300 rows of digits",
        trained(network(64, 32, 10), "digits", 300, "adam", 150, None, 0.01),
        ("all", "rows", "reference"),
        coalitions=48,
    ),
    "network, gradient descent": Class(
        "64-32-10, 60 epochs of gradient descent in batches of 32, on 300 rows of digits",
        trained(network(64, 32, 10), "digits", 300, "sgd", 60, 32, 0.1),
        coalitions=48,
    ),
    "convolutions, short": Class(
        "two with batch norm, 10 epochs of Adam in batches of 32, on 300 rows of digits",
        trained(convolutions, "digits", 300, "adam", 10, 32, 0.01),
        coalitions=24,
    ),
    "convolutions, longer": Class(
        "two with batch norm, 40 epochs of Adam in batches of 32, on 300 rows of digits",
        trained(convolutions, "digits", 300, "adam", 40, 32, 0.01),
        coalitions=24,
    ),
}
