"""Players: the owner of each training row, and the owners whose data is valued."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from unshap_plugin.errors import InvalidTypeError, InvalidValueError, in_short, nearest

__all__ = ["players_of", "shares_of_rows"]


def players_of(
    groups: ArrayLike | None, valued: Sequence[Any] | NDArray[Any] | None, rows: int, *, alone: bool
) -> tuple[list[Any], NDArray[np.int64]]:
    """Return the players, and the player of every row.

    Parameters
    ----------
    groups
        Labels ``[rows]``, one per row; ``None``: every row is a player, and is called by its number.
    valued
        The groups that are players; the others are background. ``None``: all of them.
    rows
        Number of training rows.
    alone
        Whether there may be a single player that has all rows.

    Returns
    -------
    tuple
        The players in order, and their numbers by row, int64 ``[rows]``, with -1 for background.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If the labels are not one per row, or the valued groups are not among them.

    Examples
    --------
    >>> players_of(["acme", "bolt", "acme"], ["bolt"], 3, alone=False)
    (['bolt'], array([-1,  0, -1]))
    """
    per_row = np.arange(rows) if groups is None else _labels(groups)
    if per_row.shape != (rows,):
        raise InvalidValueError(
            f"groups has shape {list(per_row.shape)}, but one label for each of the {rows} training rows is needed."
        )
    known = np.unique(per_row).tolist()
    if valued is not None:
        chosen = _chosen(valued, known)
    elif len(known) < 2 and not alone:
        raise InvalidValueError(
            f"groups has the single group {known[0]!r}, to which all the value belongs: at least two groups are "
            f"needed, or valued groups that leave a background."
        )
    else:
        chosen = known
    number = {player: index for index, player in enumerate(chosen)}
    return chosen, np.array([number.get(label, -1) for label in per_row.tolist()], dtype=np.int64)


def shares_of_rows(values: NDArray[np.float64], player_of_row: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return an equal share of the value of its player for every row, ``[rows]`` or ``[rows, t]``.

    Parameters
    ----------
    values
        Of the players, ``[n_players]`` or ``[n_players, t]``.
    player_of_row
        The number of the player of every row, int64 ``[rows]``: without background.

    Examples
    --------
    >>> shares_of_rows(np.array([6.0, 1.0]), np.array([0, 1, 0]))
    array([3., 1., 3.])
    """
    rows = np.bincount(player_of_row, minlength=len(values))
    shares: NDArray[np.float64] = (values.T / rows).T[player_of_row]
    return shares


def _chosen(valued: Sequence[Any] | NDArray[Any], known: list[Any]) -> list[Any]:
    """Return the valued groups, each once, in the order in which they were given."""
    if np.asarray(valued, dtype=object).ndim != 1:
        raise InvalidTypeError(f"valued is {in_short(valued)}, but a list of groups is needed.")
    listed = valued.tolist() if isinstance(valued, Tensor | np.ndarray) else list(valued)
    chosen = []
    for given in listed:
        one = str(given) if isinstance(given, str) else given.item() if isinstance(given, Tensor) else given
        if one not in known or any(isinstance(one, bool) != isinstance(group, bool) for group in known if group == one):
            close = nearest(one, (str(group) for group in known if str(group) != one))
            raise InvalidValueError(
                f"valued names {one!r}, which is not among the groups{close}; "
                f"the groups are {', '.join(map(repr, known[:10]))}{', ...' if len(known) > 10 else ''}."
            )
        chosen.append(known[known.index(one)])
    chosen = list(dict.fromkeys(chosen))
    if not chosen:
        raise InvalidValueError("valued is empty: name at least one group, or leave it out to value all of them.")
    return chosen


def _labels(labels: ArrayLike) -> NDArray[Any]:
    """Return group labels as an array that can be sorted: numbers, or text where any of them is text."""
    if isinstance(labels, str) or not isinstance(labels, Iterable) or getattr(labels, "ndim", 1) == 0:
        raise InvalidTypeError(
            f"groups is {in_short(labels)}, but one label per row is needed: pass that column itself."
        )
    if isinstance(labels, Set | Mapping):
        raise InvalidTypeError(
            f"groups is a {type(labels).__name__}, but a list is needed: one label per row, in order."
        )
    listed = labels.tolist() if isinstance(labels, Tensor | np.ndarray) else list(labels)  # type: ignore[arg-type]
    listed = [one.item() if isinstance(one, Tensor) and one.ndim == 0 else one for one in listed]
    try:
        missing = int(pd.isna(pd.Series(listed, dtype=object)).sum())
    except (TypeError, ValueError) as error:
        raise InvalidTypeError(f"groups cannot be read ({error}): one label per row is needed.") from error
    if missing:
        raise InvalidValueError(f"groups has no label in {missing} rows: every row needs one.")
    listed = [str(one) if isinstance(one, str) else one for one in listed]
    per_row = np.asarray(listed, dtype=object)
    if per_row.ndim != 1:
        return per_row
    numbers = all(isinstance(one, bool | int | float | np.number) for one in listed)
    unified = np.asarray(listed if numbers else [str(one) for one in listed])
    _check_apart(listed, unified.tolist(), numbers)
    return unified


def _check_apart(listed: list[Any], unified: list[Any], numbers: bool) -> None:
    """Raise where labels that are not the same would be one player: ``1`` and ``"1"``, or ``True`` and 1."""
    first: dict[Any, Any] = {}
    for given, one in zip(listed, unified, strict=True):
        other = first.setdefault(one, given)
        if given != other or (numbers and isinstance(given, bool) != isinstance(other, bool)):
            raise InvalidValueError(
                f"groups has the labels {other!r} and {given!r}, which could not be told apart: use labels of one "
                f"type, such as text."
            )
