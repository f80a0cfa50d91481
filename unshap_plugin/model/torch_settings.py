"""Settings of torch that belong to the whole process, or to the thread."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

__all__ = ["settings_kept"]


@contextlib.contextmanager
def settings_kept() -> Iterator[None]:
    """Put back, after a block, the default dtype of torch and whether it takes gradients.

    Examples
    --------
    >>> with settings_kept():
    ...     torch.set_default_dtype(torch.float64)
    ...     _ = torch.set_grad_enabled(False)
    >>> torch.get_default_dtype(), torch.is_grad_enabled()
    (torch.float32, True)
    """
    dtype = torch.get_default_dtype()
    try:
        with torch.set_grad_enabled(torch.is_grad_enabled()):
            yield
    finally:
        torch.set_default_dtype(dtype)
