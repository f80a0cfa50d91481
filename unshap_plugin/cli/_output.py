"""Files that are written whole or not at all, and what is said of a run."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unshap_plugin.cli._terminal import fitted, put
from unshap_plugin.errors import InvalidValueError
from unshap_plugin.reports.page import html_report
from unshap_plugin.reports.saving import save_report
from unshap_plugin.support.printing import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from unshap_plugin.audit.report import FidelityReport
    from unshap_plugin.results.payments import Payouts
    from unshap_plugin.results.result import ValuationResult

__all__ = ["add_json", "add_report", "check_out", "say", "write", "write_report"]

#: The files that a command may write into its folder: those of an earlier run do not stay beside new ones.
FILES = {
    "value": ("values.csv", "result.json", "values.png", "payments.csv", "audit.json"),
    "audit": ("audit.csv", "audit.json", "audit.png"),
    "tune": ("tune.csv",),
    "text": ("values.csv", "result.json", "values.png"),
}
#: The options that name a file which is written, beside the folder of --out.
_WRITTEN = ("save_artifacts", "report")
#: The options whose files are read.
_READ = ("train", "test", "eval", "reference", "artifacts", "store")


def add_report(parser: argparse.ArgumentParser) -> None:
    """Add the argument for the report."""
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="also write a page of HTML that can be sent: the answer in words, table and picture, how far to trust it, "
        "and how it was made",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the argument for data on stdout."""
    parser.add_argument("--json", action="store_true", help="print the result as data; what is said goes to stderr")


def check_out(command: str, options: argparse.Namespace) -> None:
    """Refuse what could not be written, or should not be, before anything is read or made.

    Raises
    ------
    InvalidValueError
        If the folder of ``--out``, or of a file that an option names, cannot be written to; if a file that is read
        would be overwritten; or if results of another command are there, which would stand beside those of this one.
    """
    _check_writable(options.out, "--out")
    written = {options.out / name: "--out" for name in FILES[command]}
    for name in _WRITTEN:
        file: Path | None = getattr(options, name, None)
        if file is None:
            continue
        option = f"--{name.replace('_', '-')}"
        _check_file(file, option, options.out)
        for path, other in written.items():
            if _same(file, path):
                raise InvalidValueError(f"{option} and {other} would both write {str(file)!r}: give another {option}.")
        written[file] = option
    for name in _READ:
        given: Path | None = getattr(options, name, None)
        for path, option in written.items():
            if given is not None and _same(given, path):
                raise InvalidValueError(
                    f"{str(path)!r} would be overwritten, but it is the {name} file that is read: give another "
                    f"{option}."
                )
            if given is not None and option != "--out" and given.is_dir() and _within(path, given):
                raise InvalidValueError(
                    f"{str(path)!r} of {option} would be among the {name} files that are read: give another {option}."
                )
    others = [name for names in FILES.values() for name in names if name not in FILES[command]]
    for name in others:
        if (options.out / name).exists():
            raise InvalidValueError(
                f"the output folder {str(options.out)!r} holds {name} of another command, which would seem to belong "
                f"to these results: give another --out, or move that file away."
            )


def write(command: str, out: Path, outputs: Mapping[str, str | Axes]) -> Iterator[str]:
    """Write all files, texts and pictures, beside each other, and move them into place when they are complete.

    What an earlier run of the command left in the folder is replaced or removed.

    Returns
    -------
    Lines that name the files that were written, and the earlier ones.

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
            old = [name for name in FILES[command] if (out / name).exists()]
            stale = [name for name in old if name not in outputs]
            for name in stale:
                (out / name).unlink()
            for name in outputs:
                (Path(folder) / name).replace(out / name)
    except OSError as error:
        raise InvalidValueError(
            f"the results cannot be written to {str(out)!r} ({error}): give another --out."
        ) from error
    replaced = [name for name in old if name in outputs]
    names = {"wrote": list(outputs), "replaced": replaced, "removed": stale}
    return (
        f"{word:<12} {', '.join(str(out / name) for name in each)}{' of an earlier run' if word != 'wrote' else ''}"
        for word, each in names.items()
        if each
    )


def write_report(
    options: argparse.Namespace,
    result: ValuationResult,
    notes: Iterable[str],
    audit: FidelityReport | None = None,
    paid: Payouts | None = None,
) -> Iterator[str]:
    """Write the report that ``--report`` asks for, with the notes that were printed.

    Returns
    -------
    A line that names it, if it was asked for.

    Raises
    ------
    InvalidValueError
        If it cannot be written.
    """
    path: Path | None = options.report
    if path is None:
        return
    word = "replaced" if path.exists() else "wrote"
    save_report(path, html_report(replace(result, notes=tuple(notes)), audit, paid, options.command))
    yield f"{word:<12} {path}"


def say(lines: Iterable[str], *, json: bool = False) -> None:
    """Print lines, each of which is one whatever the names in it are, without empty ones at the beginning.

    With ``--json`` they go to stderr: stdout is for the data.
    """
    stream = sys.stderr if json else sys.stdout
    put("\n".join(fitted(one_line(line), stream) for line in lines).lstrip("\n") + "\n", stream)


def _check_writable(folder: Path, option: str) -> None:
    """Refuse a folder that could not be written to, without making it yet."""
    existing = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise InvalidValueError(
            f"the output folder {str(folder)!r} cannot be written ({error.strerror}: {str(existing)!r}): "
            f"give another {option}."
        ) from error


def _check_file(path: Path, option: str, out: Path) -> None:
    """Refuse a file that could not be written, whose folder has to be there, or to be that of results."""
    try:
        if path.is_dir():
            what = "is a folder"
        elif path.exists() and not path.is_file():
            what = "is a device or a pipe"
        elif not path.parent.is_dir() and path.parent.resolve() != out.resolve():
            what = f"lies in {str(path.parent)!r}, which is no folder"
        else:
            what = ""
    except OSError as error:  # such as of a name that is too long
        what = f"cannot be written ({error.strerror})"
    if what:
        raise InvalidValueError(f"the file {str(path)!r} of {option} {what}: give the path of a file.")
    _check_writable(path.parent, option)


def _within(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve() or (one.exists() and other.exists() and one.samefile(other))
