"""The command ``unshap``, which hands over to one of its commands."""

from __future__ import annotations

import argparse
import functools
import importlib
import io
import re
import shlex
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, NoReturn

from unshap_plugin.cli import COMMANDS
from unshap_plugin.cli._advice import in_options
from unshap_plugin.cli._scheduler import on_cluster
from unshap_plugin.cli._signals import at_once
from unshap_plugin.cli._terminal import fitted, put
from unshap_plugin.errors import InvalidValueError, UnshapError, nearest

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    0; 1 if a conformance check failed; 2 after an error (one sentence on stderr); 130 after ctrl-C, 143 after
    SIGTERM, also where values so far were given.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # names and summaries may be of any script, terminals are not
    # What was typed, for reports.
    options = argparse.Namespace(command=shlex.join(["unshap", *(sys.argv[1:] if argv is None else argv)]))
    try:
        _parser().parse_args(argv, options)
        with warnings.catch_warnings(), at_once():
            warnings.showwarning = functools.partial(_show_warning, options)
            run: Callable[[argparse.Namespace], int] = options.run
            with on_cluster(options):
                return run(options)
    except UnshapError as error:
        _complain(f"error: {in_options(' '.join(str(error).split()), vars(options))}")
        return 2
    except KeyboardInterrupt as end:
        _complain(f"interrupted, without results{_left(options, end)}")
        return 128 + (end.args[0] if end.args else signal.SIGINT)
    finally:
        put("")  # what is still to be written, help texts included


def _left(options: argparse.Namespace, end: KeyboardInterrupt) -> str:
    """Return why there are no results, where more than the interruption is to blame, and what there is instead."""
    cause = end.__cause__
    why = f" ({in_options(str(cause).rstrip('.'), vars(options))})" if isinstance(cause, UnshapError) else ""
    store = getattr(options, "store", None)
    kept = "" if store is None or not store.exists() else f"; what was evaluated is in {store}"
    return why + kept


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are the one sentence that all errors of this command are."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Refuse what is not known by the command that it follows, which knows what may have been meant."""
        options, unknown = super().parse_known_args(args, namespace)
        if unknown:
            # Without the dashes, which would make any two options alike.
            name, known = (
                unknown[0].partition("=")[0].strip("-"),
                [one.strip("-") for one in self._option_string_actions],
            )
            meant = nearest(name, known).replace("mean '", "mean '--")
            self.error(f"unrecognized arguments: {' '.join(unknown)}{meant}")
        return options, unknown

    def error(self, message: str) -> NoReturn:
        choice = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message)
        meant = nearest(choice[1], re.findall(r"[\w-]+", choice[2])) if choice else ""
        raise InvalidValueError(f"{message}{meant}; see {self.prog} --help.")


class _Help(argparse.HelpFormatter):
    """The list of commands with a line each: names and what they do side by side, however long the names."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=18)
        self._action_max_length = 16


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="unshap",
        description="Value training data by unlearning it from a trained model.",
        epilog="example: unshap value --example breast_cancer    (each command's --help has one)",
        formatter_class=_Help,
    )
    parser.add_argument("--version", action="version", version=f"unshap {version('unshap-plugin')}")
    commands = parser.add_subparsers(title="commands", metavar="command", required=True)
    for name in COMMANDS:
        importlib.import_module(f"unshap_plugin.cli.{name}").add(commands)
    return parser


def _show_warning(options: argparse.Namespace, message: Warning | str, *_: Any, **__: Any) -> None:
    _complain(f"warning: {in_options(' '.join(str(message).split()), vars(options))}")


def _complain(what: str) -> None:
    sys.stderr.write(fitted(f"unshap: {what}", sys.stderr) + "\n")
