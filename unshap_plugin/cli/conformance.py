"""``unshap conformance``: check what a name stands for against what it promises."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the parser."""
    parser = commands.add_parser(
        "conformance",
        help="check an unlearner, an estimator or an evaluator against what it promises",
        description="Check the axioms and contracts on small games and problems whose answers are known. Exit code 1 "
        "if a check fails.",
    )
    parser.add_argument(
        "name", metavar="NAME", help="a registered unlearner, an estimator, or package.module:object for your own"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Check what a name stands for. The suite is imported here, since it builds on this package."""
    from unshap_conformance import table, tasks_of
    from unshap_conformance.naming import subject_named
    from unshap_conformance.runner import run_tasks

    here = str(Path.cwd())
    sys.path.insert(0, here)  # package.module:object may be in the folder that this runs in
    try:
        subject = subject_named(options.name)
        records = run_tasks(tasks_of(subject, subject.checks), on_fail="collect")
    finally:
        sys.path.remove(here)
    failed = [str(record) for record in records if record.status == "failed"]
    sys.stdout.write("\n\n".join([table(records), *failed]) + "\n")
    return 1 if failed else 0
