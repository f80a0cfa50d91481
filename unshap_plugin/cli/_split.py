"""Choice of the rows of a table that are set aside for testing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["evenly", "split"]


def split(kinds: NDArray[np.int64], n_test: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return training and test rows, each sorted: random among rows of a kind, spread evenly over the kinds.

    One row of every kind stays in training, so that no class is tested that was not trained, and every group has a
    value; where that leaves fewer than ``n_test`` rows, there are fewer to test on.

    Parameters
    ----------
    kinds
        The kind of each row, ``[rows]``: its group and its class.
    n_test
        How many rows to test on.
    seed
        Seed of the order of the rows of a kind.
    """
    order = np.random.default_rng(seed).permutation(len(kinds))
    order = order[np.argsort(kinds[order], kind="stable")]
    rest = np.delete(order, np.unique(kinds[order], return_index=True)[1])
    test = np.sort(evenly(rest, min(n_test, len(rest))))
    return np.setdiff1d(order, test), test


def evenly(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return ``count`` of the rows, in even steps."""
    return rows[np.arange(count) * len(rows) // max(count, 1)]
