"""The lowest versions that the project says it works with, as requirements of pip: ``python tests/lowest.py``."""

from __future__ import annotations

import sys
from pathlib import Path

import tomllib

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def lowest() -> list[str]:
    """Return what the package needs to run, each at its lowest version."""
    needed = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["dependencies"]
    return [one.replace(">=", "==") for one in needed]


if __name__ == "__main__":
    sys.stdout.write(" ".join(lowest()) + "\n")
