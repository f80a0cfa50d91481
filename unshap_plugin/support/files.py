"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

__all__ = ["write_text"]


def write_text(path: Path, text: str) -> None:
    """Write a text beside where it goes, and move it into place when it is complete.

    Raises
    ------
    OSError
        If it cannot be written, or what is there is no regular file; that is left as it is.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_text(Path(folder) / "page.html", "<p>acme")
    ...     (Path(folder) / "page.html").read_text(encoding="utf-8"), len(list(Path(folder).iterdir()))
    ('<p>acme', 1)
    """
    if path.exists() and not path.is_file():  # a device or a pipe would be replaced by a file
        raise OSError(errno.EINVAL, "no regular file", str(path))
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
        made = Path(folder) / path.name
        made.write_bytes(text.encode("utf-8"))
        made.replace(path)
