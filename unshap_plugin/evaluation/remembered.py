"""The utilities that are known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.coalitions import keys_of
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
        self._known: dict[bytes, NDArray[np.float64]] = {key: everybody}

    def __len__(self) -> int:
        """Return the number of coalitions."""
        return len(self._known)

    @property
    def excluded(self) -> int:
        """Number of coalitions whose utility is not finite."""
        return int(np.isnan(self._table().reshape(len(self), -1)).any(axis=1).sum())

    def missing(self, keys: Iterable[bytes]) -> list[bytes]:
        """Return which keys (see ``coalitions.keys_of``) are of coalitions that are not known, each once."""
        return [key for key in dict.fromkeys(keys) if key not in self._known]

    def add(self, keys: Sequence[bytes], utilities: NDArray[np.float64]) -> None:
        """Take the utilities ``[m]`` or ``[m, t]`` of coalitions that were not known."""
        self._known.update(zip(keys, utilities, strict=True))

    def of(self, keys: Sequence[bytes]) -> NDArray[np.float64]:
        """Return the utilities ``[m]`` or ``[m, t]`` of coalitions that are known."""
        return np.array([self._known[key] for key in keys], dtype=np.float64).reshape(len(keys), *self.shape)

    def all(self) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Return the coalitions, bool ``[m, n_players]``, and their utilities, ``[m]`` or ``[m, t]``."""
        bits = np.frombuffer(b"".join(self._known), dtype=np.uint8).reshape(len(self), -1)
        return np.unpackbits(bits, axis=1, count=self.n_players).view(np.bool_), self._table()

    def _table(self) -> NDArray[np.float64]:
        return np.array(list(self._known.values()), dtype=np.float64)
