"""What a store is on disk: an SQLite file with a header of its own, tables, and a checksum for every batch."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.store.fingerprint import Fingerprint

__all__ = ["GameRow", "connected", "create", "faults", "insert", "sound"]

#: What the header of the file says it is, ``unsh``, and the version of the tables.
_APPLICATION, _VERSION = 0x756E7368, 1
_TABLES = f"""
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_VERSION};
CREATE TABLE games (
    id INTEGER PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE, n_players INTEGER NOT NULL, shape TEXT NOT NULL,
    description TEXT NOT NULL
);
CREATE TABLE batches (
    id INTEGER PRIMARY KEY, game INTEGER NOT NULL REFERENCES games, written TEXT NOT NULL, coalitions BLOB NOT NULL,
    utilities BLOB NOT NULL, checksum BLOB NOT NULL
);
CREATE INDEX batches_of_games ON batches (game, id);
PRAGMA journal_mode = WAL;
"""
#: How long a process waits for another one that is writing, in seconds.
_PATIENCE = 60.0

#: A row of games: the fingerprint, the number of players, and shape and description as JSON.
GameRow: TypeAlias = tuple[str, int, str, str]


def create(path: Path) -> None:
    """Make an empty store at ``path``, whole or not at all.

    Raises
    ------
    OSError, sqlite3.Error
        If it cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
        beside = Path(folder) / path.name
        with contextlib.closing(connected(beside, "rwc")) as connection:
            connection.executescript(_TABLES)
        with contextlib.suppress(FileExistsError):  # another process made it meanwhile
            path.hardlink_to(beside)


def connected(path: Path, mode: str) -> sqlite3.Connection:
    """Return a connection to the file at ``path``, which does not make it unless ``mode`` is ``"rwc"``.

    Raises
    ------
    sqlite3.Error
        If it cannot be opened.
    """
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode={mode}", uri=True, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
    )
    # What a process wrote survives its end; only a power failure may take the last transactions, and those whole.
    try:
        connection.execute("PRAGMA synchronous = NORMAL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def faults(path: Path) -> list[str]:
    """Return what is wrong with the file at ``path``, in clauses, without changing it; nothing for a sound store.

    Raises
    ------
    OSError, sqlite3.Error
        If it cannot be read.
    """
    other = _other_kind(path)
    if other is not None:
        return [other]
    waiting = path.with_name(f"{path.name}-wal")
    # What a process that was killed left beside the file would be moved into it by a connection that may write.
    mode = "ro" if waiting.exists() and waiting.stat().st_size else "rw"
    try:
        with contextlib.closing(connected(path, mode)) as connection:
            found = [str(text) for (text,) in connection.execute("PRAGMA integrity_check")]
            damaged = [" ".join(text.split()) for text in found if text != "ok"] or list(_damaged_batches(connection))
    except sqlite3.OperationalError:  # of the system, not of the file
        raise
    except sqlite3.DatabaseError as error:
        damaged = [str(error)]
    return [f"it is damaged ({text})" for text in damaged]


def _other_kind(path: Path) -> str | None:
    """Return why a file is no store, as its header shows, read without SQLite."""
    with path.open("rb") as file:
        header = file.read(100)
    if len(header) < 100:
        return "it is empty" if not header else "it is not an SQLite file"
    if not header.startswith(b"SQLite format 3\0"):
        return "it is not an SQLite file"
    version, application = (int.from_bytes(header[at : at + 4], "big") for at in (60, 68))
    if application != _APPLICATION:
        return "it is an SQLite file of another program"
    if version != _VERSION:
        return f"it is in version {version} of the format, and this package has {_VERSION}"
    return None


def _damaged_batches(connection: sqlite3.Connection) -> Iterator[str]:
    rows = connection.execute(
        "SELECT b.id, sha256, n_players, shape, description, coalitions, utilities, checksum "
        "FROM batches b LEFT JOIN games g ON g.id = b.game"
    )
    for number, sha256, n_players, shape, description, coalitions, utilities, checksum in rows:
        if not sound((sha256, n_players, shape, description), coalitions, utilities, checksum):
            yield f"batch {number} is not what was written"


def sound(game: GameRow, coalitions: object, utilities: object, checksum: object) -> bool:
    """Tell whether a batch is what was written: the bits of its coalitions and utilities, and the row of its game."""
    if not (isinstance(coalitions, bytes) and isinstance(utilities, bytes)):
        return False
    return checksum == _checksum(game, coalitions, utilities)


def _checksum(game: GameRow, coalitions: bytes, utilities: bytes) -> bytes:
    return hashlib.sha256(repr(game).encode() + coalitions + utilities).digest()


def insert(
    connection: sqlite3.Connection, game: Fingerprint, keys: Sequence[bytes], utilities: NDArray[np.float64]
) -> int:
    """Insert a batch of coalitions by their ``keys``, and its game where that is new; return the number of the batch.

    Raises
    ------
    sqlite3.Error
        If it cannot be written.
    """
    connection.execute(
        "INSERT OR IGNORE INTO games (sha256, n_players, shape, description) VALUES (?, ?, ?, ?)",
        (game.sha256, game.n_players, json.dumps(game.shape), json.dumps(dict(game.description))),
    )
    # The description is that of who came first.
    [(number, *row)] = connection.execute(
        "SELECT id, sha256, n_players, shape, description FROM games WHERE sha256 = ?", (game.sha256,)
    )
    coalitions, numbers = b"".join(keys), np.ascontiguousarray(utilities, "<f8").tobytes()
    when = datetime.now(timezone.utc).isoformat(timespec="seconds")
    checksum = _checksum(tuple(row), coalitions, numbers)
    batch = connection.execute(
        "INSERT INTO batches (game, written, coalitions, utilities, checksum) VALUES (?, ?, ?, ?, ?)",
        (number, when, coalitions, numbers, checksum),
    )
    assert batch.lastrowid is not None
    return batch.lastrowid
