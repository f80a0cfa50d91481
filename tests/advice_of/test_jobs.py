"""What errors of jobs and memory advise, followed to the letter."""

from __future__ import annotations

import dataclasses
import os
import threading
from typing import ClassVar

import numpy as np
import pytest
import torch
from advice import Case, check, without_a_case
from torch import nn

from unshap_plugin import UnlearningGame, ValuationProblem
from unshap_plugin.plugin import Unlearner
from unshap_plugin.unlearners.models import StackedModels

FOLDERS = [
    f"unshap_plugin/{name}.py"
    for name in ("evaluation/passes", "evaluation/remote", "support/memory", "support/announcing", "support/threads")
]
COALITIONS = np.random.default_rng(0).random((20, 12)) < 0.5


@dataclasses.dataclass(frozen=True)
class Fails(Unlearner):
    """Fails, or ends its process, in any but the first one, when it gets more than so many coalitions."""

    name: ClassVar[str] = "fails"
    ends: bool = False
    most: int = 0
    home: int = dataclasses.field(default_factory=os.getpid)

    def _unlearn(self, problem, coalitions, seed):
        if os.getpid() != self.home and len(coalitions) > self.most:
            if self.ends:
                os._exit(1)
            raise ZeroDivisionError
        return StackedModels(problem.engine, problem.engine.stack(len(coalitions)))


class Locked(Fails):
    """An unlearner that no pickler takes."""

    name: ClassVar[str] = "locked"

    def __init__(self):
        super().__init__(most=100)
        object.__setattr__(self, "lock", threading.Lock())


def play(unlearner="finetune", **kwargs):
    x = torch.as_tensor(np.random.default_rng(0).normal(size=(24, 3)))
    y = (x[:, 0] > 0).long()
    torch.manual_seed(0)
    problem = ValuationProblem(nn.Linear(3, 2).double(), (x[:12], y[:12]), (x[12:], y[12:]))
    assert np.isfinite(UnlearningGame(problem, unlearner, **kwargs)(COALITIONS)).all()


def elsewhere_otherwise():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unshap_plugin.evaluation.remote.version", lambda name: "0.1")
        play(n_jobs=2)


CASES = [
    Case(
        "other software in another process",
        elsewhere_otherwise,
        "install the same there, or use n_jobs=1",
        (lambda: play(n_jobs=2), lambda: play(n_jobs=1)),
    ),
    Case(
        "no jobs",
        lambda: play(n_jobs=0),
        "use 1, or -1 for one on each core",
        (lambda: play(n_jobs=1), lambda: play(n_jobs=-1)),
    ),
    Case(
        "what no pickler takes",
        lambda: play(Locked(), n_jobs=2),
        "use n_jobs=1",
        (lambda: play(Locked(), n_jobs=1),),
    ),
    Case(
        "a failure in another process alone",
        lambda: play(Fails(), n_jobs=2),
        "use n_jobs=1",
        (lambda: play(Fails(), n_jobs=1),),
    ),
    Case(
        "a process that ends",
        lambda: play(Fails(ends=True, most=1), n_jobs=2),
        "use n_jobs=1, or less memory",
        (lambda: play(Fails(ends=True), n_jobs=1), lambda: play(Fails(ends=True, most=1), n_jobs=2, memory="1 KB")),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_an_error_advises_helps(case):
    check(case)


def test_all_that_is_advised_is_followed():
    assert without_a_case(FOLDERS, CASES) == []
