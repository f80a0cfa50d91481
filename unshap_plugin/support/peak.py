"""The memory that tensors take at most while something runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

__all__ = ["peak_bytes"]


def peak_bytes(run: Callable[[], object]) -> int:
    """Return how many bytes of new tensors there were at most while ``run`` ran, on any device.

    What operations of torch use within themselves is not seen.

    Examples
    --------
    >>> peak_bytes(lambda: [torch.zeros(1000).add(1) for _ in range(3)][0])  # three, and one that is on the way
    16000
    """
    with _Allocations() as seen:
        run()
    return seen.most


class _Allocations(TorchDispatchMode):
    """Counts the storages that operations return, for as long as they live."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # so in torch 2.1
        self.now = self.most = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {t.untyped_storage()._cdata for t in tree_flatten((args, kwargs))[0] if isinstance(t, Tensor)}
        found = func(*args, **(kwargs or {}))
        for tensor in tree_flatten(found)[0]:
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage(), given)
        return found

    def _count(self, storage: torch.UntypedStorage, given: set[int]) -> None:
        number, size = storage._cdata, storage.nbytes()
        if number in given or number in self._alive:  # whose number is not used again while it is known here
            return
        self._alive[number] = StorageWeakRef(storage), size
        self.now += size
        if self.now > self.most:
            for one, (known, taken) in list(self._alive.items()):
                if known.expired():
                    del self._alive[one]
                    self.now -= taken
            self.most = max(self.most, self.now)
