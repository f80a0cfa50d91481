"""Rows in the form in which they were given, for objects that take them so: tables, text, sparse matrices."""

from __future__ import annotations

import copy
import hashlib
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.extensions import ExtensionArray
from scipy.sparse import issparse

from unshap_plugin.errors import InvalidTypeError, InvalidValueError

__all__ = ["RawRows", "as_raw"]


class RawRows:
    """Rows that stay what they are: a frame or a series, a sparse matrix, an array of objects, or a list.

    Parameters
    ----------
    data
        ``[rows, ...]``; it is copied before anybody else's code sees it.

    Examples
    --------
    >>> rows = RawRows(pd.DataFrame({"site": ["u", "v", "u"], "age": [31, 45, 29]}))
    >>> len(rows), rows.take(np.array([2, 0])).handed()["age"].tolist()
    (3, [29, 31])
    """

    def __init__(self, data: Any) -> None:
        self._data = data

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._data.shape[0]) if hasattr(self._data, "shape") else len(self._data)

    def take(self, index: NDArray[np.int64]) -> RawRows:
        """Return the rows of these numbers."""
        if isinstance(self._data, pd.DataFrame | pd.Series):
            return RawRows(self._data.iloc[index])
        if isinstance(self._data, list):
            return RawRows([self._data[one] for one in index])
        return RawRows(self._data[index])

    def handed(self) -> Any:
        """Return a copy of the rows in their own form, for a model that may do with it what it likes."""
        return copy.deepcopy(self._data)

    def digests(self) -> NDArray[np.uint8]:
        """Return hashes of the rows, ``[rows, 8]``."""
        every = b"".join(hashlib.blake2b(pickle.dumps(row), digest_size=8).digest() for row in self._each())
        return np.frombuffer(every, dtype=np.uint8).reshape(len(self), 8)

    def _each(self) -> Iterator[Any]:
        """Yield the rows as values that are the same wherever a row stands."""
        if isinstance(self._data, pd.DataFrame):
            yield from self._data.itertuples(index=False, name=None)
        elif issparse(self._data):
            for start, stop in zip(self._data.indptr, self._data.indptr[1:], strict=False):
                yield self._data.indices[start:stop].tolist(), self._data.data[start:stop].tolist()
        else:
            yield from self._data.tolist() if hasattr(self._data, "tolist") else self._data


def as_raw(value: Any, what: str) -> RawRows | None:
    """Return rows that are not an array of numbers, or ``None`` for those that are (or are several arrays).

    Parameters
    ----------
    value
        Rows as they were given. Sparse matrices of any format come by rows.
    what
        What they are called in errors.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If there are no rows that can be told apart.

    Examples
    --------
    >>> as_raw(["a text", "another"], "train x").handed(), as_raw([[1.0], [2.0]], "train x")
    (['a text', 'another'], None)
    """
    if isinstance(value, pd.DataFrame | pd.Series):
        data: Any = value
    elif issparse(value):
        if value.ndim != 2:
            raise InvalidTypeError(f"{what} is a sparse array of shape {list(value.shape)}, but [rows, d] is needed.")
        data = value.tocsr().copy()
        data.sum_duplicates()  # so that equal rows are equal
    elif isinstance(value, np.ndarray):
        if value.dtype.kind in "biuf":
            return None
        data = value
    elif isinstance(value, list):
        if _numeric(value):
            return None
        data = value
    elif isinstance(value, pd.Index | ExtensionArray):
        data = pd.Series(value)
    elif isinstance(value, tuple) and value and all(isinstance(one, str) for one in value):
        data = list(value)  # other tuples are several arrays
    else:
        return None
    if isinstance(data, np.ndarray) and data.ndim == 0:
        raise InvalidValueError(f"{what} is a single value, but rows are needed: pass one entry per row.")
    rows = RawRows(data)
    if len(rows) == 0:
        raise InvalidValueError(f"{what} is empty: at least one row is needed.")
    return rows


def _numeric(rows: list[Any]) -> bool:
    try:
        return np.asarray(rows).dtype.kind in "biuf"
    except ValueError:  # rows of several lengths, such as the words of texts
        return False
