"""A package that stands in for shapiq, so that the bridge to it is tested without it."""

from __future__ import annotations

import contextlib
import sys
from types import ModuleType

import numpy as np
import pytest

from unshap_plugin.plugins import approximators


class Alone:
    """The utility of each player alone, less that of nobody."""

    index = "SV"

    def __init__(self, n, random_state):
        self.n = n

    def approximate(self, budget, game):
        rows = np.eye(self.n + 1, self.n, dtype=bool)
        found = game(rows) - game(rows[-1])
        return {(player,): found[player] for player in range(self.n)}


class Nobody(Alone):
    """It does not get to the last player."""

    def approximate(self, budget, game):
        return {**Alone.approximate(self, budget, game), (self.n - 1,): 0.0}


class Whole(Alone):
    """It gets to the last player with a budget of eight."""

    def approximate(self, budget, game):
        return (Alone if budget >= 8 else Nobody).approximate(self, budget, game)


class Adaptive(Alone):
    """It asks for other coalitions where one has a large utility."""

    def approximate(self, budget, game):
        found = super().approximate(budget, game)
        if max(found.values()) > 10:
            game(np.ones(self.n, dtype=bool))
        return found


class Interactions(Alone):
    """It gives something else."""

    index = "k-SII"


class Slow(Alone):
    """It says what it gives before it is made, which takes long."""

    def __init__(self, n, random_state, index="FBII"):
        raise AssertionError("it is not made")


class Broken(Alone):
    """It cannot be made."""

    def __init__(self, n, random_state):
        raise ImportError("it needs another package")


@contextlib.contextmanager
def installed(kinds=(Alone, Nobody, Whole, Adaptive, Interactions, Slow, Broken)):
    """Let these approximators be installed; ``None``: nothing is."""
    package, module = ModuleType("shapiq"), ModuleType("shapiq.approximator")
    for kind in kinds or ():
        setattr(module, kind.__name__, kind)
    package.approximator = module
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "shapiq", None if kinds is None else package)
        patch.setitem(sys.modules, "shapiq.approximator", None if kinds is None else module)
        patch.setattr(approximators, "version", lambda name: "0")
        yield
