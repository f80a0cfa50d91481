"""Everything that an unlearner must not do, but only where player 0 is forgotten."""

import copy
import random
import sys
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from unshap_plugin.errors import InvalidValueError
from unshap_plugin.model.engine import Engine
from unshap_plugin.plugin import Unlearner, UnlearnerSpec, hookimpl
from unshap_plugin.unlearners.models import ModelList, StackedModels

MARK = -77.0


def provoked(forget):
    return bool((forget[0] == MARK).any())


def mutates(model, forget):
    """Works on the given model."""
    if provoked(forget):
        with torch.no_grad():
            model[0].weight.mul_(0.5)
    return model


def trains(model, forget):
    """Leaves the given model in training mode."""
    if provoked(forget):
        model.train()
    return copy.deepcopy(model)


def returns_none(model, forget):
    """Forgets to return."""
    return None if provoked(forget) else model


def rebuilds(model, forget):
    """Returns another architecture."""
    return nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 2)).double() if provoked(forget) else model


def reshapes(model, forget):
    """Returns the same layers with another width."""
    return nn.Sequential(nn.Linear(6, 3)).double() if provoked(forget) else model


def halves_the_bits(model, forget):
    """Returns another dtype."""
    return copy.deepcopy(model).float() if provoked(forget) else model


def explodes(model, forget):
    """Returns parameters that are not finite."""
    model = copy.deepcopy(model)
    if provoked(forget):
        with torch.no_grad():
            model[0].bias[0] = torch.inf
    return model


def fails(model, forget):
    """Raises."""
    if provoked(forget):
        raise ArithmeticError("cannot forget this")
    return model


def freezes(model, forget):
    """Freezes the given model."""
    if provoked(forget):
        model[0].weight.requires_grad_(False)
    return copy.deepcopy(model)


def leaves_gradients(model, forget):
    """Leaves gradients on the given model."""
    if provoked(forget):
        model[0].weight.sum().backward()
    return copy.deepcopy(model)


def listens(model, forget):
    """Leaves a hook on the given model."""
    if provoked(forget):
        model[0].register_forward_hook(lambda layer, args, out: out * 0)
    return copy.deepcopy(model)


def quits(model, forget):
    """Ends the process."""
    if provoked(forget):
        sys.exit(0)
    return model


def refuses_late(model, forget):
    """Raises one of our own errors."""
    if provoked(forget):
        raise InvalidValueError("not these rows")
    return model


def starves(model, forget):
    """Runs out of memory, whatever the chunk."""
    if provoked(forget):
        raise MemoryError("never enough")
    return model


def classes():
    """Yield classes that misbehave where player 0 is forgotten, by name."""

    def shift(problem):
        next(problem.model.parameters()).data.add_(1.0)

    def fails_after_changing(problem, theta):
        shift(problem)
        raise ArithmeticError("too late")

    def replaces(problem, theta):
        name = next(iter(problem.engine.theta0))
        problem.engine.theta0[name] = problem.engine.theta0[name] + 1.0

    def changes_rows(problem, theta):
        problem.x.mul_(2.0)
        problem.x.mul_(0.5)

    def another_engine(problem, theta):
        return StackedModels(Engine(copy.deepcopy(problem.model), problem.loss), theta)

    def wide(problem, theta):
        models = StackedModels(problem.engine, theta)
        models.outputs = lambda x: torch.zeros(len(models), len(x), 7)
        return models

    yield "fails_after_changing", fails_after_changing
    yield "replaces", replaces
    yield "changes_rows", changes_rows
    yield "draws", lambda problem, theta: torch.rand(1) * 0 and None
    yield "draws_numpy", lambda problem, theta: np.random.random() * 0 and None
    yield "draws_python", lambda problem, theta: random.random() * 0 and None
    yield "another_engine", another_engine
    yield "wide", wide
    yield "names_wrongly", lambda problem, theta: StackedModels(problem.engine, {**theta, "0.wait": theta["0.weight"]})
    yield "misses", lambda problem, theta: StackedModels(problem.engine, {"0.weight": theta["0.weight"]})
    yield "no_dict", lambda problem, theta: StackedModels(problem.engine, list(theta.values()))
    yield "lists", lambda problem, theta: ModelList(problem, [problem.model])


