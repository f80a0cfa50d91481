"""Digests: the same for what is the same, and others for what is not."""

from __future__ import annotations

import copy
import dataclasses
import enum
import fnmatch
import functools
import math
import sys
import threading
import types
import weakref

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from torch import nn

from unshap_plugin.losses import cross_entropy, mse
from unshap_plugin.support.digest import digest

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 3))
Y = (X[:, 0] > 0).astype(int)
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary())
NESTED = st.recursive(
    PLAIN, lambda one: st.one_of(st.lists(one), st.tuples(one, one), st.dictionaries(st.text(), one)), max_leaves=5
)
SHIFT = 1


def plus(x):
    return x + SHIFT


class Doubling(nn.Module):
    def __init__(self, factor=2):
        super().__init__()
        self.layer, self.last = nn.Linear(3, 2), lambda x: factor * x

    def forward(self, x):
        return self.last(self.layer(x))


@dataclasses.dataclass(frozen=True)
class Settings:
    steps: int = 1
    more: list = dataclasses.field(default_factory=list)
    #: What a class shares with its objects.
    tag = "a"

    @property
    def double(self):
        return plus(self.steps)


class Kind(enum.Enum):
    ONE = 1
    TWO = 2


class Odd(nn.Linear):
    """A module that refuses to be pickled."""

    def __getstate__(self):
        raise RuntimeError("not this way")


def seeded(make):
    torch.manual_seed(0)
    return make()


THINGS = {
    "module": lambda: seeded(Doubling),
    "lstm": lambda: copy.deepcopy(seeded(lambda: nn.LSTM(2, 2))),
    "weight norm": lambda: seeded(lambda: nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))),
    "attention": lambda: seeded(lambda: nn.TransformerEncoderLayer(4, 2)),
    "unpickled": lambda: seeded(lambda: Odd(2, 2)),
    "forest": lambda: RandomForestClassifier(3, random_state=0).fit(X, Y),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=3, random_state=np.random.RandomState(1)).fit(X, Y),
    "neighbours": lambda: KNeighborsClassifier(algorithm="kd_tree").fit(X, Y),
    "pipeline": lambda: make_pipeline(StandardScaler(), FunctionTransformer(np.abs)).fit(X, Y),
    "table": lambda: pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": pd.Categorical(["u", "v"])}),
    "dates": lambda: pd.Series([1, 2], index=pd.date_range("2020", periods=2)),
    "sparse": lambda: scipy.sparse.csr_matrix(X),
    "settings": lambda: Settings(2, [1]),
    "enumeration": lambda: [Kind.TWO, Kind],
    "functions": lambda: [plus, functools.partial(plus, x=1), lambda x: plus(x) + math.pi, np.add, len, "a".join],
    "methods": lambda: [Settings(3).__repr__, Settings.__init__],
    "generators": lambda: [np.random.default_rng(3), torch.Generator().manual_seed(3)],
    "dtypes": lambda: [torch.float32, torch.device("cpu"), torch.Size([2]), np.float64(2), np.dtype("f4")],
    "sets": lambda: [{"a", "b", "c"}, frozenset({1, 2})],
    "objects": lambda: np.array([1, "a", None], dtype=object),
    "records": lambda: np.array([(1, 2.0)], dtype=np.dtype([("a", "i1"), ("b", "f8")], align=True)),
    "half": lambda: torch.ones(2, dtype=torch.bfloat16),
    "mapping": lambda: types.MappingProxyType({"a": 1}),
    "modules": lambda: [math, nn],
    "cached": lambda: functools.cached_property(plus),
}


@pytest.mark.parametrize("name", THINGS)
def test_it_is_the_same_for_what_was_made_alike(name):
    assert digest(THINGS[name]()) == digest(THINGS[name]())


def test_it_is_another_for_each():
    assert len({digest(make()) for make in THINGS.values()}) == len(THINGS)


@settings(max_examples=25)
@given(NESTED, NESTED)
def test_equal_values_and_no_others_have_the_same(one, two):
    assert digest(one) == digest(copy.deepcopy(one))
    assert (digest(one) == digest(two)) == (repr(one) == repr(two))


def changed(module):
    module.layer.bias.data[0] += 1e-6
    return module


def having(**attributes):
    def plain(x):
        return x > plain.least

    vars(plain).update(attributes)
    return plain


def remembering(factor):
    space = {"functools": functools}
    exec(f"@functools.cache\ndef factor():\n    return {factor}\n\ndef scaled(x):\n    return x * factor()", space)
    return space["scaled"]


class Named:
    """What is pickled by a name alone."""

    def __init__(self, factor):
        self.factor = factor

    def __reduce__(self):
        return "NAMED"

    def __call__(self, x):
        return self.factor * x


class Compiled:
    """What says nothing of what it does, as functions of compiled modules."""

    __slots__ = ()

    def __reduce__(self):
        return "COMPILED"


