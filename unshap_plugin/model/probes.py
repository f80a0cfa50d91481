"""What the layers of a module are applied to, and what they return: asked for in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from unshap_plugin.model.given import copied, logits_of
from unshap_plugin.model.rows import Rows, arguments, n_rows

__all__ = ["Call", "calls_of", "penultimate", "versions_of"]


@dataclass
class Call:
    """One call of a layer.

    Parameters
    ----------
    name
        The layer.
    positional, named
        What it was applied to.
    before
        The versions of these tensors at that time, which tell later whether they were changed in place.
    output
        What it returned.
    after
        The versions of that.
    """

    name: str
    positional: tuple[Any, ...]
    named: dict[str, Any]
    before: list[int]
    output: Any = None
    after: list[int] | None = None

    @property
    def tensors(self) -> list[Any]:
        """What the layer was applied to: its positional and its named inputs."""
        return [*self.positional, *self.named.values()]


def calls_of(module: nn.Module, x: Rows, which: Callable[[str, nn.Module], bool]) -> tuple[list[Call], Any]:
    """Run a copy of a module on rows, and return the calls of some layers in the order in which they began.

    Parameters
    ----------
    module
        The module, which is left alone.
    x
        The rows ``[rows, ...]``.
    which
        Tells by name and layer whose calls these are.

    Returns
    -------
    The calls, and the outputs of the module.

    Examples
    --------
    >>> module = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    >>> [call], outputs = calls_of(module, torch.zeros(5, 3), lambda name, layer: name == "1")
    >>> call.positional[0].shape, call.output is outputs
    (torch.Size([5, 2]), True)
    """
    calls: list[Call] = []

    def watch(name: str, layer: nn.Module) -> None:
        begun: list[Call] = []  # a layer may be called again before it returns

        def before(_layer: nn.Module, positional: tuple[Any, ...], named: dict[str, Any]) -> None:
            begun.append(Call(name, positional, named, versions_of([*positional, *named.values()])))
            calls.append(begun[-1])

        def after(_layer: nn.Module, _inputs: Any, output: Any) -> None:
            call = begun.pop()
            call.output, call.after = output, versions_of([output])

        layer.register_forward_pre_hook(before, with_kwargs=True, prepend=True)
        layer.register_forward_hook(after)

    probe = copied(module)
    for name, layer in probe.named_modules():
        if which(name, layer):
            watch(name, layer)
    positional, named = arguments(x)
    return calls, logits_of(probe(*positional, **named))


def versions_of(values: list[Any]) -> list[int]:
    """Return how often each tensor among some values was changed in place."""
    return [value._version for value in values if isinstance(value, Tensor)]


def penultimate(module: nn.Module, x: Rows) -> Tensor:
    """Return the features that a module makes of rows before its last layer, ``[rows, d]``, scaled to length one.

    They are the first input of the layer with parameters that is applied last (for a linear model the rows themselves),
    or the outputs where that is not a tensor with a row for every row, or was changed in place afterwards.

    Examples
    --------
    >>> penultimate(nn.Linear(2, 3), torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    with torch.no_grad():
        calls, outputs = calls_of(module, x, lambda _name, layer: bool(list(layer.parameters(recurse=False))))
    features = calls[-1].tensors[0] if calls and calls[-1].tensors else None
    if calls and versions_of(calls[-1].tensors) != calls[-1].before:
        features = None
    if not (isinstance(features, Tensor) and features.is_floating_point() and len(features) == n_rows(x)):
        features = outputs
    features = features.detach().reshape(n_rows(x), -1)
    return features / features.norm(dim=1, keepdim=True).clamp(min=torch.finfo(features.dtype).tiny)
