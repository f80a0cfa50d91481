"""What errors about stores advise, followed to the letter."""

from __future__ import annotations

import dataclasses
import tempfile
import threading
import warnings
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from advice import Case, check, without_a_case
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from unshap_plugin import UnlearningGame, ValuationProblem
from unshap_plugin.plugin import Unlearner
from unshap_plugin.store.file import Store
from unshap_plugin.unlearners.models import StackedModels

FOLDERS = ["unshap_plugin/store", "unshap_plugin/evaluation/remembered.py"]
X, Y = np.arange(16.0).reshape(8, 2), np.resize([0, 1], 8)
LOCK = threading.Lock()
SHARED = [LOCK]


@dataclasses.dataclass(frozen=True)
class Chained(Unlearner):
    name: ClassVar[str] = "chained"
    order_dependent: ClassVar[bool] = True

    def _unlearn(self, problem, coalitions, seed):
        return StackedModels(problem.engine, problem.engine.stack(len(coalitions)))


def hits(outputs, targets):
    return (outputs.argmax(dim=-1) == targets).double().mean()


def guarded(outputs, targets):
    with SHARED[0]:
        return hits(outputs, targets)


class Numbered(KNeighborsClassifier):
    """Says another number each time that it is copied, or leaves it out."""

    copies: ClassVar[list[int]] = []

    def __getstate__(self):
        self.copies.append(1)
        return {**super().__getstate__(), "number": len(self.copies)}


class Sound(Numbered):
    def __getstate__(self):
        return {name: one for name, one in super().__getstate__().items() if name != "number"}


Sound.__getstate__ = KNeighborsClassifier.__getstate__


def play(model=None, unlearner="auto", store="values.db", **kwargs):
    problem = ValuationProblem((model or LogisticRegression()).fit(X, Y), (X, Y), (X + 0.1, Y), **kwargs)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*depends on the order", UserWarning)
        game = UnlearningGame(problem, unlearner, store=None if store is None else f"{folder}/{store}")
        assert np.isfinite(game(np.eye(8, dtype=bool))).all()


def opened(make, name="values.db"):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        make(path)
        assert Store(path).games() == []


CASES = [
    Case("no path", lambda: Store(3), "the path of a file is needed", (lambda: opened(lambda path: None),)),
    Case(
        "a folder",
        lambda: opened(Path.mkdir),
        "give the path of a store, or of a file that is not there yet",
        (lambda: opened(Store), lambda: opened(lambda path: None)),
    ),
    Case(
        "another file",
        lambda: opened(lambda path: path.write_text("a,b\n" * 100)),
        "give the path of a store, or of a file that is not there yet",
        (lambda: opened(Store), lambda: opened(lambda path: None)),
    ),
    Case(
        "an order",
        lambda: play(unlearner=Chained()),
        "leave out store, or give another unlearner",
        (lambda: play(unlearner=Chained(), store=None), lambda: play(unlearner="newton")),
    ),
    Case(
        "what says nothing",
        lambda: play(metric=guarded),
        "keep that out of it, or leave out store",
        (lambda: play(metric=hits), lambda: play(metric=guarded, store=None)),
    ),
    Case(
        "another state each time",
        lambda: play(Numbered(1)),
        "give it a __getstate__ without what changes, or leave out store",
        (lambda: play(Sound(1)), lambda: play(Numbered(1), store=None)),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_an_error_advises_helps(case):
    check(case)


def test_all_that_is_advised_is_followed():
    assert without_a_case(FOLDERS, CASES) == []
