"""What a player adds to coalitions of each size: diminishing returns, and who is needed when."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from unshap_plugin.plots.style import COLOURS, name_of, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from unshap_plugin.game import UnlearningGame

__all__ = ["draw_marginals"]


def draw_marginals(
    game: UnlearningGame, ax: Axes, players: Collection[Any] | None = None, *, coalitions: int = 20, seed: int = 0
) -> Axes:
    """Draw what players add to random coalitions of each size, in the mean, with its standard error.

    The Shapley value of a player is the mean of its line over the sizes. A line that falls towards zero says that
    others know the same; one that is below zero at the right end, that the data harms whoever has enough already.

    Parameters
    ----------
    game
        The game, whose utility is one number. What it knows is not evaluated again.
    ax
        Where to draw.
    players
        Whose lines; by default those of the first seven players.
    coalitions
        Coalitions that are drawn of each size, for each player: so many pairs of utilities are evaluated.
    seed
        Of the drawing.

    Raises
    ------
    UnshapError
        If a coalition cannot be evaluated.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from unshap_plugin import UnlearningGame, ValuationProblem
    >>> x, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression(max_iter=1000).fit(x[::2], y[::2])
    >>> data = (x[::2], y[::2]), (x[1::2], y[1::2])
    >>> game = UnlearningGame(ValuationProblem(model, *data, groups=["a", "b", "c"] * 25))
    >>> draw_marginals(game, Figure().add_subplot(), ["a"]).get_xlabel()
    'other players kept, of 2'
    """
    rng, n = np.random.default_rng(seed), game.n_players
    names = list(game.players)
    chosen = names[: len(COLOURS)] if players is None else list(players)
    for player, colour in zip(chosen, itertools.cycle(COLOURS)):
        i = names.index(player)
        order = rng.random((n, coalitions, n))
        order[..., i] = np.inf  # the others first, in random order
        without = order.argsort(axis=-1).argsort(axis=-1) < np.arange(n)[:, None, None]
        kept = without.reshape(-1, n)
        more = kept.copy()
        more[:, i] = True
        added = (game(more) - game(kept)).reshape(n, coalitions)
        errors = added.std(axis=1, ddof=1) / np.sqrt(coalitions) if coalitions > 1 else None
        ax.errorbar(
            np.arange(n), added.mean(axis=1), yerr=errors, color=colour, marker="o", ms=3, lw=1.5, capsize=2,
            label=name_of(player),
        )  # fmt: skip
    ax.axhline(0, color="black", lw=0.8)
    ax.set_xlabel(f"other players kept, of {n - 1}")
    ax.set_ylabel(f"what it adds ({plain(game.problem.metric.name)})")
    ax.legend(fontsize=8, title="player")
    return ax
