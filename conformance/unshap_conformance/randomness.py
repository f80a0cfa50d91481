"""The global random states: seen, moved, and put back."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

__all__ = ["global_states", "move_global_states", "states"]


def states() -> dict[str, Any]:
    """Return the global random states, as things that compare; of torch only where the subject's process has it."""
    states: dict[str, Any] = {"random": random.getstate(), "numpy": _plain(np.random.get_state())}  # noqa: NPY002
    if "torch" in sys.modules:
        states["torch"] = sys.modules["torch"].get_rng_state().tolist()
    return states


def _plain(state: Any) -> tuple[Any, ...]:
    return tuple(part.tolist() if isinstance(part, np.ndarray) else part for part in state)


def move_global_states() -> None:
    """Draw a number from every global generator, so that whoever draws from them too gets other ones."""
    random.random()
    np.random.random()  # noqa: NPY002
    if "torch" in sys.modules:
        sys.modules["torch"].rand(1)


@contextmanager
def global_states() -> Iterator[dict[str, Any]]:
    """Put the global random states back afterwards: a subject that moves them shall not move those of its users."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    torch = sys.modules.get("torch")
    of_torch = torch.get_rng_state() if torch is not None else None
    try:
        yield states()
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        if torch is not None:
            torch.set_rng_state(of_torch)
