"""dattri's loaders: read once and in order, and rows of one found among those of another."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sized
from typing import Any, cast

import numpy as np
from dattri.benchmark.utils import SubsetSampler
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Subset

from unshap_plugin.errors import InvalidValueError
from unshap_plugin.model.rows import as_rows, check_finite, n_rows, row_hashes
from unshap_plugin.problem.checks import check_pair, check_targets
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
        If it shuffles or leaves out rows, does not give pairs ``(x, y)`` with a label for each row, or if numbers in
        them are not finite.

    Examples
    --------
    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> data = TensorDataset(torch.eye(3), torch.arange(3))
    >>> rows_of(DataLoader(data, batch_size=2, sampler=SubsetSampler([2, 0])), "train_dataloader")[1]
    tensor([2, 0])
    """
    if isinstance(loader, DataLoader) and isinstance(loader.sampler, SubsetSampler):
        indices, size = list(loader.sampler), len(cast(Sized, loader.dataset))
        if outside := [one for one in indices if not 0 <= one < size]:
            raise InvalidValueError(f"the sampler of {what} names row {outside[0]}, but its data set has {size} rows.")
        chosen = Subset(loader.dataset, indices)
        loader = DataLoader(chosen, loader.batch_size, collate_fn=loader.collate_fn, drop_last=loader.drop_last)
    pair: Pair = as_pair(loader, what)
    check_pair(pair, what)
    x, y = as_rows(pair[0], f"{what} x"), as_rows(pair[1], f"{what} y")
    check_targets(x, y, what)
    check_finite(x, f"{what} x")
    check_finite(y, f"{what} y")
    return pair


def places_of(asked: Pair, among: Pair, owners: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """Return where each of the rows that are ``asked`` for stands ``among`` others, int64 ``[rows]``.

    Rows that are there several times are taken in order.

    Parameters
    ----------
    asked, among
        The rows.
    owners
        Whose each row among the others is, ``[rows]``.

    Raises
    ------
    InvalidValueError
        If a row is not there, or not as often, or if it is there several times, of several owners, and not all of
        these are asked for.

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
    if owners is not None and len(places) < len(owners):
        for row, (one, place) in enumerate(zip(_hashes(asked), places, strict=True)):
            if any(owners[other] != owners[place] for other in free[one]):
                raise InvalidValueError(
                    f"row {row} of train_dataloader is among the cached rows several times, in several groups: ask for "
                    f"all of them, since their scores differ."
                )
    return np.array(places, dtype=np.int64)


def _hashes(pair: Pair) -> list[int]:
    x, y = as_rows(pair[0], "x"), as_rows(pair[1], "y")
    hashes: list[int] = row_hashes(x, y).tolist()
    return hashes
