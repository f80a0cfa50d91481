"""What the tests of advice share: an error, and each way out that its message names."""

from __future__ import annotations

import ast
import re
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from unshap_plugin.errors import UnshapError

ROOT = Path(__file__).resolve().parents[1]
#: What a message advises begins with one of these.
ADVICE = re.compile(
    r"\b(use|pass|give|drop|impute|encode|choose|set|install|check|convert|make|return|copy|call|name|say|rename|"
    r"remove|raise|lower|keep|write|add|fit|train|value|register|upgrade|update|declare|leave|merge|move|load|"
    r"end|take|put|try|run|start|ask|build|create|select|list|replace|delete|sort|state|implement|define|import|"
    r"fill|wrap|draw|prepare|number the|work on|correct|separate|subtract|multiply|rescale)\b"
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


def with_plugins(function: Callable[[], object], *folders: str) -> Callable[[], object]:
    """Return the function, which finds the fake distributions of these folders installed."""

    def run() -> object:
        with pytest.MonkeyPatch.context() as patch:
            for folder in folders:
                patch.syspath_prepend(str(ROOT / "tests" / "plugins" / "distributions" / folder))
            return function()

    return run


def sites(folders: Iterable[str]) -> Iterator[tuple[str, range]]:
    """Yield the file and the lines of every ``raise`` whose words advise something.

    These are its own, those of variables of its function, and what functions of its module return that it calls.
    """
    for folder in folders:
        path = ROOT / folder
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            tree = ast.parse(file.read_text(encoding="utf-8"))
            called = {one.name: one for one in tree.body if isinstance(one, ast.FunctionDef)}
            found = {}  # by line: of functions within functions both are walked
            for function in ast.walk(tree):
                if isinstance(function, ast.FunctionDef):
                    found |= {one.lineno: one for one in _advising(function, called)}
            for line, node in sorted(found.items()):
                assert node.end_lineno is not None
                yield str(file.relative_to(ROOT)), range(line, node.end_lineno + 1)


def _advising(function: ast.FunctionDef, called: Mapping[str, ast.FunctionDef]) -> Iterator[ast.Raise]:
    assigned = [one for one in ast.walk(function) if isinstance(one, ast.Assign)]
    for node in ast.walk(function):
        if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)):
            continue
        parts: list[ast.AST] = [node.exc]
        names = {one.id for one in ast.walk(node.exc) if isinstance(one, ast.Name)}
        parts += [one.value for one in assigned for to in one.targets if isinstance(to, ast.Name) and to.id in names]
        parts += [
            one for name in names & called.keys() for one in ast.walk(called[name]) if isinstance(one, ast.Return)
        ]
        if any(ADVICE.search(_words(part)) for part in parts):
            yield node


def _words(node: ast.AST) -> str:
    constants = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant)]
    return "".join(one for one in constants if isinstance(one, str))


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
