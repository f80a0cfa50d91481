"""``unshap store``: what a store of utilities holds, whether it is sound, and what another one has beside."""

from __future__ import annotations

import argparse
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unshap_plugin.cli._output import say
from unshap_plugin.errors import InvalidValueError
from unshap_plugin.store.file import Store, StoredGame
from unshap_plugin.store.layout import faults
from unshap_plugin.support.printing import lines_of

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the parser."""
    parser = commands.add_parser(
        "store",
        epilog="example: unshap store values.db --verify",
        help="list, verify or merge stored utilities",
        description="List the games whose utilities are in a file that --store wrote.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the store")
    parser.add_argument("--verify", action="store_true", help="say all that is damaged in it (and exit with 1)")
    parser.add_argument("--merge", type=Path, metavar="OTHER", help="add what another store has and this one has not")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Verify the store, or list it after what another one has was added."""
    lines: list[str] = []
    try:
        if options.verify:
            _check_there(options.file)
            found = faults(options.file.absolute())
            if found:
                say(found)
                return 1
            lines = ["sound: every batch is what was written"]
        if options.merge is not None:
            _check_there(options.merge)
            other = Store(options.merge)
            added, differing = Store(options.file).merge(other)
            lines.append(f"merged: {added:,} coalitions of {options.merge}")
            if differing:
                lines.append(f"note: {differing:,} have other utilities there, and those of this store stay")
        _check_there(options.file)
        say([*lines, *_table(Store(options.file).games())])
    except (OSError, sqlite3.Error) as error:
        raise InvalidValueError(f"the store {str(options.file)!r} cannot be read or written ({error}).") from error
    return 0


def _check_there(path: Path) -> None:
    if not path.exists():
        raise InvalidValueError(f"there is no store {str(path)!r}: give a file that --store wrote.")


def _table(games: list[StoredGame]) -> Iterator[str]:
    """Yield a line for each game, in the order in which they came."""
    rows = [("game", "model", "unlearner", "metric", "seed", "players", "coalitions", "last written")]
    for one in games:
        about = one.fingerprint.description
        settings = ", ".join(f"{name}={value}" for name, value in about["settings"].items())
        unlearner = f"{about['unlearner']} ({settings})" if settings else about["unlearner"]
        counts = (str(about["seed"]), f"{one.fingerprint.n_players:,}", f"{one.coalitions:,}")
        rows.append((one.fingerprint.sha256[:8], about["model"], unlearner, about["metric"], *counts, one.written))
    yield from lines_of(rows, left=4)
