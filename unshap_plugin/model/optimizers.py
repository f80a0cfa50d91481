"""The optimisers of recipes, and one of them for many copies of parameters at once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from unshap_plugin.numerics.filling import FULL

__all__ = ["OPTIMIZERS", "StackedOptimizer"]

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "lbfgs": torch.optim.LBFGS,
}


#: Numbers that an optimiser works on at once: what it keeps for a moment stays in the cache.
_BLOCK = 2**17


class StackedOptimizer:
    """An optimiser on many copies of parameters, side by side in one matrix: one step for all of them.

    It works on each number by itself, so that this is what it does to each copy alone.

    Parameters
    ----------
    name
        ``adam``, ``adamw`` or ``sgd``.
    start
        The copies, ``[m, p]``.
    lr
        Learning rate.
    options
        Further keywords of the ``torch.optim`` class.

    Examples
    --------
    >>> optimizer = StackedOptimizer("sgd", torch.zeros(2, 3), 0.5, {})
    >>> optimizer.gradient[:] = 1
    >>> optimizer.step()
    >>> optimizer.current
    tensor([[-0.5000, -0.5000, -0.5000],
            [-0.5000, -0.5000, -0.5000]])
    """

    def __init__(self, name: str, start: Tensor, lr: float, options: Mapping[str, Any]) -> None:
        m, self._width = start.shape
        self._whole = start.new_zeros(m, self._width + -self._width % FULL)
        self._whole[:, : self._width] = start
        self._gradient = torch.zeros_like(self._whole)
        copies = max(1, _BLOCK // self._whole.shape[1])
        blocks = [part.detach() for part in self._whole.split(copies)]
        for block, gradient in zip(blocks, self._gradient.split(copies), strict=True):
            block.grad = gradient
        self._optimizer = _fastest(OPTIMIZERS[name], blocks, lr, options)

    @property
    def current(self) -> Tensor:
        """The copies as they are now, ``[m, p]``; the next step changes them."""
        return self._whole[:, : self._width]

    @property
    def gradient(self) -> Tensor:
        """The gradients of the next step, ``[m, p]``: the caller writes them here."""
        return self._gradient[:, : self._width]

    def step(self) -> None:
        """Take a step for the gradients."""
        self._optimizer.step()


def _fastest(
    kind: Callable[..., torch.optim.Optimizer], blocks: list[Tensor], lr: float, options: Mapping[str, Any]
) -> torch.optim.Optimizer:
    """Return the optimiser as one kernel where this version of torch has one for the device, else step by step."""
    if "fused" in inspect.signature(kind).parameters and not {"fused", "foreach"} & options.keys():
        try:
            return kind(blocks, lr=lr, fused=True, **options)
        except RuntimeError:  # it has none
            pass
    return kind(blocks, lr=lr, **options)
