"""Do the values pay off? What becomes of the model when players go, or come, in the order of their values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.plots.style import COLOURS, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from unshap_plugin.game import UnlearningGame
    from unshap_plugin.results.result import ValuationResult

__all__ = ["draw_addition", "draw_removal"]

_ORDERS = 5


def draw_removal(game: UnlearningGame, result: ValuationResult, ax: Axes, *, points: int = 20, seed: int = 0) -> Axes:
    """Draw the utility while players are removed: the most valuable first, the least valuable first, and at random.

    Values that pay off make the first line fall fastest, and let the second rise before it falls. With a game of
    ``retrain``, or of another metric, the curve says so of a model that the values were not made with.

    Parameters
    ----------
    game
        The game, whose utility is one number; of the players of the result.
    result
        The values, one to a player.
    ax
        Where to draw.
    points
        How many coalitions a line has at most.
    seed
        Of the five random orders, whose mean is drawn within their extremes.

    Raises
    ------
    UnshapError
        If a coalition cannot be evaluated.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from unshap_plugin import UnlearningGame, ValuationProblem, shapley_values
    >>> x, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression(max_iter=1000).fit(x[::2], y[::2])
    >>> data = (x[::2], y[::2]), (x[1::2], y[1::2])
    >>> game = UnlearningGame(ValuationProblem(model, *data, groups=["a", "b", "c"] * 25))
    >>> ax = draw_removal(game, shapley_values(game), Figure().add_subplot())
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('players removed, of 3', 'utility (log_likelihood)')
    """
    return _draw(game, result, ax, points, seed, removed=True)


def draw_addition(game: UnlearningGame, result: ValuationResult, ax: Axes, *, points: int = 20, seed: int = 0) -> Axes:
    """Draw the utility while players are added to nobody, in the same orders; see ``draw_removal``.

    Parameters
    ----------
    game, result, ax, points, seed
        As there.

    Raises
    ------
    UnshapError
        If a coalition cannot be evaluated.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from unshap_plugin import UnlearningGame, ValuationProblem, shapley_values
    >>> x, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression(max_iter=1000).fit(x[::2], y[::2])
    >>> data = (x[::2], y[::2]), (x[1::2], y[1::2])
    >>> game = UnlearningGame(ValuationProblem(model, *data, groups=["a", "b", "c"] * 25))
    >>> draw_addition(game, shapley_values(game), Figure().add_subplot()).get_xlabel()
    'players added, of 3'
    """
    return _draw(game, result, ax, points, seed, removed=False)


def _draw(game: UnlearningGame, result: ValuationResult, ax: Axes, points: int, seed: int, *, removed: bool) -> Axes:
    n = game.n_players
    moved = np.unique(np.linspace(0, n, min(points, n + 1)).round().astype(int))
    best = np.argsort(-result.values, kind="stable")
    for order, colour, style, label in (
        (best, COLOURS[0], "-", "the most valuable first"),
        (best[::-1], COLOURS[1], "--", "the least valuable first"),
    ):
        ax.plot(moved, game(_coalitions(order, moved, removed)), color=colour, ls=style, marker="o", ms=3, label=label)
    rng = np.random.default_rng(seed)
    drawn = np.stack([game(_coalitions(rng.permutation(n), moved, removed)) for _ in range(_ORDERS)])
    ax.fill_between(moved, drawn.min(axis=0), drawn.max(axis=0), color="grey", alpha=0.25, lw=0)
    ax.plot(moved, drawn.mean(axis=0), color="grey", ls=":", label=f"at random ({_ORDERS} orders)")
    ax.set_xlabel(f"players {'removed' if removed else 'added'}, of {n}")
    ax.set_ylabel(f"utility ({plain(game.problem.metric.name)})")
    ax.legend(fontsize=8)
    return ax


def _coalitions(order: NDArray[np.int64], moved: NDArray[np.int64], removed: bool) -> NDArray[np.bool_]:
    """Return who is kept, bool ``[points, n_players]``, when so many of an order have gone, or have come."""
    place = np.argsort(order)
    came: NDArray[np.bool_] = place[None, :] < moved[:, None]
    return ~came if removed else came
