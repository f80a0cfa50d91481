"""pyDVL's data sets as rows and players."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydvl.valuation import Dataset, GroupedDataset

from unshap_plugin.errors import InvalidTypeError, InvalidValueError

__all__ = ["Rows", "rows_of"]


@dataclass(frozen=True)
class Rows:
    """Rows of a data set, and whose each is.

    Parameters
    ----------
    x, y
        ``[rows, ...]`` each, in the order of the arrays that the data set was made of.
    groups
        The name of the group of each row, ``[rows]``; ``None``: rows are players.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    groups: list[str] | None


def rows_of(data: Dataset, what: str) -> Rows:
    """Return the rows of a data set, which is called ``what`` in errors.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If it is no data set of pyDVL, or two of its groups have one name.

    Examples
    --------
    >>> x, y = np.array([[0.0], [1.0], [2.0]]), np.array([0, 1, 1])
    >>> data = GroupedDataset(x, y, [1, 0, 1], group_names=["acme", "bolt"])
    >>> rows = rows_of(data, "data")
    >>> rows.x.ravel(), rows.groups
    (array([0., 1., 2.]), ['bolt', 'acme', 'bolt'])
    """
    if not isinstance(data, Dataset):
        raise InvalidTypeError(
            f"{what} is a {type(data).__name__}, but a data set of pyDVL is needed: make one, as Dataset(x, y)."
        )
    taken = np.asarray(data.data_indices())
    order = np.argsort(taken, kind="stable")
    x, y = data.data()
    if not isinstance(data, GroupedDataset):
        return Rows(x[order], y[order], None)
    names = [str(name) for name in data.names]
    if len(set(names)) < len(names):
        raise InvalidValueError(f"{what} has two groups of one name, whose values could not be told apart: rename one.")
    called = dict(zip(data.indices.tolist(), names, strict=True))
    return Rows(x[order], y[order], [called[one] for one in data.logical_indices(taken[order]).tolist()])
