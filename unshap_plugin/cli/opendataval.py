"""``unshap opendataval``: OpenDataVal's own command, with these evaluators in its list."""

from __future__ import annotations

import argparse
from typing import Any

from unshap_plugin.errors import InvalidValueError

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the parser, which leaves all that follows the command to OpenDataVal."""
    parser = commands.add_parser(
        "opendataval",
        prefix_chars="\0",  # no argument begins so: what look like options are not ours
        add_help=False,
        help="OpenDataVal's own command, with these evaluators in its list",
    )
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run OpenDataVal's command. Its list of evaluators freezes on import, so ours are imported first."""
    try:
        import unshap_opendataval  # noqa: F401
        from opendataval.__main__ import cli
    except ImportError as error:
        raise InvalidValueError(
            f"OpenDataVal cannot be imported ({error}): run pip install 'unshap-plugin[opendataval]', which "
            f"brings it and what it needs."
        ) from error
    try:
        cli(args=options.arguments, prog_name="unshap opendataval")
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    return 0
