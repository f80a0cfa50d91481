"""A guard for what is lent to a plugin: model, data and global random generators come back as they were."""

from __future__ import annotations

import contextlib
import logging
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from unshap_plugin.errors import ContractError
from unshap_plugin.model.generators import moved, states
from unshap_plugin.model.torch_settings import settings_kept
from unshap_plugin.support.threads import alone

__all__ = ["Lent", "guard", "marks"]

_log = logging.getLogger(__name__)

_OF_NUMPY = {torch.float64, torch.float32, torch.float16, torch.int64, torch.int32, torch.uint8, torch.bool}


class Lent(Protocol):
    """A given model that can tell whether it was changed, and undo that."""

    def put_back(self) -> str | None:
        """Put the model back as it was given where something changed it, and return what that was."""
        ...


@contextlib.contextmanager
def guard(model: Lent, data: Callable[[], Sequence[Tensor]]) -> Iterator[None]:
    """See to it that a block of foreign code leaves alone what it was lent, whatever ends the block.

    Other threads wait meanwhile. The model is compared with the copy that was taken when it was given, and put back; so
    is the data with its ``marks``, which cannot be; the global generators of torch, numpy and Python, the default dtype
    of torch, and whether it takes gradients are put back as they were.

    Parameters
    ----------
    model
        The given model.
    data
        Returns the tensors that must not be changed. They are not copied, so that a change cannot be undone.

    Raises
    ------
    ContractError
        If any of these was changed, instead of whatever else the block raised. Only ``KeyboardInterrupt`` goes through:
        model and generators are put back all the same.

    Examples
    --------
    >>> import torch
    >>> from unshap_plugin.losses import mse
    >>> from unshap_plugin.model.trained import TrainedModule
    >>> lent = TrainedModule(torch.nn.Linear(2, 1), mse)
    >>> with guard(lent, list):
    ...     _ = torch.rand(1)
    Traceback (most recent call last):
    unshap_plugin.errors.ContractError: drew from the global random generator of torch: ...
    """
    with alone(), settings_kept(), _compared(model, data):
        yield


def marks(data: Iterable[Tensor]) -> list[tuple[int, int]]:
    """Return for each tensor a pair that is another one once its numbers were changed.

    Torch counts changes in place, but not those through a view that it does not know of (``tensor.numpy()``,
    ``tensor.data``): beside its count stands a checksum. Of common dtypes on the processor that is CRC-32, which takes
    0.3 ms for a megabyte; of others, the sum of all bytes, since moving them here would take too long.

    Examples
    --------
    >>> import torch
    >>> data = torch.zeros(3)
    >>> before = marks([data])
    >>> data.numpy()[0] = 5
    >>> marks([data]) == before
    False
    """
    return [(tensor._version, _checksum(tensor.detach())) for tensor in data]


def _checksum(tensor: Tensor) -> int:
    if tensor.is_cpu and tensor.dtype in _OF_NUMPY:
        return zlib.crc32(np.ascontiguousarray(tensor.numpy()).data)
    return int(tensor.contiguous().reshape(-1).view(torch.uint8).sum())


@contextlib.contextmanager
def _compared(model: Lent, data: Callable[[], Sequence[Tensor]]) -> Iterator[None]:
    generators, marked = states(), marks(data())

    def broken() -> list[tuple[str, str]]:
        """Put back what can be, and return what was done and what to do instead."""
        found = []
        changed = model.put_back()
        if changed is not None:
            found.append((f"changed {changed} of the model that it was given", "work on a copy"))
        if marks(data()) != marked:
            found.append(("changed the data of the problem", "work on copies, and make the problem anew"))
        generator = moved(generators)
        if generator is not None:
            drew = f"drew from the global random generator of {generator}"
            found.append((drew, "draw from one that coalition_seed seeds"))
        return found

    try:
        yield
    except BaseException as error:
        what = " and ".join(done for done, _ in broken())
        if not what:
            raise
        if isinstance(error, KeyboardInterrupt):
            _log.warning("the unlearner was interrupted after it %s", what)
            raise
        raise ContractError(f"{what}, and failed with {type(error).__name__}: {error}") from error
    found = broken()
    if found:
        raise ContractError(f"{' and '.join(done for done, _ in found)}: {'; '.join(todo for _, todo in found)}")
