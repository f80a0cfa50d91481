"""The checks of OpenDataVal evaluators: a right one passes, and for every check there are wrong ones that do not."""

from __future__ import annotations

import contextlib
import random
import re
import sys
from copy import copy
from dataclasses import dataclass, field
from math import comb
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("opendataval", reason="OpenDataVal is not installed")

from opendataval.dataval import DataEvaluator, DataShapley, KNNShapley, ModelMixin
from sklearn.utils import check_random_state
from torch.utils.data import Subset
from unshap_conformance import ConformanceError
from unshap_conformance.evaluators import EVALUATOR_CHECKS, check_evaluator, evaluator_subject, freshness
from unshap_conformance.evaluators.faults import Watch
from unshap_conformance.evaluators.models import PlayedModel
from unshap_conformance.evaluators.stages import stage_of
from unshap_conformance.games import GAMES, by_name, random_game
from unshap_conformance.parametrize import parametrize_with_checks
from unshap_opendataval import UnlearningBanzhaf, UnlearningBetaShapley, UnlearningLOO, UnlearningShapley

from unshap_plugin.errors import InvalidTypeError, InvalidValueError, UnknownNameError

_REGISTERED = dict(DataEvaluator.Evaluators)


class Exact(DataEvaluator, ModelMixin):
    """Shapley values by retraining on every coalition, through nothing but OpenDataVal's interface."""

    def __init__(self, random_state=None):
        self.random_state = check_random_state(random_state)

    def input_data(self, x_train, y_train, x_valid, y_valid):
        self.__dict__.pop("data_values", None)
        return super().input_data(x_train, y_train, x_valid, y_valid)

    def utility(self, rows, **kwargs):
        model = self.pred_model.clone()
        if len(rows):
            model.fit(Subset(self.x_train, rows), Subset(self.y_train, rows), **kwargs)
        return self.evaluate(self.y_valid, model.predict(self.x_valid))

    def train_data_values(self, **kwargs):
        n = len(self.x_train)
        rows = [[i for i in range(n) if mask >> i & 1] for mask in range(1 << n)]
        self.utilities = np.array([self.utility(one, **kwargs) for one in rows])
        return self

    def weight(self, size):
        n = len(self.x_train)
        return 1 / (n * comb(n - 1, size))

    def evaluate_data_values(self):
        n, v = len(self.x_train), self.utilities
        values = np.zeros(n)
        for i in range(n):
            for mask in range(1 << n):
                if not mask >> i & 1:
                    values[i] += self.weight(mask.bit_count()) * (v[mask | 1 << i] - v[mask])
        return values


class Sampled(Exact):
    """The same by permutations, which is right in the mean and efficient in each."""

    permutations = 2

    def train_data_values(self, **kwargs):
        n = len(self.x_train)
        self.values = np.zeros(n)
        for _ in range(self.permutations):
            order = self.random_state.permutation(n)
            v = [self.utility(order[:size], **kwargs) for size in range(n + 1)]
            self.values[order] += np.diff(v) / self.permutations
        return self

    def evaluate_data_values(self):
        return self.values.copy()


DataEvaluator.Evaluators.clear()  # a class is registered where it is defined
DataEvaluator.Evaluators.update(_REGISTERED)


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """What a test registers is gone afterwards."""
    monkeypatch.setattr(DataEvaluator, "Evaluators", {**_REGISTERED, "exact": Exact, "sampled": Sampled})


OURS = evaluator_subject(
    UnlearningShapley,
    kwargs={"unlearner": "retrain", "estimator": "exact", "utility": "metric"},
    exact=True,
    variants=[
        {"budget": 5000},
        {"groups": np.arange(3000)},
        {"groups": np.where(np.arange(3000) == 1500, 0, np.arange(3000))},  # numpy would print both alike
    ],
)


@pytest.mark.slow
@parametrize_with_checks([evaluator_subject(Exact, exact=True), OURS])
def test_right_evaluators_pass(check):
    check()


@pytest.mark.parametrize("kind", [UnlearningBanzhaf, UnlearningBetaShapley, UnlearningLOO])
def test_siblings_have_the_values_that_they_are_called_by(kind):
    """One check: what they share with the first is checked there."""
    results = check_evaluator(kind, checks=["agreement"])
    assert {result.status for result in results} == {"passed"}
    assert len(results) > 5


