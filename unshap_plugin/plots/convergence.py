"""How values settle while more coalitions are evaluated."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unshap_plugin.plots.style import COLOURS, name_of, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from unshap_plugin.results.result import ValuationResult

__all__ = ["draw_convergence"]


def draw_convergence(results: Sequence[ValuationResult], ax: Axes, players: Collection[Any] | None = None) -> Axes:
    """Draw values over the utilities that were asked for, each within its 95% interval.

    Samples grow: the first utilities of a large budget are those of a small one, so that results of growing budgets of
    one game cost what the largest does.

    Parameters
    ----------
    results
        Results of one game, such as those of growing budgets, of one number to a player.
    ax
        Where to draw.
    players
        Whose lines; by default those of the seven whose last values are the largest in size.

    Raises
    ------
    UnknownNameError
        If a player is none of the players.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from unshap_plugin import shapley_values
    >>> class Square:
    ...     n_players = 14
    ...     def __call__(self, coalitions):
    ...         return coalitions.sum(axis=1) ** 2 / 14
    >>> results = [shapley_values(Square(), "permutation", budget) for budget in (100, 200, 400)]
    >>> draw_convergence(results, Figure().add_subplot(), [0, 1]).get_xlabel()
    'utilities asked for'
    """
    last = results[-1]
    largest = np.argsort(-np.abs(last.values), kind="stable")[: len(COLOURS)]
    chosen = [last.players[i] for i in largest] if players is None else list(players)
    asked = [result.asked for result in results]
    for player, colour in zip(chosen, itertools.cycle(COLOURS)):
        values = [result[player] for result in results]
        i = list(last.players).index(player)
        low, high = np.array([[end[i] for end in result.interval()] for result in results]).T
        ax.fill_between(asked, low, high, color=colour, alpha=0.15, lw=0)
        ax.plot(asked, values, color=colour, marker="o", ms=3, label=name_of(player))
    ax.axhline(0, color="black", lw=0.8)
    ax.set_xscale("log")
    ax.set_xlabel("utilities asked for")
    ax.set_ylabel(f"{last.semivalue[:1].upper()}{last.semivalue[1:]} ({plain(last.metric)})")
    ax.legend(fontsize=8, title="player")
    return ax
