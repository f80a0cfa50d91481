"""Partial access on the command line: options that hide most of a table from the unlearner, and what contradicts."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from unshap_plugin.errors import InvalidValueError

__all__ = ["add_access", "check_access_options"]


def add_access(parser: argparse.ArgumentParser) -> Any:
    """Add the arguments that say what the unlearner may see."""
    access = parser.add_argument_group("access")
    access.add_argument(
        "--access",
        choices=["full", "partial"],
        default="full",
        help="partial: the model is trained on the whole table, but the unlearner sees only the rows of the --valued "
        "players, the reference table and the stored artefacts (default: %(default)s)",
    )
    access.add_argument(
        "--artifacts",
        type=Path,
        metavar="FILE",
        help="artefacts that stand in for the rows that are not at hand, as --save-artifacts wrote them for the same "
        "table, model and seed (only with --access partial)",
    )
    access.add_argument(
        "--save-artifacts",
        type=Path,
        metavar="FILE",
        help="also store sums over all training rows, from which some unlearners work with --access partial",
    )


def check_access_options(options: argparse.Namespace) -> None:
    """Refuse options that contradict each other, before anything is read.

    Raises
    ------
    InvalidValueError
        If options contradict each other; it says which to leave out, or to add.
    """
    if options.access == "full":
        if options.artifacts is not None:
            raise InvalidValueError(
                "--artifacts stand in for rows that are not at hand, but with --access full all of them are: leave it "
                "out, or add --access partial."
            )
        return
    if options.valued is None:
        raise InvalidValueError(
            "--access partial hides all rows but those of the groups that are valued, but none were named: add "
            "--valued GROUP, or leave out --access."
        )
    for option, purpose in (("save_artifacts", "sums over"), ("audit", "retrains on"), ("retrain", "retrains on")):
        if getattr(options, option) is not None:
            raise InvalidValueError(
                f"--{option.replace('_', '-')} {purpose} all training rows, but --access partial hides most of them: "
                f"leave one out."
            )
