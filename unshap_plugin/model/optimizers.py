"""The optimisers of recipes, their options, and one of them for many copies of parameters at once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from unshap_plugin.errors import InvalidTypeError, InvalidValueError, nearest
from unshap_plugin.numerics.filling import FULL

__all__ = ["OPTIMIZERS", "StackedOptimizer", "check_options", "minimise"]

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "lbfgs": torch.optim.LBFGS,
}


#: Numbers that an optimiser works on at once: what it keeps for a moment stays in the cache.
_BLOCK = 2**17
#: What torch adds to a norm that it divides by, where it clips.
_TINY = 1e-6


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
    >>> optimizer.clip(3**0.5 / 2)
    >>> optimizer.step(torch.tensor([0.0, 1.0]))
    >>> optimizer.current
    tensor([[-0.5000, -0.5000, -0.5000],
            [-0.7500, -0.7500, -0.7500]])
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

    def clip(self, norm: float) -> None:
        """Scale the gradient of each copy down to a ``norm``, where it is longer."""
        # Of a single sum threads take parts each; of two they take one each, in which the order is always the same.
        pair = self._gradient.expand(2, -1) if len(self._gradient) == 1 else self._gradient
        length = torch.linalg.vector_norm(pair, dim=1)[: len(self._gradient)]
        self._gradient.mul_((norm / (length + _TINY)).clamp(max=1)[:, None])

    def step(self, share: Tensor | None = None) -> None:
        """Take a step for the gradients.

        Parameters
        ----------
        share
            Shares of the learning rate, ``[k]``, of the first ``k`` copies; ``None``: all of it for all of them.
        """
        if share is None:
            self._optimizer.step()
            return
        before = self._whole[: len(share)].clone()
        self._optimizer.step()
        after = self._whole[: len(share)]
        # A step is proportional to the rate, the decay of weights included, and moments do not depend on it.
        after.copy_(before.lerp_(after, share.to(after)[:, None]))


def minimise(
    objective: Callable[[], Tensor],
    parameters: Sequence[Tensor],
    lr: float,
    iterations: int,
    options: Mapping[str, Any],
) -> None:
    """Move parameters to a minimum of an objective by L-BFGS.

    Parameters
    ----------
    objective
        What is minimised, a scalar that depends on the parameters.
    parameters
        Leaves, which are changed in place.
    lr
        Learning rate.
    iterations
        How many at most.
    options
        Further keywords of ``torch.optim.LBFGS``.

    Examples
    --------
    >>> p = torch.zeros(1, requires_grad=True)
    >>> minimise(lambda: (p - 3).square().sum(), [p], 1.0, 100, {})
    >>> p.detach()
    tensor([3.])
    """
    defaults = {"tolerance_grad": 1e-9, "tolerance_change": 1e-14, "line_search_fn": "strong_wolfe"}
    optimizer = torch.optim.LBFGS(parameters, lr=lr, max_iter=iterations, **{**defaults, **options})

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = objective()
        value.backward()
        return value

    step: Callable[..., Any] = optimizer.step  # its types changed between versions of torch
    step(closure)


def check_options(name: str, lr: float, options: Mapping[str, Any]) -> None:
    """Raise unless an optimiser takes the options.

    Parameters
    ----------
    name
        One of ``OPTIMIZERS``.
    lr
        Learning rate.
    options
        Further keywords of its ``torch.optim`` class.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If it does not.

    Examples
    --------
    >>> check_options("sgd", 0.1, {"momentum": 0.9})
    """
    if not isinstance(options, Mapping):
        raise InvalidTypeError(f"options is a {type(options).__name__}, but a dict of keywords is needed.")
    settings = {"lr": "lr", **({"max_iter": "epochs"} if name == "lbfgs" else {})}
    known = [parameter for parameter in inspect.signature(OPTIMIZERS[name]).parameters if parameter != "params"]
    for option in options:
        if option in settings:
            raise InvalidValueError(f"options has {option!r}, which is a setting itself: give {settings[option]}=.")
        if option not in known:
            raise InvalidValueError(
                f"optimizer {name!r} has no option {option!r}{nearest(option, known)}: options are further keywords of "
                f"its torch.optim class."
            )
    try:
        OPTIMIZERS[name]([torch.zeros(1)], lr=lr, **options)
    except (TypeError, ValueError) as error:  # others may be those of this device
        raise InvalidValueError(f"optimizer {name!r} cannot have such options: {error}.") from error


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