@pytest.mark.slow
def test_right_samplers_pass():
    """Some checks: thirty trainings for every game take their time."""
    checks = ["efficiency", "agreement", "random_state", "fresh_values"]
    results = check_evaluator(Sampled, checks=checks)
    assert {result.label: result.reason for result in results if result.status != "passed"} == {
        "agreement[breast_cancer]": "it samples, and a training of a torch model for every seed takes too long."
    }
    kwargs = {"unlearner": "retrain", "utility": "metric", "budget": 30}
    checks = ["null_player", "random_state", "fresh_models"]
    results = check_evaluator(UnlearningShapley, kwargs=kwargs, checks=checks)
    assert {result.status for result in results} == {"passed"}


AXIOMS = {
    "agreement",
    "duality",
    "efficiency",
    "linearity",
    "null_player",
    "renaming",
    "scaling",
    "shift",
    "symmetry",
}


@dataclass
class Mutant:
    """A small change to a right evaluator, and the check that has to see it."""

    what: str
    check: str
    message: str
    methods: dict[str, Any]
    base: type = Exact
    traits: dict[str, Any] = field(default_factory=lambda: {"exact": True})
    name: str = "Mutated"

    def make(self):
        return type(self.name, (self.base,), dict(self.methods))


def values(change):
    """Return a method that changes the right values."""
    return {"evaluate_data_values": lambda self: change(self, Exact.evaluate_data_values(self))}


def before_training(change):
    """Return a method that does something before it trains."""

    def train_data_values(self, **kwargs):
        change(self)
        return Exact.train_data_values(self, **kwargs)

    return {"train_data_values": train_data_values}


def with_utility(change):
    """Return a method that changes the utilities that were found."""

    def train_data_values(self, **kwargs):
        Exact.train_data_values(self, **kwargs)
        self.utilities = change(self.utilities)
        return self

    return {"train_data_values": train_data_values}


def is_torch(self):
    return isinstance(self.pred_model, torch.nn.Module)


def if_torch(**changes):
    """Return a method that scores a torch model with other attributes."""

    def utility(self, rows, **kwargs):
        twin = copy(self)
        if is_torch(self):
            twin.__dict__.update({name: change(self) for name, change in changes.items()})
        return Exact.utility(twin, rows, **kwargs)

    return {"utility": utility}


def bump(self, v):
    v[0] += 1e-3
    return v


def one_seven(self, v):
    return v + 1e-3 * (np.arange(len(v)) - (len(v) - 1) / 2)


def towards_the_mean(self, v):
    return 0.9 * v + 0.1 * v.mean()


def of_the_row(self, v):
    return v[self.x_train[:, 0].argsort().numpy()] if self.x_train.shape[1] == 1 else v


def swallow(*errors, instead=0.0, unless=()):
    def utility(self, rows, **kwargs):
        try:
            return Exact.utility(self, rows, **kwargs)
        except unless:
            raise
        except errors:
            return instead

    return {"utility": utility}


def swallow_of_one():
    def utility(self, rows, **kwargs):
        with contextlib.suppress(RuntimeError if len(rows) == 1 else ()):
            return Exact.utility(self, rows, **kwargs)
        return 0.0

    return {"utility": utility}


def without_metric_errors(self, rows, **kwargs):
    model = self.pred_model.clone()
    if len(rows):
        model.fit(Subset(self.x_train, rows), Subset(self.y_train, rows), **kwargs)
    y_hat = model.predict(self.x_valid)
    try:
        return self.evaluate(self.y_valid, y_hat)
    except Exception:
        return 0.0


def another_error(self, rows, **kwargs):
    utility = None
    with contextlib.suppress(Exception):
        utility = Exact.utility(self, rows, **kwargs)
    if utility is None:
        raise ValueError("something went wrong")
    return utility


def one_model(self, rows, **kwargs):
    model = self.pred_model
    if len(rows):
        model.fit(Subset(self.x_train, rows), Subset(self.y_train, rows), **kwargs)
    else:
        model = model.clone()
        model.__dict__.update(kept=np.zeros(len(self.x_train), dtype=bool))
    return self.evaluate(self.y_valid, model.predict(self.x_valid))


