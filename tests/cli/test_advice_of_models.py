"""What the command line advises about models of one's own, followed to the letter."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from advice import Case, check, without_a_case
from typed import NUMBERED, TRAIN, VALUE, refused, values, write

OWN = """
from torch import nn
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge

class Pair(nn.Module):
    def __init__(self, d, c):
        super().__init__()
        self.layer = nn.Linear(d, c)
    def forward(self, x):
        return self.layer(x), x

class Numbered(Ridge):
    def fit(self, x, y):
        raise ValueError("I take no rows")

def pair(d, c): return Pair(d, c)
def soft(d, c): return nn.Sequential(nn.Linear(d, c), nn.Softmax(dim=-1))
def good(d, c): return nn.Linear(d, c)
def one(d, c): return nn.Linear(d, 1)
def wide(d, c): return nn.Linear(d + 1, c)
def half(d, c): return nn.Linear(d, c).half()
def single(d, c): return half(d, c).float()
def frozen(d, c): return nn.Linear(d, c).requires_grad_(False)
def forest(d, c): return RandomForestClassifier(5, random_state=0)
def ridge(d, c): return Ridge()
def numbered(d, c): return Numbered()
"""
NUMBERS = ("value", "train.csv", *VALUE[4:])


def fails(*command, train=TRAIN):
    """Return what writes the models and types a command that is refused."""

    def run():
        _prepare(train)
        refused(*command)

    return run


def works(*command, train=TRAIN):
    """Return what types a command as was advised, and finds values that are not all nothing."""

    def run():
        _prepare(train)
        found = values(*command)
        assert len(found) == 3
        assert any(found.values())

    return run


def _prepare(train):
    write(train)
    Path("own.py").write_text(OWN)
    sys.modules.pop("own", None)


def imported(name, *, there):
    """Return what types the name of a factory, with the module in the working directory or not."""

    def run():
        _prepare(TRAIN)
        if not there:
            Path("own.py").unlink()
        (values if there else refused)(*VALUE, "--model", name)

    return run


GOOD = works(*VALUE, "--model", "own:good")
FACTORY = "a callable (n_features, n_outputs) that returns an untrained model"

CASES = [
    Case(
        "a module that is not there",
        imported("own:good", there=False),
        "expected package.module:factory, importable from here",
        (imported("own:good", there=True),),
    ),
    Case("no factory", fails(*VALUE, "--model", "own:"), "write it as package.module:name", (GOOD,)),
    Case("no such factory", fails(*VALUE, "--model", "own:goood"), "(did you mean 'good'?)", (GOOD,)),
    Case("a factory that is none", fails(*VALUE, "--model", "own:nn"), f"{FACTORY} is needed", (GOOD,)),
    Case(
        "a class in place of a factory",
        fails(*VALUE, "--model", "own:Ridge"),
        f"expected {FACTORY}",
        (
            GOOD,
            works(*NUMBERS, "--model", "own:ridge", train=NUMBERED),
        ),
    ),
    Case(
        "a factory of something else",
        fails(*VALUE, "--model", "builtins:complex"),
        ("a torch.nn.Module or an object with fit and predict is needed"),
        (GOOD, works(*VALUE, "--model", "own:forest")),
    ),
    Case(
        "a model that learns nothing",
        fails(*VALUE, "--model", "own:frozen"),
        "give a module that can be trained",
        (works(*VALUE, "--model", "own:good"),),
    ),
    Case(
        "a model in half precision",
        fails(*VALUE, "--model", "own:half"),
        "in single precision, as its .float() is",
        (works(*VALUE, "--model", "own:single"),),
    ),
    Case(
        "a model of one output",
        fails(*VALUE, "--model", "own:one"),
        ("give a model that returns as many as its factory is told"),
        (works(*VALUE, "--model", "own:good"),),
    ),
    Case(
        "a model that ends in a softmax",
        fails(*VALUE, "--model", "own:soft"),
        "give a model without that last layer",
        (works(*VALUE, "--model", "own:good"),),
    ),
    *(
        Case(
            f"a model that cannot be trained, {name}",
            fails(*VALUE, "--model", f"own:{name}"),
            ("give a model that takes rows of features and returns one output per class, or one number"),
            (
                works(*VALUE, "--model", "own:good"),
                works(*NUMBERS, "--model", "own:one", train=NUMBERED),
            ),
        )
        for name in ("pair", "wide")
    ),
    Case(
        "an object that cannot be trained",
        fails(*NUMBERS, "--model", "own:numbered", train=NUMBERED),
        ("give a model that takes rows of features and returns one output per class, or one number"),
        (
            works(*VALUE, "--model", "own:forest"),
            works(*NUMBERS, "--model", "own:ridge", train=NUMBERED),
        ),
    ),
    Case(
        "a regressor of classes",
        fails(*VALUE, "--model", "own:ridge"),
        "give a model for a classification",
        (works(*VALUE, "--model", "own:forest"),),
    ),
    Case(
        "a classifier of numbers",
        fails(*NUMBERS, "--model", "own:forest", train=NUMBERED),
        "give a model for a regression",
        (works(*NUMBERS, "--model", "own:ridge", train=NUMBERED),),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_advised_about_models_helps(case):
    check(case)


def test_every_advice_about_models_is_followed():
    assert without_a_case(["unshap_plugin/cli/_models.py"], CASES) == []
