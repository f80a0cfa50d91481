"""Players and their values: which one is meant, and that there is one of each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.errors import InvalidValueError, UnknownNameError

__all__ = ["check_one_value", "place_of"]


def check_one_value(what: str, values: NDArray[np.float64]) -> None:
    """Raise unless there is one value per player, ``[n_players]``, for ``what`` is asked for.

    Raises
    ------
    InvalidValueError
        If the values are vectors, ``[n_players, t]``.

    Examples
    --------
    >>> check_one_value("payouts", np.zeros(3))
    """
    if values.ndim > 1:
        raise InvalidValueError(
            f"{what} needs one value per player, but the metric measures several things: pass one of them as metric to "
            f"value."
        )


def place_of(player: Any, players: tuple[Any, ...]) -> int:
    """Return where a player stands among the players.

    Raises
    ------
    UnknownNameError
        If there is no such player.

    Examples
    --------
    >>> place_of("bolt", ("acme", "bolt"))
    1
    """
    try:
        return players.index(player)
    except ValueError:
        raise UnknownNameError("player", player, map(str, players)) from None
