"""dattri's loaders: read once and in order, and rows of one found among those of another."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any

import numpy as np
from dattri.benchmark.utils import SubsetSampler
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Subset

from unshap_plugin.errors import InvalidValueError
from unshap_plugin.model.rows import as_rows, n_rows, row_hashes
from unshap_plugin.problem.loaders import as_pair

__all__ = ["Pair", "places_of", "rows_of"]

#: Covariates and labels, ``[rows, ...]`` each.
Pair = tuple[Any, Any]


def rows_of(loader: Any, what: str) -> Pair:
    """Return the pair ``(x, y)`` that a loader reads, ``[rows, ...]`` each, in its order.

    Parameters
    ----------
    loader
        A loader of torch that does not shuffle; dattri's ``SubsetSampler`` may choose its rows. Or a data set.
    what
        What it is called in errors.

    Raises
    ------
    InvalidValueError, InvalidTypeError
        If it shuffles or leaves out rows, or does not give pairs ``(x, y)``.

    Examples
    --------
    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> data = TensorDataset(torch.eye(3), torch.arange(3))
    >>> rows_of(DataLoader(data, batch_size=2, sampler=SubsetSampler([2, 0])), "train_dataloader")[1]
    tensor([2, 0])
    """
    if isinstance(loader, DataLoader) and isinstance(loader.sampler, SubsetSampler):
        chosen = Subset(loader.dataset, list(loader.sampler))
        loader = DataLoader(chosen, loader.batch_size, collate_fn=loader.collate_fn, drop_last=loader.drop_last)
    pair: Pair = as_pair(loader, what)
    return pair


def places_of(asked: Pair, among: Pair) -> NDArray[np.int64]:
    """Return where each of the rows that are ``asked`` for stands ``among`` others, int64 ``[rows]``.

    Rows that are there several times are taken in order.

    Raises
    ------
    InvalidValueError
        If a row is not there, or not as often.

    Examples
    --------
    >>> import torch
    >>> places_of((torch.eye(3)[[2, 0]], torch.tensor([2, 0])), (torch.eye(3), torch.arange(3)))
    array([2, 0])
    """
    free: defaultdict[int, deque[int]] = defaultdict(deque)
    for place, one in enumerate(_hashes(among)):
        free[one].append(place)
    places = []
    for row, one in enumerate(_hashes(asked)):
        if not free[one]:
            raise InvalidValueError(
                f"row {row} of train_dataloader is not among the {n_rows(as_rows(among[0], 'x'))} rows that were "
                f"cached: call cache with a loader of all training rows."
            )
        places.append(free[one].popleft())
    return np.array(places, dtype=np.int64)


def _hashes(pair: Pair) -> list[int]:
    x, y = as_rows(pair[0], "x"), as_rows(pair[1], "y")
    hashes: list[int] = row_hashes(x, y).tolist()
    return hashes
