"""Numbers, however they are stored: frames of several dtypes, nullable dtypes, objects, sparse and masked arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.sparse import issparse
from torch import Tensor

from unshap_plugin.errors import SHOWN, InvalidTypeError, InvalidValueError

__all__ = ["as_numbers"]

#: Sparse rows are not made dense beyond this size.
DENSE_BYTES = 4 * 2**30
#: Bytes of which the address of every tensor of torch's own is a multiple, on the CPU (``c10/core/alignment.h``).
ALIGNED = 64


def as_numbers(value: Any, what: str) -> Tensor:
    """Return what holds numbers as a dense tensor, whose missing entries are NaN.

    Parameters
    ----------
    value
        An array of any kind ``[rows, ...]``, a frame or a series, a sparse matrix of scipy or torch, or lists.
    what
        What it is called in errors.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If it holds something else than numbers, or would take too much memory.

    Examples
    --------
    >>> as_numbers(pd.DataFrame({"age": pd.array([31, None], dtype="Int64"), "smokes": [True, False]}), "x")
    tensor([[31.,  1.],
            [nan,  0.]], dtype=torch.float64)
    """
    if isinstance(value, Tensor):
        tensor = value.detach()
        if tensor.layout != torch.strided:
            _check_size(tensor.shape, tensor.element_size(), what)
            tensor = tensor.to_dense()
        return _aligned(tensor)
    array = _array(value, what)
    if array.dtype.kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
        array = array.astype(np.float64)
    # What torch has no type for: unsigned and long numbers, the other byte order. Always a copy, since torch
    # refuses read-only and negatively strided arrays.
    kinds = {"b": "?", "i": "i8", "u": "i8", "f": "f4" if array.itemsize <= 4 else "f8"}
    return _aligned(torch.as_tensor(np.array(array, dtype=np.dtype(kinds[array.dtype.kind])), device="cpu"))


def _aligned(tensor: Tensor) -> Tensor:
    """Return numbers where torch itself would put them.

    On some processors the last bits of a product go by where in memory its factors begin (docs/decisions.md), and
    NumPy begins an array anywhere.
    """
    return tensor if tensor.data_ptr() % ALIGNED == 0 else tensor.clone()


def _array(value: Any, what: str) -> NDArray[Any]:
    """Return a dense array of booleans, integers or floating numbers."""
    if isinstance(value, pd.DataFrame):
        return _frame(value, what)
    if isinstance(value, Iterator):
        raise InvalidTypeError(
            f"{what} is a {type(value).__name__}, which can be read once only, but an array is needed: pass a list."
        )
    if issparse(value):
        _check_size(value.shape, value.dtype.itemsize, what)
        value = value.toarray()
    elif isinstance(value, np.ma.MaskedArray) and np.any(value.mask):
        value = np.where(value.mask, np.nan, value.data)
    elif isinstance(value, pd.Series):
        return _column(value, what)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InvalidValueError(f"{what} is not an array ({error}): rows of one length are needed.") from error
    return _unpacked(array, what) if array.dtype.kind == "O" else _checked(array, what)


def _frame(frame: pd.DataFrame, what: str) -> NDArray[Any]:
    # One by one where dtypes differ: what pandas makes of several is not always numbers.
    if (
        len(set(frame.dtypes)) == 1
        and isinstance(frame.dtypes.iloc[0], np.dtype)
        and frame.dtypes.iloc[0].kind in "biuf"
    ):
        return np.asarray(frame)
    odd = [name for index, name in enumerate(frame.columns) if not _is_numeric(frame.iloc[:, index])]
    if odd:
        shown = ", ".join(map(repr, odd[:SHOWN])) + (", ..." if len(odd) > SHOWN else "")
        one = frame.iloc[:, list(frame.columns).index(odd[0])].dtype
        raise InvalidTypeError(
            f"{what} has dtype {one} in column{'s' if len(odd) > 1 else ''} {shown}, but this model takes numbers: "
            f"encode text and categories first; where it is one of scikit-learn, best in a pipeline with it, which is "
            f"refitted as a whole."
        )
    columns = [_column(frame.iloc[:, index], what) for index in range(frame.shape[1])]
    return np.stack(columns, axis=1) if columns else np.empty(frame.shape)


def _is_numeric(column: pd.Series[Any]) -> bool:
    values = column.dtype.categories if isinstance(column.dtype, pd.CategoricalDtype) else column
    if values.dtype == object:
        return _all_numbers(values)
    return bool(pd.api.types.is_numeric_dtype(values)) and not pd.api.types.is_complex_dtype(values)


def _column(column: pd.Series[Any], what: str) -> NDArray[Any]:
    if isinstance(column.dtype, np.dtype) and column.dtype.kind != "O":
        return _checked(np.asarray(column), what)
    if not _is_numeric(column):
        raise _not_numbers(str(column.dtype), what)
    missing = column.isna().to_numpy()
    if missing.any():
        numbers = np.full(len(column), np.nan)
        numbers[~missing] = np.asarray(column[~missing].tolist(), dtype=np.float64)
        return numbers
    array = np.asarray(column.tolist())
    return array.astype(np.float64) if array.dtype.kind == "O" or not len(array) else _checked(array, what)


def _unpacked(array: NDArray[Any], what: str) -> NDArray[Any]:
    """Return numbers that were held as objects."""
    flat = array.ravel()
    if not _all_numbers(flat):
        raise _not_numbers("object", what)
    return _column(pd.Series(flat, dtype=object), what).reshape(array.shape)


def _all_numbers(values: Iterable[Any]) -> bool:
    """Tell whether objects are real numbers, booleans or missing."""
    return all(
        (isinstance(one, Number | np.bool_) and not isinstance(one, complex)) or one is None or one is pd.NA
        for one in values
    )


def _checked(array: NDArray[Any], what: str) -> NDArray[Any]:
    if array.dtype.kind not in "biuf":
        raise _not_numbers(str(array.dtype), what)
    return array


def _not_numbers(dtype: str, what: str) -> InvalidTypeError:
    return InvalidTypeError(f"{what} has dtype {dtype}, but numbers are needed: encode text and categories first.")


def _check_size(shape: tuple[int, ...], itemsize: int, what: str) -> None:
    size = int(np.prod(shape, dtype=np.float64)) * itemsize
    if size > DENSE_BYTES:
        raise InvalidValueError(
            f"{what} is sparse, {list(shape)}, and would take {size / 2**30:.0f} GiB as the dense numbers that this "
            f"model is unlearned from: give fewer columns, or, where it is one of scikit-learn, make_pipeline(model), "
            f"which is refitted on sparse rows as they are."
        )