def otherwise(value):
    """The class of these settings, with another attribute or method."""
    return type("Settings", (), {**vars(Settings), **value})


def recursive(depth):
    def down(n):
        return down(n - 1) if n else depth

    return down


ALIKE = {
    "a parameter": (lambda: seeded(Doubling), lambda: changed(seeded(Doubling))),
    "a closure": (lambda: seeded(Doubling), lambda: seeded(lambda: Doubling(3))),
    "a frozen parameter": (lambda: torch.ones(2), lambda: torch.ones(2, requires_grad=True)),
    "a dtype": (lambda: torch.zeros(2), lambda: torch.zeros(2, dtype=torch.int32)),
    "a shape": (lambda: np.zeros((2, 3)), lambda: np.zeros((3, 2))),
    "a default": (lambda: lambda x, a=1: x, lambda: lambda x, a=2: x),
    "a constant": (lambda: lambda x: x + 1, lambda: lambda x: x + 2),
    "an attribute": (lambda: lambda x: x.sum(), lambda: lambda x: x.mean()),
    "a function of a library": (lambda: cross_entropy, lambda: mse),
    "an attribute of a class": (lambda: otherwise({}), lambda: otherwise({"tag": "b"})),
    "a method of a class": (lambda: otherwise({}), lambda: otherwise({"double": property(lambda self: 3)})),
    "what a function refers to within": (lambda: recursive(1), lambda: recursive(2)),
    "the order of a dict": (lambda: {"a": 1, "b": 2}, lambda: {"b": 2, "a": 1}),
    "a type": (lambda: 1, lambda: True),
    "an attribute of a function": (lambda: having(least=0.3), lambda: having(least=0.7)),
    "a function whose results are kept": (lambda: remembering(1.0), lambda: remembering(100.0)),
    "an object that goes by a name": (lambda: Named(1), lambda: Named(2)),
    "a bound object": (lambda: "a".join, lambda: "b".join),
}


@pytest.mark.parametrize("name", ALIKE)
def test_it_is_another_for_what_differs_in(name):
    one, two = ALIKE[name]
    assert digest(one()) == digest(one())
    assert digest(one()) != digest(two())


def test_what_is_of_a_name_that_says_nothing_is_refused():
    with pytest.raises(TypeError, match=r"test_digest\.COMPILED"):
        digest(Compiled())


def test_what_a_library_keeps_the_results_of_goes_by_its_version():
    assert (
        digest(fnmatch._compile_pattern) == digest(copy.copy(fnmatch._compile_pattern)) != digest(functools.cache(plus))
    )


def test_it_follows_the_globals_of_a_function(monkeypatch):
    before = digest([plus, Settings])
    monkeypatch.setattr(sys.modules[__name__], "SHIFT", 2, raising=False)
    monkeypatch.setitem(plus.__globals__, "SHIFT", 2)
    assert digest([plus, Settings]) != before


def user_module(name, **members):
    module = types.ModuleType(name)
    vars(module).update(members)
    return module


@pytest.mark.parametrize("source", ["helpers.inner.scaled(x)", "scaled(x)"])
def test_it_follows_what_is_taken_from_a_module_of_the_users(monkeypatch, source):
    found = []
    for factor in (1, 2, 2):
        inner = user_module("helpers.inner", scaled=eval(f"lambda x: x * {factor}"))
        helpers = user_module("helpers", inner=inner, other=threading.Lock())
        inner.helpers = helpers  # modules may refer to each other
        monkeypatch.setitem(sys.modules, "helpers", helpers)
        monkeypatch.setitem(sys.modules, "helpers.inner", inner)
        space = {"helpers": helpers} if source.startswith("helpers") else {}
        imported = "" if space else "    from helpers.inner import scaled\n"
        exec(f"def own(x):\n{imported}    return {source}", space)
        found.append(digest(space["own"]))
    assert found[0] != found[1] == found[2]


def test_values_that_refer_to_themselves_have_one():
    one, two, three = [1], [1], [1]
    for each in (one, two):
        each.append(each)
    three.append([three])
    assert digest(one) == digest(two) != digest(three)
    assert digest(weakref.ref(plus)) == digest(weakref.ref(plus))


@pytest.mark.parametrize(
    "value", [threading.Lock(), user_module("helpers"), (one for one in ())], ids=["lock", "module", "generator"]
)
def test_what_says_nothing_of_what_it_holds_has_none(value):
    with pytest.raises(TypeError, match=r"lock|helpers|generator"):
        digest(["a", {"b": value}])


def test_what_is_nested_too_deeply_has_none():
    value = []
    for _ in range(10 * sys.getrecursionlimit()):
        value = [value]
    with pytest.raises(TypeError, match="nested too deeply"):
        digest(value)