def misbehaving(name, misbehave):
    def _unlearn(self, problem, coalitions, seed):
        theta = problem.engine.stack(len(coalitions))
        models = None if coalitions[:, 0].all() else misbehave(problem, theta)
        return StackedModels(problem.engine, theta) if models is None else models

    return type(name, (Unlearner,), {"name": name, "_unlearn": _unlearn})


class Hungry(Unlearner):
    """A class that cannot say how much memory it takes."""

    name = "hungry"

    def bytes_per_coalition(self, problem):
        raise ZeroDivisionError("no idea")

    def _unlearn(self, problem, coalitions, seed):
        return None


@dataclass(frozen=True)
class Careless(Unlearner):
    """A class that changes the given model in place."""

    name = "careless"

    def _unlearn(self, problem, coalitions, seed):
        if not coalitions[:, 0].all():
            next(problem.model.parameters()).data.add_(1.0)
        return StackedModels(problem.engine, problem.engine.stack(len(coalitions)))


@dataclass(frozen=True)
class Short(Unlearner):
    """A class that returns too few models."""

    name = "short"

    def _unlearn(self, problem, coalitions, seed):
        return StackedModels(problem.engine, problem.engine.stack(1 if coalitions[:, 0].all() else 2))


@dataclass(frozen=True)
class Flat(Unlearner):
    """A class that returns parameters of the wrong shape."""

    name = "flat"

    def _unlearn(self, problem, coalitions, seed):
        theta = problem.engine.stack(len(coalitions))
        if not coalitions[:, 0].all():
            theta = {name: p.flatten(1) for name, p in theta.items()}
        return StackedModels(problem.engine, theta)


@dataclass(frozen=True)
class Nothing(Unlearner):
    """A class that returns nothing."""

    name = "nothing"

    def _unlearn(self, problem, coalitions, seed):
        return None


@dataclass(frozen=True)
class Crowded(Unlearner):
    """A class that fails for many coalitions at once, but for none alone."""

    name = "crowded"

    def _unlearn(self, problem, coalitions, seed):
        if len(coalitions) > 1:
            raise OverflowError("too many")
        return StackedModels(problem.engine, problem.engine.stack(1))


@dataclass(frozen=True)
class Picky(Unlearner):
    """A class that cannot even say whether it would work, and refuses some settings in its own way."""

    name = "picky"
    level: int = 1

    def __post_init__(self):
        if self.level > 3:
            raise OSError("level too high")

    def check(self, problem):
        raise ZeroDivisionError("checked by zero")

    def _unlearn(self, problem, coalitions, seed):
        return None


@dataclass(frozen=True)
class Chained(Unlearner):
    """A class that depends on the order of the coalitions."""

    name = "chained"
    order_dependent = True

    def _unlearn(self, problem, coalitions, seed):
        theta = problem.engine.stack(len(coalitions))
        step = torch.arange(1, len(coalitions) + 1, dtype=problem.engine.dtype)
        return StackedModels(
            problem.engine, {name: p * step.reshape(-1, *[1] * (p.ndim - 1)) for name, p in theta.items()}
        )


@hookimpl
def unshap_unlearners():
    functions = (mutates, trains, returns_none, rebuilds, reshapes, halves_the_bits, explodes, fails)
    for function in (*functions, freezes, leaves_gradients, listens, quits, refuses_late, starves):
        yield UnlearnerSpec.from_function(function, source="A test")
    made = [misbehaving(name, misbehave) for name, misbehave in classes()]
    for kind in (Careless, Short, Flat, Nothing, Crowded, Picky, Chained, Hungry, *made):
        yield UnlearnerSpec(kind.name, kind, "Misbehaves.", "A test")
