"""The random generators that a process shares: of Python, of numpy, and of torch where it is loaded."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

__all__ = ["States", "kept"]


class States:
    """The states of the generators at the time this is made."""

    def __init__(self) -> None:
        self._states: dict[str, Any] = {"random": random.getstate(), "numpy": np.random.get_state()}  # noqa: NPY002
        self._torch = sys.modules.get("torch")  # whoever does not use it is not made to load it
        if self._torch is not None:
            self._states["torch"] = self._torch.get_rng_state()

    def moved(self) -> list[str]:
        """Return the names of the generators whose state is another one now."""
        now = States()._states
        return [name for name, state in self._states.items() if _plain(state) != _plain(now[name])]

    def move(self) -> None:
        """Draw a number from each, so that whoever draws from them too gets other ones."""
        random.random()
        np.random.random()  # noqa: NPY002
        if self._torch is not None:
            self._torch.rand(1)

    def restore(self) -> None:
        """Put the states back."""
        random.setstate(self._states["random"])
        np.random.set_state(self._states["numpy"])  # noqa: NPY002
        if self._torch is not None:
            self._torch.set_rng_state(self._states["torch"])


@contextmanager
def kept() -> Iterator[States]:
    """Put the states back afterwards: a subject that moves them shall not move those of its users.

    Inside they are away from where any seed puts them, so that seeding them shows as well as drawing.
    """
    outside = States()
    outside.move()
    try:
        yield States()
    finally:
        outside.restore()


def _plain(state: Any) -> Any:
    """Return a state as something that compares."""
    if isinstance(state, tuple):
        return tuple(map(_plain, state))
    return state.tolist() if hasattr(state, "tolist") else state