def kept_model(self, model):
    self.pred_model = model
    return self


def fitting_the_given(self, model):
    ModelMixin.input_model(self, model)
    self.given = model
    return self


def fit_the_given(self):
    self.given.fit(self.x_train, self.y_train)


def leave_gradients(self):
    if is_torch(self):
        self.given(self.x_train).sum().backward()


def freeze_the_given(self):
    if is_torch(self):
        self.given.requires_grad_(False)


def by_id(store):
    def train_data_values(self, **kwargs):
        if id(self) in store:
            self.utilities = store[id(self)]
            return self
        Exact.train_data_values(self, **kwargs)
        store[id(self)] = self.utilities
        return self

    return {"train_data_values": train_data_values}


def in_the_class(self, **kwargs):
    Exact.train_data_values(self, **kwargs)
    type(self).utilities = self.__dict__.pop("utilities")
    return self


def once(self, **kwargs):
    if not hasattr(self, "utilities"):
        Exact.train_data_values(self, **kwargs)
    return self


def by_size(self, **kwargs):
    known = self.__dict__.setdefault("known", {})
    if len(self.x_train) not in known:
        Exact.train_data_values(self, **kwargs)
        known[len(self.x_train)] = self.utilities
    self.utilities = known[len(self.x_train)]
    return self


def adding_up(self):
    self.total = getattr(self, "total", 0.0) + Exact.evaluate_data_values(self)
    return self.total


def leaking(self, **kwargs):
    before = getattr(self, "values", None)
    Sampled.train_data_values(self, **kwargs)
    if before is not None:
        self.values += 0.1 * before[: len(self.values)]
    return self


def shuffled_input(self, fetcher):
    self.places = fetcher.train_indices.argsort()
    return Exact.input_fetcher(self, fetcher)


def nan_at_first(self):
    self.reads = getattr(self, "reads", 0) + 1
    return Exact.evaluate_data_values(self) * (np.nan if self.reads == 1 else 1)


def without_return(base, name):
    def method(self, *args, **kwargs):
        getattr(base, name)(self, *args, **kwargs)

    return {name: method}


def unseeded(self, random_state=None):
    self.random_state = np.random.default_rng()


def always_zero(self, random_state=None):
    self.random_state = np.random.RandomState(0)


def globally(self, random_state=None):
    self.random_state = np.random.mtrand._rand


def only_ints(self, random_state=None):
    self.random_state = np.random.RandomState(random_state if isinstance(random_state, int) else 0)


def unregistered(self, random_state=None):
    DataEvaluator.Evaluators.pop("mutated", None)


def noise_of_the_seed(self):
    self.random_state.permutation(3)
    return Exact.evaluate_data_values(self) + 1e-6 * self.random_state.uniform()


def plus_noise(self):
    self.noise = 1e-3 * self.random_state.standard_normal(len(self.x_train))


