"""Fingerprints: another one for everything that utilities depend on, and the same in another process."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import inspect
import json
import os
import runpy
import subprocess
import sys
import textwrap
import threading
from typing import ClassVar
from unittest import mock

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem, compute_artifacts
from unshap_plugin.errors import InvalidTypeError
from unshap_plugin.evaluation.evaluation import Evaluation
from unshap_plugin.evaluation.remote import packed
from unshap_plugin.losses import cross_entropy
from unshap_plugin.plugin import Unlearner
from unshap_plugin.plugins.catalogue import Provider
from unshap_plugin.store.fingerprint import fingerprint
from unshap_plugin.unlearners import Newton, Retrain
from unshap_plugin.unlearners.models import StackedModels

RNG = np.random.default_rng(0)
X, TEST_X = RNG.normal(size=(12, 3)), RNG.normal(size=(10, 3))
Y, TEST_Y = np.resize([0, 1], 12), np.resize([0, 1], 10)
GROUPS = np.repeat(["acme", "bolt", "cairn"], 4)


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


def asked(**changed):
    given = {"model": network(), "train": (X, Y), "test": (TEST_X, TEST_Y), "groups": GROUPS, "fit": Recipe(lr=0.1)}
    return ValuationProblem(**{**given, **changed})


def of(problem, unlearner=None, provider=None, seed=0, on_error="raise"):
    return fingerprint(Evaluation(problem, unlearner or Newton(), provider, seed, on_error)).sha256


def moved(array):
    array = array.copy()
    array[3] += 1e-9
    return array


def hits(outputs, targets):
    return (outputs.argmax(dim=-1) == targets).double().mean()


def misses(outputs, targets):
    return -(outputs.argmax(dim=-1) != targets).double().mean()


PARTIAL = {"access": "partial", "train": (X[:8], Y[:8]), "groups": GROUPS[:8], "trained_rows": 12}
#: For each argument of a problem, changes of it that give another game (beside others, where it needs them).
CHANGES = {
    "model": [{"model": network(1)}, {"model": nn.Sequential(*network(), nn.Identity())}],
    "train": [{"train": (moved(X), Y)}, {"train": (X, Y[::-1].copy())}],
    "test": [{"test": (moved(TEST_X), TEST_Y)}, {"test": (TEST_X, TEST_Y[::-1].copy())}],
    "loss": [
        {"loss": "nll_loss", "outputs": "log_probabilities", "model": nn.Sequential(*network(), nn.LogSoftmax(-1))}
    ],
    "outputs": [{"outputs": "logits", "loss": lambda o, y: cross_entropy(o, y), "metric": "log_likelihood"}],
    "metric": [{"metric": one} for one in ("accuracy", hits, misses, {"a": "accuracy"}, "f1")],
    "groups": [{"groups": None}, {"groups": GROUPS[::-1].copy()}, {"groups": np.repeat(["acme", "bolt"], 6)}],
    "valued": [{"valued": ["acme", "bolt"]}, {"valued": ["acme", "cairn"]}],
    "reference": [{"reference": TEST_X + 1}, {"reference": "test"}],
    "access": [PARTIAL],
    "fit": [{"fit": None}, {"fit": Recipe(lr=0.2)}, {"fit": Recipe(lr=0.1, init=network(3))}],
    "artifacts": [{**PARTIAL, "artifacts": compute_artifacts(asked())}],
    "trained_rows": [{**PARTIAL, "trained_rows": 13}],
    "parameters": [{"parameters": "2"}, {"parameters": "0"}],
}


def test_every_argument_of_a_problem_is_part_of_it():
    assert set(CHANGES) == set(inspect.signature(ValuationProblem).parameters)
    found = [of(asked(**change)) for changes in CHANGES.values() for change in ({}, *changes)]
    assert len(set(found)) == 1 + sum(map(len, CHANGES.values()))
    assert of(asked(model=network())) == found[0]


def test_names_of_players_and_the_policy_are_no_part_of_it():
    renamed = asked(groups=np.repeat(["a", "b", "c"], 4))
    assert of(asked()) == of(renamed) == of(asked(), on_error="exclude")


def test_unlearner_settings_seed_and_versions_are_part_of_it():
    problem, provider = asked(), Provider("own", "1.0", "own")
    found = [
        of(problem),
        of(problem, Newton(steps=2)),
        of(problem, Retrain()),
        of(problem, seed=1),
        of(problem, provider=provider),
        of(problem, provider=dataclasses.replace(provider, version="1.1")),
    ]
    with mock.patch("unshap_plugin.evaluation.evaluation.versions", return_value={"unshap-plugin": "9"}):
        found.append(of(problem))
    assert len(set(found)) == len(found)
    with mock.patch("unshap_plugin.support.versions.platform.python_version", return_value="3.99.0"):
        assert of(problem) == found[0]


def test_what_fits_the_model_is_part_of_it():
    problem = ValuationProblem(KNeighborsClassifier(1).fit(X, Y), (X, Y), (TEST_X, TEST_Y))
    evaluation = Evaluation(problem, Retrain(), None, 0, "raise")
    assert {"scipy", "scikit-learn"} <= evaluation.versions.keys() & packed(evaluation).software.keys()
    before = fingerprint(evaluation).sha256
    for name in ("scipy", "scikit-learn"):
        other = mock.Mock(side_effect=lambda one, name=name: "9" if one == name else importlib.metadata.version(one))
        with mock.patch("unshap_plugin.support.versions.version", other):
            assert fingerprint(evaluation).sha256 != before


def shrinking(factor):
    @dataclasses.dataclass(frozen=True)
    class Shrinks(Unlearner):
        name: ClassVar[str] = "shrinks"

        def _unlearn(self, problem, coalitions, seed):
            given = problem.engine.stack(len(coalitions))
            return StackedModels(problem.engine, {name: factor * p for name, p in given.items()})

    return Shrinks()


def test_the_code_of_a_users_unlearner_is_part_of_it():
    assert of(asked(), shrinking(0.5)) == of(asked(), shrinking(0.5)) != of(asked(), shrinking(0.6))


def test_what_an_object_is_fitted_with_is_part_of_it():
    problems = [
        ValuationProblem(model.fit(X, Y), (X, Y), (TEST_X, TEST_Y))
        for model in (
            KNeighborsClassifier(1),
            KNeighborsClassifier(2),
            LogisticRegression(max_iter=50),
            LogisticRegression(),
        )
    ]
    assert len({of(one, Retrain()) for one in problems}) == len(problems)


class Restless(KNeighborsClassifier):
    """A model whose copies say that they are others."""

    made = 0

    def __getstate__(self):
        Restless.made += 1
        return {**super().__getstate__(), "number": Restless.made}


class Locked(KNeighborsClassifier):
    """A model that can be copied, and holds something that has no state."""

    def __init__(self, n_neighbors=1):
        super().__init__(n_neighbors)
        self.lock = _COPIED


class _Copied:
    def __deepcopy__(self, memo):
        return self

    def __reduce_ex__(self, protocol):
        raise TypeError("no")


_COPIED = _Copied()


def test_what_cannot_be_told_apart_is_refused(tmp_path):
    lock = threading.Lock()

    def guarded(outputs, targets):
        with lock:
            return hits(outputs, targets)

    for kwargs, words in (
        ({"metric": guarded}, "metric 'guarded' holds something that does not say what it is (a _thread.lock)"),
        ({"model": Locked().fit(X, Y), "fit": None}, "the model (Locked) holds something"),
        ({"model": Restless(1).fit(X, Y), "fit": None}, "the model (Restless) has another state each time"),
    ):
        with pytest.raises(InvalidTypeError) as caught:
            UnlearningGame(asked(**kwargs), store=tmp_path / "values.db")
        assert words in str(caught.value)


SCRIPT = """
import sys
import numpy as np
import torch
from torch import nn
from unshap_plugin import UnlearningGame, ValuationProblem
from unshap_plugin.store.file import Store

