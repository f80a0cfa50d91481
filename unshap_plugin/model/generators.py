"""Seeds that depend on what is computed, never on the order in which it is asked for."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unshap_plugin.model.torch_settings import settings_kept
from unshap_plugin.support.threads import alone, among_others

__all__ = ["coalition_seed", "kept", "moved", "seeded", "states"]


def coalition_seed(seed: int, coalition: NDArray[np.bool_]) -> int:
    """Return a 63-bit seed that is a function of the seed and the coalition alone.

    Parameters
    ----------
    seed
        The seed of the game.
    coalition
        Boolean ``[n_players]``, ``True`` = kept.

    Raises
    ------
    ValueError
        By numpy, if the seed is negative.

    Examples
    --------
    >>> keeps = np.array([True, False, True])
    >>> coalition_seed(0, keeps) == coalition_seed(0, keeps.copy()) != coalition_seed(0, ~keeps)
    True
    """
    entropy = [seed, len(coalition), *np.packbits(coalition).tolist()]
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> np.uint64(1))


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let code that draws from the global generators (torch, numpy, random) draw from this seed.

    They are left as they were found, and no other thread of this package's draws from them meanwhile.
    """
    with kept(), torch.random.fork_rng():
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        random.seed(seed)
        yield


def states() -> tuple[Any, ...]:
    """Return the states of the global generators of torch (of GPUs too, once they are used), numpy and random."""
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return [torch.get_rng_state(), *devices], np.random.get_state(), random.getstate()  # noqa: NPY002


def moved(before: tuple[Any, ...]) -> str | None:
    """Return the first library whose global generator is not as it was, or ``None``; all are put back.

    Among threads of others nobody knows whose draws from Python's generator were: they are put back, and not told.
    """
    torch_states, numpy_state, python_state = before
    now = states()
    # GPUs that were not used before have no state to go back to.
    if not all(torch.equal(one, other) for one, other in zip(torch_states, now[0], strict=False)):
        changed: str | None = "torch"
    elif numpy_state[2:] != now[1][2:] or not np.array_equal(numpy_state[1], now[1][1]):
        changed = "numpy"
    else:
        changed = "random" if python_state != now[2] else None
    if changed is not None:
        torch.set_rng_state(torch_states[0])
        if len(torch_states) > 1:
            torch.cuda.set_rng_state_all(torch_states[1:])
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)
    return None if changed == "random" and among_others() else changed


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Put the global generators and settings of torch back afterwards; meanwhile no other thread uses them here."""
    with alone(), settings_kept():
        before = states()
        try:
            yield
        finally:
            moved(before)
