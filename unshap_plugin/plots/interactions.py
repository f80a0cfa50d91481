"""Who replaces whom: the interactions of every two players."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from unshap_plugin.plots.style import name_of, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_interactions"]


def draw_interactions(pairs: pd.DataFrame, ax: Axes, unit: str) -> Axes:
    """Draw the interaction of every two players: purple for substitutes, orange for who is worth more together.

    Parameters
    ----------
    pairs
        A table with the columns ``first``, ``second`` and ``interaction``, as ``unshap_shapiq.pairs`` makes it.
    ax
        Where to draw.
    unit
        What the interactions are measured in: the name of the metric.

    Raises
    ------
    KeyError
        If a column is not there.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"first": ["a", "a"], "second": ["b", "c"], "interaction": [-0.5, 0.25]})
    >>> ax = draw_interactions(table, Figure().add_subplot(), "accuracy")
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['a', 'b', 'c']
    """
    players: list[Any] = list(dict.fromkeys([*pairs["first"], *pairs["second"]]))
    place = {player: i for i, player in enumerate(players)}
    matrix = np.full((len(players), len(players)), np.nan)
    for first, second, interaction in zip(pairs["first"], pairs["second"], pairs["interaction"], strict=True):
        matrix[place[first], place[second]] = matrix[place[second], place[first]] = interaction
    largest = float(np.nanmax(np.abs(matrix), initial=0.0)) or 1.0
    image = ax.imshow(matrix, cmap="PuOr_r", vmin=-largest, vmax=largest)
    names = [name_of(player) for player in players]
    ax.set_xticks(range(len(players)), names, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(players)), names)
    ax.set_xlabel("player")
    ax.set_ylabel("player")
    figure: Any = ax.figure
    figure.colorbar(image, ax=ax, label=f"interaction ({plain(unit)}); below zero: substitutes")
    return ax
