"""Training labels that are made wrong on purpose, to see whether low values find them."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.cli._tables import Table
from unshap_plugin.errors import InvalidValueError

__all__ = ["flip_labels"]


def flip_labels(table: Table, share: float, seed: int) -> tuple[Table, NDArray[np.int64]]:
    """Give a share of the training rows another class.

    Parameters
    ----------
    table
        The table, which is not changed.
    share
        Between 0 and 1.
    seed
        Chooses the rows and their new classes.

    Returns
    -------
    tuple
        The table with flipped labels, and the flipped rows, sorted.

    Raises
    ------
    InvalidValueError
        If there are no classes, or the share is no number of rows between one and all but one.
    """
    if not table.classes:
        raise InvalidValueError("flipping labels needs classes, but this is a regression: leave out --flip.")
    rows = len(table.y)
    count = round(share * rows) if 0 < share < 1 else 0
    if not 0 < count < rows:
        raise InvalidValueError(
            f"the share of labels to flip is {share:g}, but it must be between 0 and 1 and make at least one, and not "
            f"all, of the {rows} training rows."
        )
    # A stream of its own: the rows that are flipped have nothing to do with how the table was split.
    rng = np.random.default_rng([seed, 1])
    flipped = np.sort(rng.choice(rows, size=count, replace=False))
    y = table.y.copy()
    y[flipped] = (y[flipped] + rng.integers(1, len(table.classes), size=count)) % len(table.classes)
    note = f"{count} of {rows} training labels were flipped to another class"
    return dataclasses.replace(table, y=y, notes=(*table.notes, note)), flipped
