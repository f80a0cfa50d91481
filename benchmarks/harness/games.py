"""Games whose Shapley values are known: of few providers by all coalitions, of many players in closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
    make_classification,
    make_friedman1,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import scale
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from unshap_plugin import UnlearningGame, ValuationProblem
from unshap_plugin.estimators import Exact

__all__ = ["Known", "of_neighbours", "of_providers", "saturating"]

LOADERS: dict[str, Callable[..., Any]] = {
    "blobs": lambda **_: make_classification(600, 8, n_informative=5, n_classes=3, random_state=0),
    "breast_cancer": load_breast_cancer,
    "diabetes": load_diabetes,
    "digits": load_digits,
    "friedman": lambda **_: make_friedman1(600, noise=1.0, random_state=0),
    "iris": load_iris,
    "wine": load_wine,
}
MODELS: dict[str, Callable[[], Any]] = {
    "logistic regression": lambda: LogisticRegression(max_iter=1000),
    "ridge": lambda: Ridge(1.0),
    "support vectors": lambda: SVC(),
    "tree": lambda: DecisionTreeClassifier(max_depth=6, random_state=0),
}
#: Providers with scrambled labels, and the share of wrong labels among rows.
SCRAMBLED, WRONG = 3, 0.2


@dataclass(frozen=True)
class Known:
    """A game, with its values ``[n_players]``.

    Attributes
    ----------
    name
        What it is called in tables.
    utilities
        From coalitions, bool ``[m, n_players]``, to utilities ``[m]``.
    values
        Its Shapley values.
    """

    name: str
    utilities: Callable[[NDArray[np.bool_]], NDArray[np.float64]]
    values: NDArray[np.float64]

    @property
    def n_players(self) -> int:
        """Number of players."""
        return len(self.values)


def of_providers(
    data: str, rows: int, players: int, seed: int, model: str, unlearner: str, metrics: list[str]
) -> list[Known]:
    """Return a game for each metric: providers of unequal size, of which three have scrambled labels."""
    x, y, groups, rest = shared_out(data, rows, players, seed)
    fitted = MODELS[model]().fit(x, y)
    problem = ValuationProblem(fitted, (x, y), rest, groups=groups, metric={name: name for name in metrics})
    game = UnlearningGame(problem, unlearner)
    table = game(np.arange(1 << players)[:, None] >> np.arange(players) & 1 > 0)
    values = Exact(players, None, 0).run(of_table(table)).values
    how = "retrained" if unlearner == "retrain" else "unlearned"
    columns = zip(metrics, table.T, values.T, strict=True)
    return [
        Known(f"{data}, {model}, {how}, {name.replace('_', ' ')}", of_table(one), own) for name, one, own in columns
    ]


def of_table(table: NDArray[np.float64]) -> Callable[[NDArray[np.bool_]], NDArray[np.float64]]:
    """Return the game of utilities by bit mask (player i is bit i)."""
    weights = 1 << np.arange(len(table).bit_length() - 1)
    return lambda coalitions: table[coalitions @ weights]


def shared_out(data: str, rows: int, players: int, seed: int) -> tuple[Any, Any, NDArray[np.int64], tuple[Any, Any]]:
    x, y = LOADERS[data](return_X_y=True)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    x, y = scale(x)[order], y[order].copy()
    sizes = rng.dirichlet(np.full(players, 4.0))
    groups = np.concatenate([np.arange(players), rng.choice(players, rows - players, p=sizes)])
    for player in rng.permutation(players)[:SCRAMBLED]:
        own = np.flatnonzero(groups == player)
        y[own] = rng.permutation(y[own]) if data == "diabetes" else rng.choice(y, len(own))
    return x[:rows], y[:rows], groups, (x[rows:], y[rows:])


def of_neighbours(data: str, rows: int, tests: int, neighbours: int, seed: int) -> Known:
    """Return the game of the rows of a nearest neighbours classifier, by the share of neighbours that are right.

    Its values have a closed form (Jia et al. 2019, theorem 1). A fifth of the labels are drawn at random.
    """
    x, y = LOADERS[data](return_X_y=True)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    x, y = scale(x)[order], y[order].copy()
    wrong = np.flatnonzero(rng.random(rows) < WRONG)
    y[wrong] = rng.choice(y, len(wrong))
    x_test, y_test = x[rows : rows + tests], y[rows : rows + tests]
    near = np.argsort(((x_test[:, None] - x[None, :rows]) ** 2).sum(axis=2), axis=1, kind="stable")
    right = (y[near] == y_test[:, None]).astype(np.float64)
    position = np.arange(1, rows)
    steps = (right[:, :-1] - right[:, 1:]) * np.minimum(neighbours, position) / (neighbours * position)
    last = right[:, -1:] / max(rows, neighbours)
    by_rank = np.concatenate([np.cumsum(steps[:, ::-1], axis=1)[:, ::-1] + last, last], axis=1)
    values = np.zeros(rows)
    np.add.at(values, near, by_rank / tests)

    def utilities(coalitions: NDArray[np.bool_]) -> NDArray[np.float64]:
        found = np.zeros(len(coalitions))
        for order, hits in zip(near, right, strict=True):
            kept = coalitions[:, order]
            found += (kept & (np.cumsum(kept, axis=1) <= neighbours)) @ hits
        return found / (neighbours * tests)

    return Known(f"{rows:,} rows of {data}, nearest neighbours", utilities, values)


def saturating(players: int, seed: int) -> Known:
    """Return the game ``1 - (1 - x)**3``, where ``x`` is the share of all weight that a coalition holds.

    A fifth of the weights is negative. The values are those of its Harsanyi dividends, which are zero for more than
    three players.

    Examples
    --------
    >>> game = saturating(5, 0)
    >>> every = (np.arange(32)[:, None] >> np.arange(5) & 1).astype(bool)
    >>> exact = Exact(5, None, 0).run(game.utilities).values
    >>> bool(np.allclose(exact, game.values))
    True
    """
    w = np.random.default_rng(seed).uniform(-0.25, 1.0, players)
    w /= w.sum()
    ones, squares = 1 - w, (w**2).sum() - w**2
    second = w**2 + w * ones
    third = w**3 + 1.5 * (w**2 * ones + w * squares) + w * (ones**2 - squares)

    def utilities(coalitions: NDArray[np.bool_]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = 1.0 - (1.0 - coalitions @ w) ** 3
        return found

    return Known(f"{players} players of diminishing weight", utilities, 3 * w - 3 * second + third)