MUTANTS = [
    Mutant("one player off by 1e-3", "agreement", "values are not the Shapley values", values(bump)),
    Mutant("wrong order", "agreement", "values are not the Shapley values", values(lambda self, v: v[::-1])),
    Mutant("wrong player", "agreement", "values are not the Shapley values", values(lambda self, v: np.roll(v, 1))),
    Mutant("sum right, split wrong", "agreement", "values are not the Shapley", values(one_seven)),
    Mutant("sign of the metric", "agreement", "values are not the Shapley values", values(lambda self, v: -v)),
    Mutant(
        "metric (y_hat, y)",
        "agreement",
        "values are not the Shapley values",
        {"evaluate": lambda self, y, y_hat: self.metric(y_hat, y)},
    ),
    Mutant(
        "accuracy instead of the metric",
        "agreement",
        "values are not the Shapley values",
        {"evaluate": lambda self, y, y_hat: float((y.argmax(1) == y_hat.argmax(1)).float().mean())},
    ),
    Mutant(
        "test rows for validation rows",
        "agreement",
        "values are not the Shapley values",
        {"input_fetcher": lambda self, fetcher: self.input_data(*fetcher.datapoints[:2], *fetcher.datapoints[4:])},
    ),
    Mutant(
        "validation rows in another order",
        "agreement",
        "values are not the Shapley values",
        {"input_data": lambda self, x, y, xv, yv: Exact.input_data(self, x, y, xv.flip(0), yv)},
    ),
    Mutant(
        "one validation row only",
        "agreement",
        "values are not the Shapley values",
        {"input_data": lambda self, x, y, xv, yv: Exact.input_data(self, x, y, xv[:1], yv[:1])},
    ),
    Mutant(
        "float16",
        "agreement",
        "values are not the Shapley values",
        values(lambda self, v: v.astype(np.float16).astype(np.float64)),
    ),
    Mutant(
        "values at the places of the fetcher's indices",
        "agreement",
        "values are not the Shapley values",
        {"input_fetcher": shuffled_input, **values(lambda self, v: v[self.places])},
    ),
    *(
        Mutant(f"with torch: {what}", "agreement", "with a torch model the values are not the Shapley values", methods)
        for what, methods in {
            "labels exchanged": if_torch(y_train=lambda self: self.y_train.flip(1)),
            "training rows for validation rows": if_torch(
                x_valid=lambda self: self.x_train, y_valid=lambda self: self.y_train
            ),
            "20 validation rows": if_torch(
                x_valid=lambda self: self.x_valid[:20], y_valid=lambda self: self.y_valid[:20]
            ),
            "metric (y_hat, y)": if_torch(metric=lambda self: lambda y, y_hat: self.metric(y_hat, y)),
            "metric of classes": if_torch(metric=lambda self: lambda y, y_hat: self.metric(y_hat.round(), y)),
            "normalised": values(lambda self, v: v / np.abs(v).max() if is_torch(self) else v),
            "float16": values(lambda self, v: v.astype(np.float16).astype(np.float64) if is_torch(self) else v),
            "few rows worth nothing": {
                "utility": lambda self, rows, **kwargs: (
                    0.0 if is_torch(self) and len(rows) < 3 else Exact.utility(self, rows, **kwargs)
                )
            },
        }.items()
    ),
    Mutant(
        "Banzhaf called Shapley",
        "agreement",
        "values are not the Shapley values",
        {"weight": lambda self, size: 0.5 ** (len(self.x_train) - 1)},
    ),
    Mutant(
        "Banzhaf called leave-one-out",
        "agreement",
        "values are not the leave-one-out values",
        {"weight": lambda self, size: 0.5 ** (len(self.x_train) - 1)},
        traits={"exact": True, "semivalue": "leave_one_out"},
    ),
    Mutant(
        "Shapley called Beta(4, 1)",
        "agreement",
        "values are not the Beta(4, 1) values",
        {},
        traits={"exact": True, "semivalue": ("beta", 4, 1)},
    ),
    Mutant(
        "labels of other rows",
        "agreement",
        "covariates and labels of the same rows",
        {"input_data": lambda self, x, y, xv, yv: Exact.input_data(self, x, y.flip(0), xv, yv)},
    ),
    Mutant(
        "rows twice",
        "agreement",
        "a coalition is a set",
        {"utility": lambda self, rows, **kwargs: Exact.utility(self, [*rows, *rows[:1]], **kwargs)},
    ),
    Mutant(
        "leave-one-out called Shapley",
        "efficiency",
        "do not sum to what they bring together",
        {"weight": lambda self, size: float(size == len(self.x_train) - 1)},
    ),
    Mutant("mean for sum", "efficiency", "do not sum", values(lambda self, v: v / len(v))),
    Mutant("overpays all", "efficiency", "do not sum", values(lambda self, v: v + 1e-3)),
    Mutant(
        "first positions dropped",
        "efficiency",
        "do not sum",
        {"weight": lambda self, size: Exact.weight(self, size) if size else 0.0},
    ),
    Mutant(
        "efficient in the mean only",
        "efficiency",
        "do not sum",
        {
            "train_data_values": lambda self, **kwargs: (plus_noise(self), Sampled.train_data_values(self, **kwargs))[
                1
            ],
            "evaluate_data_values": lambda self: self.values + self.noise,
        },
        base=Sampled,
        traits={},
    ),
    Mutant("symmetric players unequal", "symmetry", "take each other's place differ", values(one_seven)),
    Mutant("null player paid", "null_player", "a player that adds nothing is paid", values(towards_the_mean)),
    Mutant(
        "negative contributions dropped",
        "linearity",
        "are not the sums of the values",
        values(lambda self, v: np.maximum(v, 0)),
    ),
    Mutant("normalised", "scaling", "are not that multiple", values(lambda self, v: v / (np.abs(v).max() + 1e-9))),
    Mutant(
        "v(none) taken for 0",
        "shift",
        "to every utility changes the values",
        with_utility(lambda v: np.concatenate([[0.0], v[1:]])),
    ),
    Mutant(
        "Beta called Shapley",
        "duality",
        "values of the dual game differ",
        {"weight": lambda self, size: 2 * (size + 1) / (len(self.x_train) + 1) * Exact.weight(self, size)},
    ),
    Mutant("values at the place of the covariate", "renaming", "do not follow the rows", values(of_the_row)),
    Mutant("NaN", "form", "the values are not finite", values(lambda self, v: np.where(v == v.max(), np.nan, v))),
    Mutant("one column", "form", "not one number per training row", values(lambda self, v: v[:, None])),
    Mutant("one value too few", "form", "not one number per training row", values(lambda self, v: v[1:])),
    Mutant("a list", "form", "not a numpy array of real floats", values(lambda self, v: v.tolist())),
    Mutant("a tensor", "form", "not a numpy array of real floats", values(lambda self, v: torch.tensor(v))),
    Mutant("objects", "form", "not a numpy array of real floats", values(lambda self, v: v.astype(object))),
    Mutant("train", "returns_self", "train does not return", without_return(Exact, "train")),
    Mutant("input_data", "returns_self", "input_data does not return", without_return(Exact, "input_data")),
    Mutant(
        "input_model_metric",
        "returns_self",
        "input_model_metric does not return",
        without_return(Exact, "input_model_metric"),
    ),
    Mutant(
        "train_data_values",
        "returns_self",
        "train_data_values does not return",
        without_return(Exact, "train_data_values"),
    ),
    Mutant(
        "x changed",
        "inputs_untouched",
        "changed the data that it was given",
        before_training(lambda self: self.x_train.add_(0.25)),
    ),
    Mutant(
        "validation labels changed",
        "inputs_untouched",
        "changed the data that it was given",
        before_training(lambda self: self.y_valid.mul_(2)),
    ),
    Mutant(
        "fetcher changed",
        "inputs_untouched",
        "changed the data that it was given",
        {
            "input_fetcher": lambda self, fetcher: (
                Exact.input_fetcher(self, fetcher),
                fetcher.random_state.permutation(2),
            )[0]
        },
    ),
    Mutant(
        "the model given is trained",
        "model_untouched",
        "changed the model that it was given",
        {"input_model": fitting_the_given, **before_training(fit_the_given)},
    ),
    Mutant(
        "gradients left in the model given",
        "model_untouched",
        "changed the model that it was given",
        {"input_model": fitting_the_given, **before_training(leave_gradients)},
    ),
    Mutant(
        "the model given is frozen",
        "model_untouched",
        "changed the model that it was given",
        {"input_model": fitting_the_given, **before_training(freeze_the_given)},
    ),
    Mutant(
        "metric of the first training",
        "fresh_values",
        "after a second train, on other data",
        {"input_metric": lambda self, metric: (self.__dict__.setdefault("metric", metric), self)[1]},
    ),
    Mutant(
        "a tenth of the first values",
        "fresh_values",
        "after a second train, on other data",
        {"train_data_values": leaking},
        base=Sampled,
        traits={},
    ),
    Mutant(
        "data_values of the first data",
        "fresh_values",
        "after a second train, on other data, data_values is not",
        {"input_data": DataEvaluator.input_data},
    ),
    Mutant("trains once", "fresh_values", "training fitted no model", {"train_data_values": once}),
    Mutant("cached by size", "fresh_values", "training fitted no model", {"train_data_values": by_size}),
    Mutant("cached by id", "fresh_instances", "training fitted no model", by_id({})),
    Mutant(
        "kept in the class",
        "fresh_instances",
        "a new evaluator has the values of another one",
        {"train_data_values": in_the_class},
    ),
    Mutant("adds up", "repeated_reading", "when it is called again", {"evaluate_data_values": adding_up}),
    Mutant(
        "data_values is something else",
        "repeated_reading",
        "not the values that evaluate_data_values() gives",
        {"data_values": property(lambda self: -Exact.evaluate_data_values(self))},
    ),
    Mutant(
        "repr without arguments",
        "distinct_reprs",
        "different arguments have one repr",
        {"__repr__": lambda self: type(self).__name__},
    ),
    Mutant(
        "repr with an address",
        "distinct_reprs",
        "equal arguments do not give equal reprs",
        {"__repr__": object.__repr__},
    ),
    Mutant("DataShapley", "registered_name", "'datashapley' shadows another", {}, name="DataShapley"),
    Mutant(
        "not registered",
        "registered_name",
        "finds another class under the name 'mutated'",
        {"__init__": unregistered},
        name="Mutated",
    ),
    Mutant(
        "unseeded",
        "random_state",
        "RandomState(3) gives other values than 3|same random_state gives other values",
        {"__init__": unseeded},
        base=Sampled,
        traits={},
    ),
    Mutant(
        "one seed for all",
        "random_state",
        "six different random_states give the same values",
        {"__init__": always_zero},
        base=Sampled,
        traits={},
    ),
    Mutant(
        "the global generator",
        "random_state",
        "where the global generators stand elsewhere",
        {"__init__": globally},
        base=Sampled,
        traits={},
    ),
    Mutant(
        "ints only",
        "random_state",
        "RandomState(3) gives other values than 3",
        {"__init__": only_ints},
        base=Sampled,
        traits={},
    ),
    Mutant(
        "exact but for noise",
        "random_state",
        "declared exact, and random_state",
        {"evaluate_data_values": noise_of_the_seed},
    ),
    Mutant("torch seeded", "global_rng", "moves global", before_training(lambda self: torch.manual_seed(0))),
    Mutant("numpy seeded", "global_rng", "moves global", before_training(lambda self: np.random.seed(1))),
    Mutant("random drawn", "global_rng", "moves global", before_training(lambda self: random.random())),
    Mutant("errors to 0.0", "model_errors", "made numbers of it", swallow(Exception)),
    *(
        Mutant(f"{'/'.join(e.__name__ for e in errors)} to 0.0", "model_errors", "made numbers of it", swallow(*errors))
        for errors in [
            (ValueError,),
            (RuntimeError,),
            (NotImplementedError,),
            (ArithmeticError, np.linalg.LinAlgError),
            (MemoryError,),
            (OSError,),
        ]
    ),
    Mutant(
        "ValueError to 0.0, but no RuntimeError",
        "model_errors",
        "made numbers of it",
        swallow(ValueError, unless=RuntimeError),
    ),
    Mutant("errors of one row to 0.0", "model_errors", "fit on 1 rows", swallow_of_one()),
    Mutant("errors to NaN", "model_errors", "made numbers of it", swallow(Exception, instead=np.nan)),
    Mutant("errors of the metric to 0.0", "model_errors", "made numbers of it", {"utility": without_metric_errors}),
    Mutant("another error", "model_errors", "is hidden by another one", {"utility": another_error}),
    Mutant("one model for all", "fresh_models", "fitted already is fitted again", {"utility": one_model}),
    Mutant(
        "keywords lost",
        "training_keywords",
        "a fit did not get epochs, lr",
        {"utility": lambda self, rows, **kwargs: Exact.utility(self, rows)},
    ),
    Mutant(
        "never fitted",
        "training_keywords",
        "training fitted no model",
        {"utility": lambda self, rows, **kwargs: Exact.utility(self, [])},
    ),
    Mutant(
        "data_values is a list",
        "experiments",
        "'list' object has no attribute",
        {"data_values": property(lambda self: Exact.evaluate_data_values(self).tolist())},
    ),
    Mutant(
        "NaN when it is first read",
        "experiments",
        "not ten finite numbers",
        {"data_values": property(nan_at_first)},
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.check}-{mutant.what}")
def test_mutants_are_caught(mutant):
    results = check_evaluator(mutant.make(), checks=[mutant.check], on_fail="collect", **mutant.traits)
    failed = [str(result) for result in results if result.status == "failed"]
    assert failed, f"{mutant.what} passes {mutant.check}"
    message = "|".join(map(re.escape, mutant.message.split("|")))
    assert any(re.search(message, text) for text in failed), failed[0]
    if mutant.check != "experiments" and "set" not in mutant.message and "same rows" not in mutant.message:
        assert not any("Traceback" in text for text in failed), failed[0]


@pytest.mark.parametrize("leave", [sys.exit, lambda: pytest.skip("not here")], ids=["sys.exit", "pytest.skip"])
def test_leaving_the_run_is_a_failure(leave):
    wrong = type("Wrong", (Exact,), before_training(lambda self: leave()))
    checks = [check.name for check in EVALUATOR_CHECKS if check.name not in ("distinct_reprs", "registered_name")]
    results = check_evaluator(wrong, exact=True, checks=checks, on_fail="collect")
    assert {result.status for result in results} <= {"failed", "skipped"}
    assert {result.check for result in results if result.status == "failed"} == set(checks)


def test_single_precision_is_a_form_of_real_floats():
    single = type("Single", (Exact,), values(lambda self, v: v.astype(np.float32)))
    assert {result.status for result in check_evaluator(single, checks=["form"])} == {"passed"}


def test_every_check_has_a_mutant():
    assert {mutant.check for mutant in MUTANTS} == {check.name for check in EVALUATOR_CHECKS}
    assert {check.name for check in EVALUATOR_CHECKS} >= AXIOMS


def test_what_is_declared_has_to_be_possible():
    with pytest.raises(InvalidTypeError, match="evaluator is a Exact, but its class, or a function that returns"):
        evaluator_subject(Exact())
    with pytest.raises(InvalidValueError, match="kwargs has random_state, which the checks choose: leave it out"):
        evaluator_subject(Exact, kwargs={"random_state": 1})
    with pytest.raises(UnknownNameError, match="unknown semivalue 'shaply'"):
        evaluator_subject(Exact, semivalue="shaply")
    with pytest.raises(UnknownNameError, match=r"unknown check 'eficiency' \(did you mean 'efficiency'\?\)"):
        check_evaluator(Exact, checks=["eficiency"])
    with pytest.raises(InvalidValueError, match="the traits of 'Exact' are declared where that subject is made"):
        check_evaluator(evaluator_subject(Exact), exact=True)
    with pytest.raises(
        InvalidTypeError, match=r"dict makes a dict, but an opendataval\.dataval\.DataEvaluator is needed"
    ):
        evaluator_subject(dict).fresh()
    assert evaluator_subject("unshap_opendataval:UnlearningShapley").evaluator is UnlearningShapley


def test_failures_are_raised_with_everything_and_expected_ones_are_strict():
    wrong = type("Wrong", (Exact,), values(lambda self, v: v + 1e-3))
    played = sum(game.n_players > 1 for game in GAMES)
    message = rf"{played} of {played} checks failed:\nWrong: efficiency\[additive\]"
    with pytest.raises(ConformanceError, match=message) as caught:
        check_evaluator(wrong, exact=True, checks=["efficiency"])
    result = caught.value.results[0]
    assert result.players == ((0, 1, 2, 3, 4),)
    np.testing.assert_allclose(result.residual, 0.005)
    assert result.tolerance == 1e-9
    expected = {"efficiency": "it pays everyone a little more"}
    results = check_evaluator(wrong, exact=True, checks=["efficiency"], expected_failures=expected)
    assert {result.status for result in results} == {"expected_failure"}
    with pytest.raises(ConformanceError, match=r"was expected to fail .* but did not"):
        check_evaluator(Exact, exact=True, checks=["efficiency"], expected_failures=expected)


def test_what_plays_no_game_is_skipped_with_the_reason():
    subject = evaluator_subject(KNNShapley, semivalue=None, exact=True, no_game="its values are those of neighbours")
    results = check_evaluator(subject, expected_failures={"global_rng": "its DataLoader draws a seed from torch"})
    skipped = {result.check: result.reason for result in results if result.status == "skipped"}
    assert set(skipped) == AXIOMS | {"model_untouched", "model_errors", "fresh_models", "training_keywords"}
    assert skipped["agreement"] == "it plays no game: its values are those of neighbours"
    assert skipped["model_errors"] == "it uses no prediction model."


def test_instances_that_were_not_seen_are_skipped_with_the_reason(monkeypatch):
    """A check that saw nothing has not passed."""
    monkeypatch.setattr(freshness, "_reborn", lambda subject, stage: None)
    for evaluator in (Exact, type("Kept", (Exact,), by_id({}))):
        results = check_evaluator(evaluator, exact=True, checks=["fresh_instances"], on_fail="collect")
        assert {result.status for result in results} == {"skipped"}
        assert "no new evaluator came to stand where one had been in 10 tries" in results[0].reason


def test_opendatavals_shapley_values_break_efficiency():
    """By all there is for up to five players: its first five positions never count."""
    kwargs = {"max_mc_epochs": 1, "models_per_epoch": 20, "cache_name": None}
    results = check_evaluator(
        DataShapley, kwargs=kwargs, seedable=True, checks=["efficiency", "fresh_values"], on_fail="collect"
    )
    found = {result.label: result for result in results}
    additive = found["efficiency[additive]"]
    assert additive.status == "failed"
    np.testing.assert_allclose(additive.got, [0.0])
    np.testing.assert_allclose(additive.residual, float(by_name("additive")[0].total))
    assert found["efficiency[zero]"].status == "passed"
    kwargs = {"max_mc_epochs": 1, "models_per_epoch": 2}
    results = check_evaluator(DataShapley, kwargs=kwargs, seedable=True, checks=["fresh_values"], on_fail="collect")
    assert "training fitted no model" in results[0].reason


@pytest.mark.parametrize("game", [game for game in GAMES if game.n_players > 1], ids=lambda game: game.name)
def test_a_played_game_has_the_utilities_of_the_game(game):
    order = np.random.default_rng(0).permutation(game.n_players)
    stage = stage_of(game, order.tolist())
    x, y, x_valid, y_valid = stage.data
    blank = stage.model(Watch())
    for mask in range(1 << game.n_players):
        kept = (mask >> np.arange(game.n_players) & 1).astype(bool)
        rows = np.flatnonzero(kept[order])
        fitted = blank.clone().fit(Subset(x, rows), Subset(y, rows), epochs=1)
        score = stage.metric(y_valid, fitted.predict(Subset(x_valid, [0, 1])))
        np.testing.assert_allclose(score, game(kept[None])[0], rtol=0, atol=1e-13 * max(1, abs(score)))
    assert stage.metric(y_valid, blank.predict(x_valid)) == pytest.approx(game(np.zeros((1, game.n_players), bool))[0])


def test_a_played_model_refuses_what_is_no_coalition():
    x, y, x_valid, _ = stage_of(random_game(4, 1)).data
    model = PlayedModel(random_game(4, 1), Watch())
    with pytest.raises(InvalidValueError, match=r"players \[0, 1\] with the labels of players \[1, 0\]"):
        model.fit(x[:2], y[:2].flip(0))
    with pytest.raises(InvalidValueError, match=r"players \[2, 2\], but a coalition is a set"):
        model.fit(x[[2, 2]], y[[2, 2]])
    with pytest.raises(InvalidValueError, match="fit got validation rows, but a model is trained on training rows"):
        model.fit(x_valid, x_valid)
    with pytest.raises(InvalidValueError, match=r"weights \[1.0, 0.5\], but a player is in a coalition or not"):
        model.fit(x[:2], y[:2], sample_weight=torch.tensor([[1.0], [0.5]]))
    assert model.fit(x, y, sample_weight=torch.tensor([1.0, 0, 0, 1])).kept.tolist() == [True, False, False, True]


def test_a_class_may_declare_its_traits():
    subject = evaluator_subject(UnlearningShapley)
    assert (subject.name, subject.exact) == ("UnlearningShapley", True)
    assert dict(subject.kwargs) == {"unlearner": "retrain", "estimator": "exact", "utility": "metric"}
    given = evaluator_subject(UnlearningShapley, kwargs={"budget": 100})
    assert (dict(given.kwargs), given.exact) == ({"budget": 100}, False)
