"""Players by their names."""

from __future__ import annotations

from typing import Any

from unshap_plugin.errors import UnknownNameError

__all__ = ["place_of"]


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
