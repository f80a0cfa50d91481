"""What errors of coalitions, copies and names advise, followed to the letter."""

from __future__ import annotations

import pickle
import sys
import tempfile
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from advice import Case, check, without_a_case
from torch import nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem, ValuationResult, shapley_values
from unshap_plugin.coalitions import as_coalitions
from unshap_plugin.errors import UnshapError
from unshap_plugin.support.importing import load_object

FOLDERS = [
    f"unshap_plugin/{name}.py"
    for name in ("coalitions", "support/portable", "support/importing", "support/serialization")
]


def absolute(outputs, targets):
    return (outputs[:, 0] - targets).abs()


def problem(loss):
    x = torch.as_tensor(np.random.default_rng(0).normal(size=(24, 3)))
    y = (x[:, 0] > 0).long()
    torch.manual_seed(0)
    return ValuationProblem(nn.Linear(3, 2).double(), (x[:12], y[:12]), (x[12:], y[12:]), loss=loss)


def in_joblib():
    """Let joblib send a problem that pickle does not take to another process."""
    sent = problem(lambda outputs, y: F.cross_entropy(outputs, y, reduction="none"))
    [there] = joblib.Parallel(n_jobs=2)([joblib.delayed(lambda one: float(one.given_utility))(sent)])
    assert there == float(sent.given_utility)


def from_a_folder():
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "put_on_the_path.py").write_text("answer = 42\n", encoding="utf-8")
        sys.path.insert(0, folder)
        try:
            assert load_object("put_on_the_path:answer") == 42
        finally:
            sys.path.remove(folder)
            sys.modules.pop("put_on_the_path", None)


def same(expected, found):
    np.testing.assert_array_equal(found, expected)


RESULT = shapley_values(UnlearningGame(problem(absolute), "finetune"), "permutation", budget=50)


def from_a_file():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.json"
        path.write_text(RESULT.to_json(), encoding="utf-8")
        same(RESULT.values, ValuationResult.from_json(path.read_text(encoding="utf-8")).values)


CASES = [
    Case(
        "numbers for coalitions",
        lambda: as_coalitions([[1, 0]], 2),
        "use np.asarray(coalitions, dtype=bool)",
        (lambda: same([[True, False]], as_coalitions(np.asarray([[1, 0]], dtype=bool), 2)),),
    ),
    Case(
        "a lambda that pickle does not take",
        lambda: pickle.dumps(problem(lambda outputs, y: absolute(outputs, y))),
        "define its functions and classes at the top level of a module (no lambda, nothing within a function), or let "
        "joblib send it",
        (
            lambda: same(
                problem(absolute).given_utility,
                pickle.loads(pickle.dumps(problem(absolute))).given_utility,
            ),
            in_joblib,
        ),
    ),
    Case(
        "the path of a result",
        lambda: ValuationResult.from_json("result.json"),
        "pass what to_json returned, of a file the text that it holds",
        (lambda: same(RESULT.values, ValuationResult.from_json(RESULT.to_json()).values), from_a_file),
    ),
    Case(
        "a name without a module",
        lambda: load_object("pi"),
        "write it as package.module:name",
        (lambda: same(np.pi, load_object("math:pi")),),
    ),
    Case(
        "a module that is nowhere",
        lambda: load_object("put_on_the_path:answer"),
        "install it, or put its folder on the path (python -m pytest does)",
        (lambda: same(np.pi, load_object("numpy:pi")), from_a_folder),
    ),
    Case(
        "a misspelt name in a module",
        lambda: load_object("math:taau"),
        "(did you mean 'tau'?)",
        (lambda: same(2 * np.pi, load_object("math:tau")),),
    ),
]


@pytest.mark.parametrize("value", [np.zeros((30, 3)), list(range(300)), "long" * 99], ids=["array", "list", "text"])
@pytest.mark.parametrize("name", ["optimizer", "lr", "epochs"])
def test_what_was_given_is_shown_on_one_line(name, value):
    with pytest.raises(UnshapError) as caught:
        Recipe(**{name: value})
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_an_error_advises_helps(case):
    check(case)


def test_all_that_is_advised_is_followed():
    assert without_a_case(FOLDERS, CASES) == []
