"""A report as a file."""

from __future__ import annotations

from pathlib import Path

from unshap_plugin.errors import InvalidValueError
from unshap_plugin.support.files import write_text

__all__ = ["save_report"]


def save_report(path: Path, page: str) -> None:
    """Write a page whole, or not at all.

    Raises
    ------
    InvalidValueError
        If it cannot be written.

    Examples
    --------
    >>> save_report(Path("nowhere/report.html"), "<p>")
    Traceback (most recent call last):
    ...
    unshap_plugin.errors.InvalidValueError: the report cannot be written to 'nowhere/report.html' ([Errno 2] No such \
file or directory: ...): give another path.
    """
    try:
        write_text(path, page)
    except OSError as error:
        raise InvalidValueError(
            f"the report cannot be written to {str(path)!r} ({error}): give another path."
        ) from error
