"""The utilities that are known."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.coalitions import coalitions_of, keys_of
from unshap_plugin.support.portable import Portable

__all__ = ["Remembered"]


class Remembered(Portable):
    r"""Utilities of coalitions, each known once, in the order in which they came.

    Parameters
    ----------
    n_players
        Number of players.
    everybody
        The utility of the coalition that keeps everybody, float64, a scalar or ``[t]``, which is known from the start.

    Examples
    --------
    >>> known = Remembered(2, np.array(3.0))
    >>> known.missing([b"\xc0", b"\x80", b"\x80"])
    [b'\x80']
    >>> known.add([b"\x80"], np.array([1.0]))
    >>> len(known), known.of([b"\x80", b"\xc0"]), known.excluded, known.all()[0].tolist()
    (2, array([1., 3.]), 0, [[True, True], [True, False]])
    """

    def __init__(self, n_players: int, everybody: NDArray[np.float64]) -> None:
        self.n_players, self.shape = n_players, everybody.shape
        [key] = keys_of(np.ones((1, n_players), dtype=bool))
        # One array for all of them: as objects of their own they would take several times the memory.
        self._places: dict[bytes, int] = {key: 0}
        self._utilities = np.array(everybody, dtype=np.float64)[None]

    def __len__(self) -> int:
        """Return the number of coalitions."""
        return len(self._places)

    @property
    def excluded(self) -> int:
        """Number of coalitions whose utility is not finite."""
        return int(np.isnan(self._utilities[: len(self)].reshape(len(self), -1)).any(axis=1).sum())

    def missing(self, keys: Iterable[bytes]) -> list[bytes]:
        """Return which keys (see ``coalitions.keys_of``) are of coalitions that are not known, each once."""
        return [key for key in dict.fromkeys(keys) if key not in self._places]

    def add(self, keys: Sequence[bytes], utilities: NDArray[np.float64]) -> None:
        """Take the utilities ``[m]`` or ``[m, t]`` of coalitions; of those that were known they are replaced."""
        new = dict(zip(Remembered.missing(self, keys), itertools.count(len(self)), strict=False))
        size = len(self) + len(new)
        if size > len(self._utilities):
            more = np.empty((max(size, 2 * len(self._utilities)) - len(self._utilities), *self.shape))
            self._utilities = np.concatenate([self._utilities, more])
        places = (new[key] if key in new else self._places[key] for key in keys)
        self._utilities[np.fromiter(places, np.intp, len(keys))] = utilities
        self._places.update(new)  # at last: what is interrupted before is not known

    def of(self, keys: Sequence[bytes]) -> NDArray[np.float64]:
        """Return the utilities ``[m]`` or ``[m, t]`` of coalitions that are known."""
        return self._utilities[np.fromiter((self._places[key] for key in keys), np.intp, len(keys))]

    def all(self) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Return the coalitions, bool ``[m, n_players]``, and their utilities, ``[m]`` or ``[m, t]``."""
        return coalitions_of(self._places, self.n_players), self._utilities[: len(self)].copy()
