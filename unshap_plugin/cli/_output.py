"""Files that are written whole or not at all, lines of tables, and a bar that says how far a command is."""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from unshap_plugin.errors import InvalidValueError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["check_file", "check_writable", "lines_of", "number", "progress_bar", "write"]


def check_writable(out: Path, option: str = "--out") -> None:
    """Refuse a folder that could not be written to, without making it yet; the option is where it was given.

    Raises
    ------
    InvalidValueError
        If it, or the folder that it would be made in, cannot be written to.
    """
    existing = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise InvalidValueError(
            f"the output folder {str(out)!r} cannot be written ({error.strerror}: {str(existing)!r}): "
            f"give another {option}."
        ) from error


def check_file(path: Path, option: str) -> None:
    """Refuse a file that could not be written, whose folder has to be there; the option is where it was given.

    Raises
    ------
    InvalidValueError
        If it is a folder, or lies in none that can be written to.
    """
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else f"lies in {str(path.parent)!r}, which is no folder"
        raise InvalidValueError(f"the file {str(path)!r} of {option} {what}: give the path of a file.")
    check_writable(path.parent, option)


def write(out: Path, outputs: Mapping[str, str | Axes]) -> None:
    """Write all files, texts and pictures, beside each other, and move them into place when they are complete.

    Raises
    ------
    InvalidValueError
        If the folder cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".") as folder:
            for name, content in outputs.items():
                path = Path(folder) / name
                if isinstance(content, str):
                    path.write_bytes(content.encode("utf-8"))
                else:
                    figure: Any = content.figure
                    figure.savefig(path, dpi=150)
            for name in outputs:
                (Path(folder) / name).replace(out / name)
    except OSError as error:
        raise InvalidValueError(
            f"the results cannot be written to {str(out)!r} ({error}): give another --out."
        ) from error


def lines_of(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table: its first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield "  ".join(cells).rstrip()


def number(value: float, form: str) -> str:
    """Return a number in the given format, and a dash for one that is not defined."""
    return "-" if math.isnan(value) else format(value, form)


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on stderr, where that is a terminal, that is told how much is done, and how much there is."""
    # disable=None: only where stderr is a terminal.
    with tqdm(desc=what, unit="", leave=False, disable=None, file=sys.stderr) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield progress
