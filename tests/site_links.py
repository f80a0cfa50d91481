"""Every link within a built site leads somewhere: ``python tests/site_links.py site``."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What a page links to, and what in it can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = {"", "top"}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep targets and anchors."""
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.append(value)
            if name in ("id", "name") and value:
                self.anchors.add(value)


@functools.cache
def page(path: Path) -> Page:
    """Return a page, read once."""
    return Page(path.read_text(encoding="utf-8"))


def broken(site: Path) -> Iterator[str]:
    """Yield the links that lead nowhere."""
    for path in sorted(site.rglob("*.html")):
        for link in page(path).links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            there = target.is_file()
            if there and target.suffix == ".html":
                there = unquote(parts.fragment) in page(target).anchors
            if not there:
                yield f"{path.relative_to(site)}: {link}"


if __name__ == "__main__":
    found = [*broken(Path(sys.argv[1]).resolve())]
    sys.stdout.write("".join(f"{one}\n" for one in found) or "every link within the site leads somewhere\n")
    sys.exit(bool(found))
