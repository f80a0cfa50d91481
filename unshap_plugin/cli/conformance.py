"""``unshap conformance``: check what a name stands for against what it promises."""

from __future__ import annotations

import argparse
from typing import Any

from unshap_plugin.cli._terminal import put
from unshap_plugin.support.importing import working_directory_on_path

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the parser."""
    parser = commands.add_parser(
        "conformance",
        epilog="example: unshap conformance newton",
        help="check an unlearner or estimator against what it promises",
        description="Check the axioms and contracts on small games and problems whose answers are known. Exit code 1 "
        "if a check fails.",
    )
    parser.add_argument(
        "name", metavar="NAME", help="a registered unlearner, an estimator, or package.module:object for your own"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Check what a name stands for. The suite is imported here, since it builds on this package."""
    from unshap_conformance import check, table
    from unshap_conformance.subjects import subject_named

    with working_directory_on_path():  # what is checked may import more of its folder while it runs
        results = check(subject_named(options.name), on_fail="collect")
    failed = [str(result) for result in results if result.status == "failed"]
    put("\n\n".join([table(results), *failed]) + "\n")
    return 1 if failed else 0
