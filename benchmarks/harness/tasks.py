"""Data sets with flipped labels, and the models of OpenDataVal that are trained on them."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from opendataval.model import ClassifierMLP, LogisticRegression
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_classification
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.nn import functional as F
from unshap_opendataval.conventions import log_likelihood, recipe_of, training_loss

from unshap_plugin import Metric, ValuationProblem

__all__ = ["LOADERS", "MODELS", "TRAINING", "Task", "flipped", "fresh"]

#: Made data: two classes in 50 features, of which 20 tell them apart.
MADE = {"n_samples": 12_000, "n_features": 50, "n_informative": 20, "random_state": 0}


def made(*, return_X_y: bool) -> tuple[NDArray[np.float64], NDArray[np.int64]]:  # noqa: N803 - as scikit-learn has it
    """Return made data, as the loaders of scikit-learn return theirs."""
    assert return_X_y
    x, y = make_classification(**MADE)
    return x, y


LOADERS = {"breast_cancer": load_breast_cancer, "digits": load_digits, "wine": load_wine, "made": made}
MODELS = {"LogisticRegression": LogisticRegression, "ClassifierMLP": ClassifierMLP}
TRAINING = {"epochs": 10, "batch_size": 32, "lr": 0.01}


@dataclass(frozen=True)
class Task:
    """Training rows, some with a wrong label, clean validation and test rows, and an untrained model.

    Attributes
    ----------
    x, x_valid, x_test
        Standardised features, float32 ``[rows, features]``.
    y, y_valid, y_test
        One-hot labels, float32 ``[rows, classes]``.
    wrong
        Which training labels are wrong, bool ``[rows]``.
    start
        The model before training, from which every fit begins.
    """

    x: Tensor
    y: Tensor
    x_valid: Tensor
    y_valid: Tensor
    x_test: Tensor
    y_test: Tensor
    wrong: NDArray[np.bool_]
    start: Any

    def fit(self, rows: NDArray[Any] | None = None, seed: int | None = None) -> Any:
        """Return a copy of the model, trained by OpenDataVal's own ``fit`` on some rows (bool or numbers), or all."""
        if seed is not None:
            torch.manual_seed(seed)
        model = copy.deepcopy(self.start)
        chosen = slice(None) if rows is None else torch.as_tensor(rows)
        x, y = self.x[chosen], self.y[chosen]
        return model.fit(x, y, **TRAINING) if len(x) else model

    def likelihood(self, model: Any) -> float:
        """Return the mean log-likelihood of the validation labels, which is the utility."""
        return self.likelihood_of(model.predict(self.x_valid).detach())

    def likelihood_of(self, outputs: Tensor) -> float:
        """Return the utility of the outputs for the validation rows, ``[rows, classes]``."""
        return float(log_likelihood(self.start, self.y).score(outputs[None], self.y_valid)[0])

    def problem(self, model: Any, groups: NDArray[Any] | None = None, metric: Metric | None = None) -> ValuationProblem:
        """Return the problem of valuing its rows, or groups of them, for a trained model, by log-likelihood or else."""
        return ValuationProblem(
            model,
            (self.x, self.y),
            (self.x_valid, self.y_valid),
            loss=training_loss(model, self.y),
            metric=log_likelihood(model, self.y) if metric is None else metric,
            groups=groups,
            fit=recipe_of(model, TRAINING, self.start.state_dict()),
        )


def fresh(model: str, features: int, classes: int, seed: int) -> Any:
    """Return an untrained model of OpenDataVal."""
    torch.manual_seed(seed)
    return MODELS[model](features, classes)


def flipped(
    data: str, model: str, rows: int, seed: int, share: NDArray[np.float64] | float = 0.2, valid: int = 200
) -> Task:
    """Return a task: a data set in random order, with wrong labels.

    Parameters
    ----------
    data, model
        Names of ``LOADERS`` and ``MODELS``.
    rows, valid
        How many rows are for training and for validation; the others are for tests. Where too few are left, half of
        them are for validation.
    seed
        Of the order, the wrong labels and the initial parameters.
    share
        The share of wrong labels, or the chance of each label to be wrong, ``[rows]``.
    """
    x, y = LOADERS[data](return_X_y=True)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    features = torch.as_tensor(StandardScaler().fit_transform(x[order]), dtype=torch.float32)
    labels, classes = y[order].copy(), int(y.max()) + 1
    wrong = np.zeros(rows, dtype=bool)
    if isinstance(share, float):
        wrong[rng.choice(rows, round(share * rows), replace=False)] = True
    else:
        wrong = rng.random(rows) < share
    shift = rng.integers(1, classes, wrong.sum())
    labels[:rows][wrong] = (labels[:rows][wrong] + shift) % classes
    one_hot = F.one_hot(torch.as_tensor(labels), classes).float()
    end = rows + min(valid, (len(y) - rows) // 2)
    x, x_valid, x_test = features[:rows], features[rows:end], features[end:]
    y, y_valid, y_test = one_hot[:rows], one_hot[rows:end], one_hot[end:]
    return Task(x, y, x_valid, y_valid, x_test, y_test, wrong, fresh(model, features.shape[1], classes, seed))
