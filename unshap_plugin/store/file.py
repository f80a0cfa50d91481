"""Evaluated coalitions on disk: one file for any number of games, which survives whatever ends a run."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.errors import InvalidTypeError, InvalidValueError
from unshap_plugin.store.fingerprint import Fingerprint
from unshap_plugin.store.layout import connected, create, faults, insert, sound
from unshap_plugin.support.portable import Portable

__all__ = ["Batch", "Store", "StoredGame"]

_BATCHES = """
SELECT b.id, written, coalitions, utilities, checksum, sha256, n_players, shape, description
FROM batches b JOIN games g ON g.id = b.game WHERE sha256 = ? AND b.id > ? ORDER BY b.id
"""
#: Those of this process.
_stores: weakref.WeakSet[Store] = weakref.WeakSet()
_REMEDY = "give the path of a store, or of a file that is not there yet"


@dataclass(frozen=True)
class Batch:
    """Coalitions that were written together.

    Parameters
    ----------
    number, written
        Its number in the file, and when it was written.
    keys
        The coalitions, as ``coalitions.keys_of`` gives them.
    utilities
        Float64 ``[m]`` or ``[m, t]``.
    """

    number: int
    written: str
    keys: list[bytes]
    utilities: NDArray[np.float64]


@dataclass(frozen=True)
class StoredGame:
    """A game of a store.

    Parameters
    ----------
    fingerprint
        What its utilities depend on.
    coalitions, written
        How many are stored, and when the last of them was.
    """

    fingerprint: Fingerprint
    coalitions: int
    written: str


class Store(Portable):
    """A file of evaluated coalitions, which any number of processes may share.

    What a transaction wrote is there whatever ends the process. Connections are opened where they are needed: copies of
    a store in other processes have their own.

    Parameters
    ----------
    path
        The file, which is made where there is none.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If that is no path, or the file is none of these, is damaged, or cannot be made; it is left as it is.

    Examples
    --------
    >>> game = Fingerprint("c0ffee", 2, (), {"model": "Ridge"})
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store, other = Store(f"{folder}/values.db"), Store(f"{folder}/other.db")
    ...     store.write(game, [b"@"], np.array([0.5]))
    ...     other.merge(store), other.merge(store)
    ...     [batch.utilities.tolist() for batch in other.batches(game)], len(other.games()), faults(other.path)
    1
    ((1, 0), (0, 0))
    ([[0.5]], 1, [])
    """

    _left_behind: ClassVar[tuple[str, ...]] = ("_connection", "_file", "_lock")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._make_anew()
        if not isinstance(path, str | os.PathLike):
            raise InvalidTypeError(f"store is a {type(path).__name__}, but the path of a file is needed.")
        self.path = Path(path).absolute()
        try:
            if not self.path.exists():
                create(self.path)
            found = faults(self.path)
        except (OSError, sqlite3.Error) as error:
            raise InvalidValueError(f"the store {str(path)!r} cannot be opened ({error}): {_REMEDY}.") from error
        if found:
            raise InvalidValueError(f"{str(path)!r} cannot be used as a store, since {found[0]}: {_REMEDY}.")

    def _make_anew(self) -> None:
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None  # which one that is open to
        _stores.add(self)

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, if there is one; the next that is asked of the store opens another."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def games(self) -> list[StoredGame]:
        """Return the games, in the order in which they came."""
        with self._lock:
            rows = self._connected().execute("SELECT sha256, n_players, shape, description FROM games").fetchall()
        found = []
        for sha256, n_players, shape, description in rows:
            game = Fingerprint(sha256, n_players, tuple(json.loads(shape)), json.loads(description))
            batches = list(self.batches(game))
            keys = {key for batch in batches for key in batch.keys}
            found.append(StoredGame(game, len(keys), batches[-1].written))
        return found

    def batches(self, game: Fingerprint, after: int = 0) -> Iterator[Batch]:
        """Yield what was written of a ``game``, in order, ``after`` a batch of that number.

        Raises
        ------
        sqlite3.Error
            If it cannot be read.
        """
        with self._lock:
            rows = self._connected().execute(_BATCHES, (game.sha256, after))
            for number, written, coalitions, utilities, checksum, *row in rows:
                if not sound(tuple(row), coalitions, utilities, checksum):
                    raise sqlite3.DatabaseError(f"batch {number} is not what was written")
                width = -(-game.n_players // 8)
                keys = [coalitions[at : at + width] for at in range(0, len(coalitions), width)]
                yield Batch(number, written, keys, np.frombuffer(utilities, "<f8").reshape(len(keys), *game.shape))

    def write(self, game: Fingerprint, keys: Sequence[bytes], utilities: NDArray[np.float64]) -> int:
        """Write the ``utilities``, ``[m]`` or ``[m, t]``, of coalitions of a ``game``, given by their ``keys``.

        Returns
        -------
        The number of the batch.

        Raises
        ------
        sqlite3.Error
            If it cannot be written; nothing is then.
        """
        with self._transaction() as connection:
            return insert(connection, game, keys, utilities)

    def merge(self, other: Store) -> tuple[int, int]:
        """Take what ``other`` has and this one has not, or has only as excluded.

        Returns
        -------
        How many coalitions that were, and how many are in both with other utilities: those of this one stay.

        Raises
        ------
        sqlite3.Error
            If it cannot be written; nothing is then.
        """
        added = differing = 0
        with self._transaction() as connection:
            for theirs in other.games():
                game = theirs.fingerprint
                ours = {k: v for one in self.batches(game) for k, v in zip(one.keys, one.utilities, strict=True)}
                for batch in other.batches(game):
                    pairs = dict(zip(batch.keys, batch.utilities, strict=True))
                    new = {key: one for key, one in pairs.items() if key not in ours or _better(one, ours[key])}
                    old = ((ours[key], one) for key, one in pairs.items() if key not in new)
                    differing += sum(mine.tobytes() != one.tobytes() for mine, one in old)
                    if new:
                        insert(connection, game, list(new), np.array(list(new.values())))
                    ours.update(new)
                    added += len(new)
        return added, differing

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = connected(self.path, "rw")
            self._file = _identity(self.path)
        elif _identity(self.path) != self._file:  # what is written to one that was removed, nobody finds
            self.close()
            raise sqlite3.OperationalError("the file is gone")
        return self._connection

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            connection = self._connected()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # of some errors SQLite itself rolls back
                    connection.execute("ROLLBACK")
                raise


def _better(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    return bool(np.isfinite(one).all() and not np.isfinite(other).all())


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells the file at a path from another one that is put there; ``None`` where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


#: Those that are kept from being used while this process forks.
_held: list[Store] = []


def _before_fork() -> None:
    """Close all connections: SQLite takes one that a forked process inherits for its own, and loses count of locks."""
    for store in list(_stores):
        store._lock.acquire()
        store.close()
        _held.append(store)


def _after_fork() -> None:
    while _held:
        _held.pop()._lock.release()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
