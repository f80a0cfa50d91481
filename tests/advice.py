"""What the tests of advice share: an error, and each way out that its message names."""

from __future__ import annotations

import ast
import re
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from unshap_plugin.errors import UnshapError

ROOT = Path(__file__).resolve().parents[1]
#: What a message advises begins with one of these.
ADVICE = re.compile(
    r"\b(use|pass|give|drop|impute|encode|choose|set|install|check|convert|make|return|copy|call|name|say|rename|"
    r"remove|raise|lower|keep|write|add|fit|train|value|register|upgrade|update|declare|leave|merge|move|load|"
    r"end|take|put|try|run|start|ask|build|create|select|list|replace|delete|sort|state|implement|define|import)\b"
)


@dataclass(frozen=True)
class Case:
    """Something that fails, and what its message advises.

    Attributes
    ----------
    name
        What is wrong, in a few words.
    fails
        Raises one of the package's errors.
    says
        The words of the message that advise, exactly as they stand there.
    ways
        One function for every alternative that the advice names: each does what it says, and asserts that it helped.
    """

    name: str
    fails: Callable[[], object]
    says: str
    ways: tuple[Callable[[], object], ...]


def check(case: Case) -> None:
    """Fail unless the error advises what is claimed, and each of its ways helps."""
    with pytest.raises(UnshapError) as caught:
        case.fails()
    assert case.says in str(caught.value)
    for way in case.ways:
        way()


def sites(folders: Iterable[str]) -> Iterator[tuple[str, range]]:
    """Yield the file and the lines of every ``raise`` whose own words advise something."""
    for folder in folders:
        path = ROOT / folder
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                    words = [c.value for c in ast.walk(node.exc) if isinstance(c, ast.Constant)]
                    text = "".join(word for word in words if isinstance(word, str))
                    if ADVICE.search(text):
                        assert node.end_lineno is not None
                        yield str(file.relative_to(ROOT)), range(node.lineno, node.end_lineno + 1)


def raised_at(fails: Callable[[], object]) -> set[tuple[str, int]]:
    """Return every file and line of the package that an error passed through, its causes included."""
    try:
        fails()
    except UnshapError as error:
        found: set[tuple[str, int]] = set()
        cause: BaseException | None = error
        while cause is not None:
            for frame in traceback.extract_tb(cause.__traceback__):
                if frame.lineno is not None and Path(frame.filename).is_relative_to(ROOT):
                    found.add((str(Path(frame.filename).relative_to(ROOT)), frame.lineno))
            cause = cause.__cause__ or cause.__context__
        return found
    raise AssertionError("it did not fail")


def without_a_case(folders: Iterable[str], cases: Iterable[Case], describing: Collection[str] = ()) -> list[str]:
    """Return where the package advises something that no case follows, as ``file:line``.

    Those that hold one of the texts ``describing`` advise nothing.
    """
    seen: set[tuple[str, int]] = set().union(*(raised_at(case.fails) for case in cases))
    found = []
    for file, lines in sites(folders):
        source = "\n".join((ROOT / file).read_text(encoding="utf-8").splitlines()[lines.start - 1 : lines.stop - 1])
        if not any((file, line) in seen for line in lines) and not any(text in source for text in describing):
            found.append(f"{file}:{lines.start}")
    return found
