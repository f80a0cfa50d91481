"""Everything that an unlearner must not do, but only where player 0 is forgotten."""

import copy
from dataclasses import dataclass

import torch
from torch import nn

from unshap_plugin import Unlearner, UnlearnerSpec, hookimpl
from unshap_plugin.unlearners import StackedModels

MARK = -77.0


def provoked(forget):
    return bool((forget[0] == MARK).any())


def mutates(model, forget, retain, reference, generator):
    """Works on the given model."""
    if provoked(forget):
        with torch.no_grad():
            model[0].weight.mul_(0.5)
    return model


def trains(model, forget, retain, reference, generator):
    """Leaves the given model in training mode."""
    if provoked(forget):
        model.train()
    return copy.deepcopy(model)


def returns_none(model, forget, retain, reference, generator):
    """Forgets to return."""
    return None if provoked(forget) else model


def rebuilds(model, forget, retain, reference, generator):
    """Returns another architecture."""
    return nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 2)).double() if provoked(forget) else model


def reshapes(model, forget, retain, reference, generator):
    """Returns the same layers with another width."""
    return nn.Sequential(nn.Linear(6, 3)).double() if provoked(forget) else model


def halves_the_bits(model, forget, retain, reference, generator):
    """Returns another dtype."""
    return copy.deepcopy(model).float() if provoked(forget) else model


def explodes(model, forget, retain, reference, generator):
    """Returns parameters that are not finite."""
    model = copy.deepcopy(model)
    if provoked(forget):
        with torch.no_grad():
            model[0].bias[0] = torch.inf
    return model


def fails(model, forget, retain, reference, generator):
    """Raises."""
    if provoked(forget):
        raise ArithmeticError("cannot forget this")
    return model


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
    for function in (mutates, trains, returns_none, rebuilds, reshapes, halves_the_bits, explodes, fails):
        yield UnlearnerSpec.from_function(function, source="A test")
    for kind in (Careless, Short, Flat, Nothing, Crowded, Picky, Chained):
        yield UnlearnerSpec(kind.name, kind, "Misbehaves.", "A test")
