"""The commands and snippets of the README, by name: ``python tests/readme.py test`` prints the test command."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
_MARKED = re.compile(r"<!-- run: (\w+) -->\n```(\w+)\n(.*?)```", re.DOTALL)


def blocks() -> dict[str, tuple[str, str]]:
    """Return language and text of every marked block."""
    return {name: (language, text.strip()) for name, language, text in _MARKED.findall(README)}


if __name__ == "__main__":
    sys.stdout.write(blocks()[sys.argv[1]][1] + "\n")
