"""Which players are substitutes of each other, and which are worth more together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from unshap_plugin.errors import InvalidValueError

__all__ = ["pairs"]

#: Interactions below this share of the largest are none.
_ROUND_OFF = 1e-9


def pairs(interactions: Any, players: Sequence[Any]) -> pd.DataFrame:
    """Return the interaction of every two players as a table, substitutes first.

    An interaction below zero means that two players are worth less together than apart: what one knows, the other
    knows too. Above zero they are worth more together.

    Parameters
    ----------
    interactions
        The ``InteractionValues`` of shapiq, of order 2 or more.
    players
        What the players are called, ``[n_players]``: those of a game.

    Returns
    -------
    A table with the columns ``first``, ``second``, ``interaction`` and ``together``, which is ``"substitutes"``,
    ``"complements"``, or ``"independent"`` where the interaction is round-off beside the largest of all.

    Raises
    ------
    InvalidValueError
        If there are no interactions of two players, or players are others.

    Examples
    --------
    >>> from shapiq import ExactComputer, Game
    >>> class Shoes(Game):
    ...     def value_function(self, coalitions):
    ...         left, right, other = coalitions.T
    ...         return (left & (right | other)).astype(float)
    >>> game = Shoes(3, normalize=False)
    >>> table = pairs(ExactComputer(game=game, n_players=3)("SII", 2), ["left", "right", "other"])
    >>> print(table.round(1).to_string(index=False))
    first second  interaction    together
    right  other         -0.5 substitutes
     left  right          0.5 complements
     left  other          0.5 complements
    """
    if interactions.max_order < 2:
        raise InvalidValueError(
            f"the interactions are of order {interactions.max_order}, but those of two players are needed: compute "
            f"them with max_order=2."
        )
    if interactions.n_players != len(players):
        raise InvalidValueError(
            f"there are {len(players)} players, but interactions of {interactions.n_players}: pass those of the game."
        )
    count = range(len(players))
    rows = [(players[i], players[j], float(interactions[(i, j)])) for i in count for j in count[i + 1 :]]
    table = pd.DataFrame(rows, columns=["first", "second", "interaction"])
    same = _ROUND_OFF * float(np.abs(interactions.values).max(initial=0.0))
    signs = {-1: "substitutes", 0: "independent", 1: "complements"}
    table["together"] = [signs[(value > same) - (value < -same)] for value in table["interaction"]]
    return table.sort_values("interaction", kind="stable", ignore_index=True)
