"""``unshap unlearners``: a list of the unlearning methods."""

from __future__ import annotations

import argparse
from typing import Any

from unshap_plugin.cli._listing import as_json, one_as_json, one_as_text, table
from unshap_plugin.cli._terminal import put
from unshap_plugin.errors import InvalidValueError
from unshap_plugin.plugins.manager import plugins
from unshap_plugin.plugins.registry import find_unlearner

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the parser."""
    parser = commands.add_parser(
        "unlearners",
        epilog="example: unshap unlearners newton",
        help="list the unlearning methods, with those of plugins",
        description="List the unlearning methods that are built in or that plugins offer, and the plugins that failed.",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="show this one in full, with its settings")
    parser.add_argument("--json", action="store_true", help="as data")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """List the unlearners, or show one."""
    if options.name is None:
        text = as_json(plugins()) if options.json else "\n".join(table(plugins()))
    elif options.name == "auto":
        raise InvalidValueError("'auto' is no unlearner, but a choice among the built-in ones for a problem.")
    else:
        one = find_unlearner(options.name)
        text = one_as_json(options.name, one) if options.json else "\n".join(one_as_text(options.name, one))
    put(text + "\n")
    return 0
