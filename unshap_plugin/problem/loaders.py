"""Data sets and loaders of torch, read once and in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, SequentialSampler, TensorDataset

from unshap_plugin.errors import InvalidTypeError, InvalidValueError
from unshap_plugin.model.generators import kept

__all__ = ["as_pair"]


def as_pair(value: Any, what: str) -> Any:
    """Return the pair ``(x, y)`` that a data set or loader of torch holds, and anything else as it is.

    Rows are numbered in the order in which they are read; the global random generators are left as they were.

    Raises
    ------
    InvalidValueError, InvalidTypeError
        If a loader shuffles or leaves out rows, or does not give pairs ``(x, y)``.

    Examples
    --------
    >>> x, y = as_pair(DataLoader(TensorDataset(torch.eye(3), torch.arange(3)), batch_size=2), "train")
    >>> x.shape, y.tolist()
    (torch.Size([3, 3]), [0, 1, 2])
    """
    if not isinstance(value, Dataset | DataLoader):
        return value
    if isinstance(value, TensorDataset):
        if len(value.tensors) != 2:
            raise _not_pairs(value, f"{len(value.tensors)} tensors", what)
        return value.tensors
    with kept():
        if isinstance(value, DataLoader):
            _check_order(value, what)
            batched = value.batch_size is not None or value.batch_sampler is not None
            items = [_pair(value, item, what) for item in value]
        else:
            batched = False
            rows = iter(value) if isinstance(value, IterableDataset) else _by_number(value, what)
            items = [_pair(value, item, what) for item in rows]
    if not items:
        raise InvalidValueError(f"{what} is a {type(value).__name__} without rows: at least one row is needed.")
    join = _concatenated if batched else _stacked
    try:
        return join([x for x, _ in items]), join([y for _, y in items])
    except (TypeError, ValueError, RuntimeError, KeyError) as error:
        raise InvalidTypeError(
            f"{what} is a {type(value).__name__} whose rows do not go together ({error}): rows of one shape are needed."
        ) from error


def _check_order(loader: DataLoader[Any], what: str) -> None:
    dataset = loader.dataset
    if not isinstance(dataset, IterableDataset):
        sampler = getattr(loader.batch_sampler, "sampler", None) if loader.batch_size is None else loader.sampler
        sampler = loader.sampler if loader.batch_sampler is None else sampler
        if not isinstance(sampler, SequentialSampler):
            raise InvalidValueError(
                f"{what} is a DataLoader that reads its rows by {type(sampler).__name__}, so that they have no fixed "
                f"order: pass one with shuffle=False, or its dataset, {what}=loader.dataset."
            )
    elif loader.num_workers > 1:
        raise InvalidValueError(
            f"{what} is a DataLoader whose {loader.num_workers} workers each read the whole of an IterableDataset, so "
            f"that its rows come several times: pass one with num_workers=0, or its dataset, {what}=loader.dataset."
        )
    if loader.drop_last:
        raise InvalidValueError(
            f"{what} is a DataLoader that leaves out its last rows: pass one with drop_last=False, or its dataset, "
            f"{what}=loader.dataset."
        )


def _by_number(dataset: Any, what: str) -> Iterator[Any]:
    if not hasattr(dataset, "__len__"):
        raise InvalidTypeError(
            f"{what} is a {type(dataset).__name__} without a length, but its rows are read by number: give it __len__, "
            f"or pass a pair (x, y)."
        )
    return (_row(dataset, index, what) for index in range(len(dataset)))


def _row(dataset: Any, index: int, what: str) -> Any:
    try:
        return dataset[index]
    except Exception as error:
        raise InvalidValueError(
            f"{what} is a {type(dataset).__name__} whose row {index} of {len(dataset)} cannot be read "
            f"({type(error).__name__}: {error}): mend its __getitem__, or leave that row out with "
            f"torch.utils.data.Subset."
        ) from error


def _pair(source: Any, item: Any, what: str) -> tuple[Any, Any]:
    if not isinstance(item, tuple | list) or len(item) != 2:
        size = f" of {len(item)}" if isinstance(item, tuple | list) else ""
        raise _not_pairs(source, f"{type(item).__name__}{size}", what)
    return item[0], item[1]


def _not_pairs(source: Any, given: str, what: str) -> InvalidTypeError:
    return InvalidTypeError(
        f"{what} is a {type(source).__name__} that gives {given}, but pairs (x, y) are needed: pass (x, y) itself."
    )


def _stacked(rows: list[Any]) -> Any:
    """Return rows ``[...]`` as ``[rows, ...]``; what is no number, such as text, as a list."""
    first = rows[0]
    if isinstance(first, Mapping):
        return {key: _stacked([row[key] for row in rows]) for key in first}
    if isinstance(first, tuple):
        return tuple(_stacked([row[place] for row in rows]) for place in range(len(first)))
    if isinstance(first, Tensor):
        return torch.stack(rows)
    return rows if np.asarray(first).dtype.kind not in "biuf" else np.asarray(rows)


def _concatenated(batches: list[Any]) -> Any:
    """Return batches ``[some rows, ...]`` as ``[rows, ...]``, and lists of rows as one."""
    first = batches[0]
    if isinstance(first, Mapping):
        return {key: _concatenated([batch[key] for batch in batches]) for key in first}
    if isinstance(first, tuple | list) and len(first) and isinstance(first[0], Tensor):
        return tuple(_concatenated([batch[place] for batch in batches]) for place in range(len(first)))
    if isinstance(first, Tensor):
        return torch.cat(batches)
    return np.concatenate(batches) if isinstance(first, np.ndarray) else [row for batch in batches for row in batch]