LEAST = 0.25

def share(outputs, targets):
    return {"a": 1, "b": 2}["a"] * max((outputs.argmax(dim=-1) == targets).double().mean(), torch.tensor(LEAST))

class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.kinds = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)), {"x", "y", "z"}

    def forward(self, x):
        return self.layer(x)

torch.manual_seed(0)
x = torch.randn(10, 3)
y = torch.tensor([0, 1] * 5)
problem = ValuationProblem(Own(), (x, y), (x + 1, y), metric=share)
game = UnlearningGame(problem, "gradient_ascent", store=sys.argv[1])
known = game.evaluations
game(np.eye(10, dtype=bool))
[stored] = Store(sys.argv[1]).games()
print(known, game.evaluations, stored.coalitions, stored.fingerprint.sha256)
"""


def test_it_is_the_same_in_another_process(tmp_path, monkeypatch, capsys):
    script, store = tmp_path / "own.py", tmp_path / "values.db"
    script.write_text(textwrap.dedent(SCRIPT))
    monkeypatch.setattr(sys, "argv", ["own.py", str(store)])
    nn.Linear(1, 1).register_forward_hook(print)  # hooks are numbered
    runpy.run_path(str(script), run_name="__main__")
    ours = capsys.readouterr().out.split()
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    out = subprocess.run(
        [sys.executable, str(script), str(store)], capture_output=True, text=True, check=True, env=environment
    )
    theirs = out.stdout.split()
    assert ours[:3] == ["1", "11", "10"]
    assert theirs == ["11", "11", "10", ours[3]]


def test_the_description_is_for_reading():
    found = fingerprint(Evaluation(asked(), Newton(steps=2), None, 7, "raise"))
    assert (found.n_players, found.shape) == (3, ())
    described = json.loads(json.dumps(dict(found.description)))
    assert described["unlearner"] == "newton"
    assert described["settings"]["steps"] == "2"
    assert described["seed"] == 7
    assert described["metric"] == "log_likelihood"
