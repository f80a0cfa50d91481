"""The commands and snippets of the documentation, by name: ``python tests/readme.py test`` prints the test command."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_MARKED = re.compile(r"<!-- (?:run|file): (\w+) -->\n```(\w+)\n(.*?)```", re.DOTALL)


def text_of(page: str) -> str:
    """Return the text of a page, such as ``"README.md"`` or ``"docs/audit.md"``."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str = "README.md") -> dict[str, tuple[str, str]]:
    """Return language and text of every marked block of a page."""
    return {name: (language, text.strip()) for name, language, text in _MARKED.findall(text_of(page))}


def run(snippet: str) -> None:
    """Run Python of a page as a script; in this process, since another one takes seconds to import torch."""
    exec(compile(snippet, "<snippet>", "exec"), {"__name__": "__main__"})


if __name__ == "__main__":
    sys.stdout.write(blocks()[sys.argv[1]][1] + "\n")
