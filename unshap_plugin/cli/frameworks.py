"""``unshap frameworks``: the frameworks that are installed, and which adapters work."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import warnings
from importlib import import_module
from typing import Any

from unshap_plugin.cli._terminal import put
from unshap_plugin.frameworks import FRAMEWORKS, Framework, FrameworkError, check_framework
from unshap_plugin.support.printing import lines_of

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the parser."""
    parser = commands.add_parser(
        "frameworks",
        epilog="example: unshap frameworks",
        help="list the frameworks that there are adapters for",
        description="List the frameworks that there are adapters for, with versions, and which adapters work.",
    )
    parser.add_argument("--json", action="store_true", help="as data")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """List the frameworks."""
    found = [(one, _obstacle(one)) for one in FRAMEWORKS.values()]
    if options.json:
        data = [
            {
                "framework": one.name,
                "installed": one.installed,
                "works_with": one.versions,
                "adapter": one.adapter,
                "works": obstacle is None,
                "reason": obstacle,
            }
            for one, obstacle in found
        ]
        text = json.dumps(data, indent=1)
    else:
        rows = [("framework", "installed", "works with", "adapter", "state")]
        rows += [
            (one.name, one.installed or "-", one.versions, one.adapter, obstacle or "works") for one, obstacle in found
        ]
        text = "\n".join(lines_of(rows, left=5))
    put(text + "\n")
    return 0


def _obstacle(one: Framework) -> str | None:
    """Return why an adapter does not work, if it does not."""
    helps = f"pip install 'unshap-plugin[{one.name}]'"
    if one.installed is None:
        return f"not installed: run {helps}"
    try:
        check_framework(one.name)
        with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):  # of what frameworks import
            warnings.simplefilter("ignore")
            import_module(one.adapter)
    except FrameworkError:
        return f"another version: run {helps}"
    except Exception as error:  # whatever comes of companions of other versions
        return f"cannot be imported ({type(error).__name__}: {' '.join(str(error).split())}): run {helps}"
    return None
