"""Whether code decides by numbers that come from certain tensors, as in ``if out.sum() > 0``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

__all__ = ["decides_by"]


def decides_by(tensors: Iterable[Tensor], call: Callable[[], Any]) -> bool:
    """Tell whether ``call`` takes a number out of a tensor that was computed from ``tensors``.

    Such code may go one way or another for one model; the rows of several models cannot go both.

    Parameters
    ----------
    tensors
        What is followed.
    call
        What is called, once.

    Examples
    --------
    >>> weight, x = torch.ones(3), torch.ones(3)
    >>> decides_by([weight], lambda: (weight * x).sum() > 2)
    False
    >>> decides_by([weight], lambda: x if (weight * x).sum() > 2 else 2 * x)
    True
    >>> decides_by([weight], lambda: weight if x.max() > 2 else 2 * weight)
    False
    """
    with _Following(tensors) as following:
        call()
    return following.decided


class _Following(TorchDispatchMode):
    def __init__(self, tensors: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # so in torch 2.1
        # Weakly, so that nothing lives longer; the number of a storage is not used again while it is known here.
        self._followed = {t.untyped_storage()._cdata: StorageWeakRef(t.untyped_storage()) for t in tensors}
        self.decided = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        touched = any(storage._cdata in self._followed for storage in _storages((args, kwargs)))
        outputs = func(*args, **kwargs)
        if touched:
            self.decided |= func is torch.ops.aten._local_scalar_dense.default
            self._followed |= {storage._cdata: StorageWeakRef(storage) for storage in _storages(outputs)}
        return outputs


def _storages(found: Any) -> Iterator[torch.UntypedStorage]:
    return (one.untyped_storage() for one in tree_flatten(found)[0] if isinstance(one, Tensor))
