"""Stages, on which an evaluator is trained: a game played through OpenDataVal's interface, or a little real data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from opendataval.dataloader import DataFetcher
from opendataval.model import Model
from sklearn.datasets import load_breast_cancer
from torch import Tensor

from unshap_conformance.evaluators.faults import Watch
from unshap_conformance.evaluators.models import HIGH, LOW, Playable, PlayedModel, QuietRegression

__all__ = ["Stage", "noisy_data", "real_stage", "stage_of"]


@dataclass(frozen=True)
class Stage:
    """Data, model and metric that an evaluator is trained on.

    Parameters
    ----------
    name
        Name of the game or of the data.
    data
        ``(x_train, y_train, x_valid, y_valid)``, float32.
    model
        Function that makes the model, unfitted, given what watches it.
    metric
        ``(y, y_hat) -> float``, as OpenDataVal calls it.
    one_hot
        Whether the labels are classes.
    keywords
        Keywords that the model is fitted with.
    """

    name: str
    data: tuple[Tensor, Tensor, Tensor, Tensor]
    model: Callable[[Watch], Model]
    metric: Callable[[Tensor, Tensor], float]
    one_hot: bool
    keywords: Mapping[str, Any] = field(default_factory=lambda: {"epochs": 3, "lr": 0.25})

    @property
    def n_players(self) -> int:
        """Number of training rows."""
        return len(self.data[0])

    def fetcher(self) -> DataFetcher:
        """Return the data in OpenDataVal's form, with test rows of zeros: values have to come from the others.

        The rows are split from a shuffled table, so that a row's number in it says nothing about its place in training.
        """
        x, y, x_valid, y_valid = (part.numpy() for part in self.data)
        given = (np.concatenate([x, x_valid, 0 * x_valid]), np.concatenate([y, y_valid, 0 * y_valid]))
        order = np.random.default_rng(0).permutation(len(given[0]))
        parts = np.split(order, [len(x), len(x) + len(x_valid)])
        shuffled = (part[order.argsort()] for part in given)
        fetcher = DataFetcher.from_data(*shuffled, one_hot=self.one_hot, random_state=0)
        return fetcher.split_dataset_by_indices(*parts)


def stage_of(game: Playable, order: Sequence[int] | None = None) -> Stage:
    """Return a game as an experiment.

    Parameters
    ----------
    game
        The game that is played.
    order
        The player of every training row; by default row ``i`` is player ``i``.
    """
    players = torch.arange(game.n_players) if order is None else torch.as_tensor(order)
    rows = players.to(torch.float32)[:, None]
    nothing = float(game(np.zeros((1, game.n_players), dtype=bool))[0])

    def metric(y: Tensor, y_hat: Tensor) -> float:
        # Each row has a label of its own: changing places, or the arguments, changes the utility.
        return nothing + float((y_hat.double() * y.double().square()).sum())

    return Stage(
        name=game.name,
        data=(rows, rows.clone(), torch.tensor([[HIGH], [LOW]]), torch.tensor([[1.0], [0.5]])),
        model=lambda watch: PlayedModel(game, watch),
        metric=metric,
        one_hot=False,
    )


def real_stage(rows: int = 6, *, seed: int = 0) -> Stage:
    """Return a few standardised rows of breast_cancer with two covariates, and a logistic regression."""
    (x, y), valid, _ = noisy_data(rows, seed=seed)
    return Stage(
        name="breast_cancer" if seed == 0 else f"breast_cancer, seed {seed}",
        data=(x[:, :2], y, valid[0][:, :2], valid[1]),
        model=QuietRegression,
        metric=_log_likelihood,
        one_hot=True,
    )


def noisy_data(rows: int, *, seed: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor], NDArray[np.int64]]:
    """Return training rows of which every fifth has a wrong label, 40 clean validation rows, and the wrong rows."""
    x, y = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))[: rows + 40]
    x, y = x[order], y[order]
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    wrong = np.arange(0, rows, 5)
    y[wrong] = 1 - y[wrong]
    x, y = torch.as_tensor(x, dtype=torch.float32), torch.eye(2)[torch.as_tensor(y)]
    return (x[:rows], y[:rows]), (x[rows:], y[rows:]), wrong


def _log_likelihood(y: Tensor, y_hat: Tensor) -> float:
    """Return the mean log-likelihood, which is not the same with its arguments exchanged."""
    return float((y * y_hat.clamp_min(1e-3).log()).sum(dim=1).mean())
