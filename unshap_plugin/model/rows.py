"""Rows of data: a tensor, a dict or tuple of tensors with a common first dimension, or rows in a form of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
from scipy.sparse import issparse
from torch import Tensor

from unshap_plugin.errors import InvalidValueError
from unshap_plugin.model.numeric import as_numbers
from unshap_plugin.model.raw import RawRows

__all__ = [
    "Rows",
    "arguments",
    "as_rows",
    "check_finite",
    "each_row",
    "leaves",
    "map_rows",
    "n_rows",
    "row_hashes",
    "take",
    "to_like",
]

Rows: TypeAlias = Tensor | tuple[Tensor, ...] | dict[str, Tensor] | RawRows


def map_rows(function: Callable[[Tensor], Tensor], rows: Rows) -> Rows:
    """Apply ``function`` to every tensor of ``rows``, keeping the structure."""
    if isinstance(rows, RawRows):
        return rows
    if isinstance(rows, Tensor):
        return function(rows)
    if isinstance(rows, dict):
        return {key: function(value) for key, value in rows.items()}
    return tuple(function(value) for value in rows)


def arguments(rows: Rows) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
    """Return rows as the positional and keyword arguments of a model."""
    if isinstance(rows, dict):
        return (), rows
    assert not isinstance(rows, RawRows)  # which no module is given
    return (rows if isinstance(rows, tuple) else (rows,)), {}


def leaves(rows: Rows) -> list[Tensor]:
    """Return the tensors of ``rows`` in order."""
    if isinstance(rows, RawRows):
        return []
    if isinstance(rows, Tensor):
        return [rows]
    return list(rows.values()) if isinstance(rows, dict) else list(rows)


def n_rows(rows: Rows) -> int:
    """Return the number of rows."""
    return len(rows if isinstance(rows, RawRows) else leaves(rows)[0])


def take(rows: Rows, index: Tensor) -> Rows:
    """Select rows: ``index`` of shape ``[...]`` gives tensors of shape ``[..., *features]``."""
    if isinstance(rows, RawRows):
        return rows.take(index.cpu().numpy())
    flat = index.flatten()  # whole rows of one index are copied in a third of the time that those of several take
    return map_rows(lambda tensor: tensor.index_select(0, flat.to(tensor.device)).unflatten(0, index.shape), rows)


def each_row(rows: Rows) -> Iterator[Rows]:
    """Yield the rows one by one, without their first dimension."""
    for index in range(n_rows(rows)):
        yield map_rows(lambda tensor: tensor[index], rows)  # noqa: B023 (called at once)


def row_hashes(*parts: Rows) -> Tensor:
    """Return a 64-bit hash (BLAKE2b) of the bytes of every row of all parts together, int64 ``[rows]``.

    Integers and booleans of any width count as int64; the tensors of a dict come in the order of their keys.
    """
    pieces = []
    for part in parts:
        if isinstance(part, RawRows):
            pieces.append(torch.as_tensor(part.digests().copy(), device="cpu"))
            continue
        tensors = [part[key] for key in sorted(part)] if isinstance(part, dict) else leaves(part)
        for tensor in tensors:
            values = tensor.detach().cpu()
            values = values if values.is_floating_point() else values.long()
            pieces.append(values.reshape(len(values), -1).contiguous().view(torch.uint8))
    rows = torch.cat(pieces, dim=1).numpy()
    digests = b"".join(hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in rows)
    return torch.from_numpy(np.frombuffer(digests, dtype="<i8").astype(np.int64))


def to_like(rows: Rows, parameter: Tensor) -> Rows:
    """Move rows to the device of ``parameter``; floating rows also take its dtype (integers stay as they are)."""

    def move(tensor: Tensor) -> Tensor:
        floating = tensor.is_floating_point() and parameter.is_floating_point()
        return tensor.to(device=parameter.device, dtype=parameter.dtype if floating else tensor.dtype)

    return map_rows(move, rows)


def as_rows(value: Any, what: str) -> Rows:
    """Turn arrays, tensors, frames, and dicts or tuples of them into rows.

    Raises
    ------
    InvalidTypeError
        If something in it is not an array of numbers.
    InvalidValueError
        If there is no row, or the first dimensions differ.
    """
    if isinstance(value, Mapping) and not issparse(value):  # a sparse matrix by keys is a dict too
        rows: Rows = {str(key): _as_tensor(item, f"{what}[{key!r}]") for key, item in value.items()}
    elif isinstance(value, tuple):
        rows = tuple(_as_tensor(item, f"{what}[{i}]") for i, item in enumerate(value))
    else:
        rows = _as_tensor(value, what)
    lengths = {len(leaf) for leaf in leaves(rows)}
    if len(lengths) != 1:
        raise InvalidValueError(
            f"{what} needs tensors with one common number of rows, but they have {sorted(lengths)} rows."
        )
    if lengths == {0}:
        raise InvalidValueError(f"{what} is empty: at least one row is needed.")
    if any(leaf.numel() == 0 for leaf in leaves(rows)):
        raise InvalidValueError(f"{what} has rows without a number: at least one column is needed.")
    return rows


def check_finite(rows: Rows, what: str) -> None:
    """Raise ``InvalidValueError`` naming the first row of ``rows`` that holds NaN or infinity."""
    for leaf in leaves(rows):
        if leaf.is_floating_point():
            bad = ~torch.isfinite(leaf.reshape(len(leaf), -1)).all(dim=1)
            if bad.any():
                first = int(bad.nonzero()[0, 0])
                raise InvalidValueError(
                    f"{what} has NaN or infinity in {int(bad.sum())} of {len(leaf)} rows, first in row {first}; "
                    f"expected finite numbers: drop or impute those rows."
                )


def _as_tensor(value: Any, what: str) -> Tensor:
    tensor = as_numbers(value, what)
    if tensor.ndim == 0:
        raise InvalidValueError(
            f"{what} is a single number, but rows are needed: pass an array with one entry per row."
        )
    return tensor
