"""Seeds that depend on what is computed, never on the order in which it is asked for."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["coalition_seed", "seeded"]


def coalition_seed(seed: int, coalition: NDArray[np.bool_]) -> int:
    """Return a 63-bit seed that is a function of ``seed`` and the coalition alone."""
    entropy = [seed, len(coalition), *np.packbits(coalition).tolist()]
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> np.uint64(1))


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let code that draws from the global generators (torch, numpy, random) draw from this seed.

    They are left as they were found.
    """
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    with torch.random.fork_rng():
        try:
            torch.manual_seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002
            random.seed(seed)
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)
