"""The axioms of dattri's attributors, which play no game: they score the rows of one model.

So each is asked for scores of six rows whose every subset was retrained, or voted, and whose exact values are known.
The second row is the first once more, and the last changes no subset: its features are zero, where the model has no
bias, or it is further away than all others, with a label that no test row has.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from dattri_tasks import L2, Trained, influence, neighbours, of, tracin, trak
from numpy.typing import NDArray
from sklearn.datasets import load_iris
from sklearn.preprocessing import scale
from torch.utils.data import TensorDataset
from unshap_dattri import UnlearningAttributor

# isort: split
from dattri.algorithm.influence_function import IFAttributorDataInf, IFAttributorEKFAC, IFAttributorExplicit

from unshap_plugin import shapley_values

__all__ = ["COLUMNS", "broken", "rows"]

ROWS, TESTS, NEIGHBOURS, CLASSES = 6, 12, 2, 3
COLUMNS = ("efficiency", "symmetry", "null_player", "renaming", "agreement")
#: Of the largest exact value: what single precision and a training that stops leave.
TOLERANCE = 1e-4


class Fitted(Trained):
    """Rows of iris and the game in which each subset trains a model: its loss is a sum, to which zeros add nothing."""

    n_players = ROWS

    def __init__(self, seed: int) -> None:
        super().__init__(*drawn(seed, np.zeros(4), label=0), bias=False)

    def strength(self, rows: int) -> float:
        """Return the strength of the penalty beside the mean loss of so many rows."""
        return L2 * len(self.train) / rows

    def __call__(self, coalitions: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the utilities ``[m]``: minus the mean loss on the test rows."""
        return np.array([self.utility(one).mean() for one in coalitions])


class Voted(Trained):
    """Rows of iris and the game in which the nearest rows of each subset vote: the share of votes for the label."""

    n_players = ROWS

    def __init__(self, seed: int) -> None:
        super().__init__(*drawn(seed, np.full(4, 100.0), label=CLASSES))

    def __call__(self, coalitions: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the utilities ``[m]``."""
        (x, y), (x_test, y_test) = self.train.tensors, self.test.tensors
        order = torch.cdist(x_test, x).argsort(dim=1)
        right = (y[order] == y_test[:, None]).numpy()
        votes = []
        for one in coalitions:
            present = one[order.numpy()]
            votes.append((right & present & (present.cumsum(axis=1) <= NEIGHBOURS)).sum() / NEIGHBOURS / TESTS)
        return np.array(votes)


def drawn(seed: int, last: NDArray[np.float64], label: int) -> tuple[TensorDataset, TensorDataset]:
    """Return six training rows, the second as the first and the last as told, and test rows of their labels."""
    x, y = load_iris(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    x, y = scale(x)[order], y[order]
    train = [0, 0, *range(1, ROWS - 2)]
    test = ROWS + np.flatnonzero(np.isin(y[ROWS:], y[train]))[:TESTS]
    pairs = (np.vstack([x[train], last]), np.append(y[train], label)), (x[test], y[test])
    of_train, of_test = (TensorDataset(torch.as_tensor(a).float(), torch.as_tensor(b)) for a, b in pairs)
    return of_train, of_test


@dataclass(frozen=True)
class Attributor:
    """A way to scores ``[rows, tests]``, and the kind of game that it is held against."""

    scores: Callable[[Any, int], torch.Tensor]
    game: Callable[[int], Fitted | Voted] = Fitted


#: By their names, as they stand in the table.
ATTRIBUTORS = {
    "ours: UnlearningAttributor": Attributor(of(lambda case, seed: UnlearningAttributor(case.task(), seed=seed))),
    "dattri: KNN Shapley": Attributor(neighbours(NEIGHBOURS), Voted),
    "dattri: influence, explicit": Attributor(influence(IFAttributorExplicit, regularization=L2)),
    "dattri: influence, EK-FAC": Attributor(influence(IFAttributorEKFAC, damping=L2)),
    "dattri: influence, DataInf": Attributor(influence(IFAttributorDataInf, regularization=L2)),
    "dattri: TracIn": Attributor(tracin),
    "dattri: TRAK": Attributor(trak),
}


def broken(attributor: Attributor, seed: int) -> list[float]:
    """Return by how much the scores break each of ``COLUMNS``, relative to the largest exact value.

    Scores of an attributor have a unit of their own: they are taken times the factor that fits exact values best.
    """
    game = attributor.game(seed)
    exact = shapley_values(game, "exact")
    found = scored(attributor, game)
    factor = found @ exact.values / (found @ found)
    found = factor * found
    order = np.random.default_rng(seed).permutation(ROWS)
    x, y = game.train.tensors
    game.train = TensorDataset(x[order], y[order])
    renamed = factor * scored(attributor, game)
    off = [
        found.sum() - (exact.utility_all - exact.utility_none),
        found[0] - found[1],
        found[-1],
        np.abs(renamed - found[order]).max(),
        np.abs(found - exact.values).max(),
    ]
    return [float(abs(one) / np.abs(exact.values).max()) for one in off]


def scored(attributor: Attributor, game: Fitted | Voted) -> NDArray[np.float64]:
    """Return the score of each row, the mean over test rows, ``[ROWS]``."""
    with contextlib.redirect_stderr(io.StringIO()):  # of dattri's progress
        return attributor.scores(game, 0).detach().double().mean(dim=1).numpy()


def rows(seeds: Sequence[int], only: str = "") -> Iterator[list[str]]:
    """Yield a row of the table for each attributor whose name has this in it."""
    for name, attributor in ATTRIBUTORS.items():
        if only in name:
            off = np.array([broken(attributor, seed) for seed in seeds])
            yield [name, *map(cell, off.T)]


def cell(off: NDArray[np.float64]) -> str:
    """Return what was found in some games: that it holds, or by how much at worst it does not, and in how many."""
    failed = int((off > TOLERANCE).sum())
    return f"**{off.max():.2g}** ({failed} of {len(off)})" if failed else "holds"
