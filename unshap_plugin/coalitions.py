"""Matrices of coalitions: one boolean row each, with one column per player."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unshap_plugin.errors import InvalidTypeError, InvalidValueError

__all__ = ["as_coalitions", "as_utilities", "by_size", "coalitions_of", "in_words", "keys_of"]


_NAMED = 6


def as_coalitions(coalitions: ArrayLike, n_players: int) -> NDArray[np.bool_]:
    """Return coalitions as a boolean matrix ``[m, n_players]``, ``True`` = kept.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If they are not boolean, or not of that shape.

    Examples
    --------
    >>> as_coalitions([[True, False]], 2).shape
    (1, 2)
    """
    try:
        matrix = np.asarray(coalitions)
    except (TypeError, ValueError) as error:  # such as a tensor that numpy cannot see
        raise InvalidValueError(f"coalitions are not a matrix ({error}): [m, {n_players}] is needed.") from error
    if matrix.dtype != np.bool_:
        raise InvalidTypeError(
            f"coalitions have dtype {matrix.dtype}, but a boolean matrix is needed (True = kept): use np.asarray("
            f"coalitions, dtype=bool)."
        )
    if matrix.ndim != 2 or matrix.shape[1] != n_players:
        raise InvalidValueError(
            f"coalitions have shape {list(matrix.shape)}, but [m, {n_players}] is needed: one column per player."
        )
    return matrix


def keys_of(matrix: NDArray[np.bool_]) -> list[bytes]:
    """Return the bits of each row ``[m, n_players]``, under which its utility is remembered.

    Examples
    --------
    >>> keys_of(np.array([[False, True, False, False, False, False, False, True]]))
    [b'A']
    """
    return [row.tobytes() for row in np.packbits(matrix, axis=1)]


def coalitions_of(keys: Iterable[bytes], n_players: int) -> NDArray[np.bool_]:
    """Return the coalitions of keys (see ``keys_of``), bool ``[m, n_players]``.

    Examples
    --------
    >>> coalitions_of([b"A"], 8).astype(int)
    array([[0, 1, 0, 0, 0, 0, 0, 1]])
    """
    bits = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, -(-n_players // 8))
    return np.unpackbits(bits, axis=1, count=n_players).view(np.bool_)


def by_size(keys: Iterable[bytes]) -> list[bytes]:
    """Return keys (see ``keys_of``), those of the smallest coalitions first, and otherwise in their own order.

    Coalitions of one size train for equally long, so that those that are evaluated together wait for none of them.

    Examples
    --------
    >>> by_size([b"c", b"a", b"`"])
    [b'`', b'a', b'c']
    """
    return sorted(sorted(keys), key=lambda key: int.from_bytes(key, "big").bit_count())


def in_words(coalition: NDArray[np.bool_], players: Sequence[Any]) -> str:
    """Return a coalition, bool ``[n_players]``, in words that fit an error message.

    Examples
    --------
    >>> in_words(np.array([True, False]), ["acme", "bolt"])
    'the coalition that keeps 1 of 2 players (acme)'
    """
    kept = [str(player) for player, keep in zip(players, coalition, strict=True) if keep]
    shown = ", ".join(kept[:_NAMED]) + (", ..." if len(kept) > _NAMED else "")
    return f"the coalition that keeps {len(kept)} of {len(players)} players ({shown or 'none'})"


def as_utilities(given: Any, count: int) -> NDArray[np.float64]:
    """Return what a game gave for so many coalitions, a copy, float64 ``[count]`` or ``[count, t]``.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If that is not one utility (or vector of these) for each coalition, finite or NaN.

    Examples
    --------
    >>> as_utilities([1, 2], 2)
    array([1., 2.])
    """
    try:
        if np.iscomplexobj(given):
            raise TypeError("complex numbers have no order")
        # A copy, since an estimator may change what it is told, and a game may remember what it gave.
        utilities = np.array(given, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError) as error:  # the last of tensors that require a gradient
        raise InvalidTypeError(
            f"the game gave a {type(given).__name__} for {count} coalitions, but one number for each is needed "
            f"({error})."
        ) from error
    if utilities.shape[:1] != (count,) or utilities.ndim > 2:
        raise InvalidValueError(
            f"the game gave shape {list(utilities.shape)} for {count} coalitions, but [{count}] or [{count}, t] is "
            f"needed: one row for each."
        )
    if np.isinf(utilities).any():
        raise InvalidValueError("the game gave an infinite utility, but finite ones are needed (NaN: excluded).")
    return utilities
