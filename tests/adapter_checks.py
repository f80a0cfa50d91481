"""Adapter checks: what every adapter passes. The tests of one derive from ``AdapterChecks`` and say how to ask it."""

from __future__ import annotations

import importlib
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from problems import breast_cancer
from sklearn.linear_model import LogisticRegression

from unshap_plugin import value
from unshap_plugin.errors import UnknownNameError, UnshapError
from unshap_plugin.frameworks import FRAMEWORKS, FrameworkError


@dataclass(frozen=True)
class Data:
    """Real rows of five providers, as arrays: ``[rows, 6]``, ``[rows]`` and, of the providers, text ``[rows]``."""

    x: NDArray[np.float64]
    y: NDArray[np.int64]
    x_test: NDArray[np.float64]
    y_test: NDArray[np.int64]
    groups: NDArray[np.str_]


def data(seed: int = 0) -> Data:
    """Return some; another seed gives other rows."""
    train, test = breast_cancer(rows=40, tests=60, seed=seed)
    return Data(*train, *test, np.array(list("abcde"))[np.arange(40) % 5])


class AdapterChecks(ABC):
    """What an adapter has to do, whatever the framework.

    Attributes
    ----------
    framework
        The name of the framework's distribution.
    tolerance
        How far its values may be from those of the core; 0 where the framework does no arithmetic of its own on them.
    """

    framework: ClassVar[str]
    tolerance: ClassVar[float] = 0.0

    @abstractmethod
    def ask(self, data: Data, adapter: Any = None, **settings: Any) -> tuple[Any, NDArray[np.float64]]:
        """Return the adapter's object, and the array that the framework gives for the five providers.

        With an ``adapter`` that was asked before, it is that one that is asked again, if objects of this framework can
        be. The settings are ``unlearner``, ``budget`` and ``seed``: pass them on.
        """

    @abstractmethod
    def pipeline(self, data: Data) -> None:
        """Let the framework's own pipeline use the adapter beside what it has itself, and assert what comes out."""

    @abstractmethod
    def mistakes(self, data: Data) -> Iterator[tuple[Callable[[], object], type[UnshapError], str]]:
        """Yield what goes wrong in ways of this framework: what fails, the class of the error, a part of its words."""

    def expected(self, data: Data, *, unlearner: str = "newton", **settings: Any) -> NDArray[np.float64]:
        """Return what the core gives for the same problem."""
        return value(
            LogisticRegression().fit(data.x, data.y),
            (data.x, data.y),
            (data.x_test, data.y_test),
            groups=data.groups,
            unlearner=unlearner,
            **settings,
        ).values

    @pytest.mark.parametrize("settings", [{}, {"budget": 24, "seed": 3}], ids=["exact", "sampled"])
    def test_values_are_those_of_the_core(self, settings):
        _, found = self.ask(data(), unlearner="newton", **settings)
        expected = self.expected(data(), unlearner="newton", **settings)
        assert np.ptp(expected) > 1e-3
        np.testing.assert_allclose(found, expected, rtol=0, atol=self.tolerance)

    def test_new_data_gives_fresh_values(self):
        adapter, first = self.ask(data(), unlearner="newton")
        _, second = self.ask(data(1), adapter, unlearner="newton")
        _, fresh = self.ask(data(1), unlearner="newton")
        np.testing.assert_array_equal(second, fresh)
        assert not np.allclose(first, second)

    def test_what_a_caller_does_to_the_values_stays_with_the_caller(self):
        adapter, first = self.ask(data(), unlearner="newton")
        kept = first.copy()
        if first.flags.writeable:
            first[:] = 7
        _, again = self.ask(data(), adapter, unlearner="newton")
        np.testing.assert_array_equal(again, kept)

    def test_data_and_global_generators_are_left_as_they_are(self):
        given, before = data(), data()
        states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
        self.ask(given, unlearner="newton", budget=24)
        assert torch.equal(states[0], torch.get_rng_state())
        np.testing.assert_array_equal(states[1], np.random.get_state()[1])
        assert states[2] == random.getstate()
        for name, array in vars(before).items():
            np.testing.assert_array_equal(getattr(given, name), array)

    def test_it_works_in_the_framework_s_own_pipeline(self):
        self.pipeline(data())

    def test_errors_are_ours(self):
        cases = [
            (lambda: self.ask(data(), unlearner="newtn"), UnknownNameError, "'newtn' (did you mean 'newton'?)"),
            *self.mistakes(data()),
        ]
        for fails, kind, words in cases:
            with pytest.raises(kind) as caught:
                fails()
            assert words in str(caught.value)
            assert str(caught.value).count("\n") == 0

    def test_another_version_is_refused_by_name_with_those_that_work(self, monkeypatch):
        one = FRAMEWORKS[self.framework]
        module = importlib.import_module(one.adapter)
        monkeypatch.setattr("unshap_plugin.frameworks.version", lambda name: "0.0.1")
        with pytest.raises(FrameworkError) as caught:
            importlib.reload(module)
        assert f"{one.name} 0.0.1 is installed" in str(caught.value)
        assert f"works with {one.name} {one.versions}" in str(caught.value)
