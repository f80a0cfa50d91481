"""Comparisons of modules: whether two are of one architecture, and whether one was changed."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["change", "difference", "layers", "same"]

#: What every module has.
_OWN = frozenset(vars(nn.Module()))
_PLAIN = (bool, int, float, complex, str, bytes)
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def difference(given: nn.Module, other: nn.Module) -> str | None:
    """Return where the architecture of ``other`` differs from that of ``given``, or ``None``.

    Compared are the layers with their types, arguments and numbers of hooks, and the shapes, dtypes and devices of all
    parameters and buffers.
    """
    ours, theirs = dict(given.named_modules()), dict(other.named_modules())
    for name in [*ours, *theirs]:
        a, b = ours.get(name), theirs.get(name)
        if a is None or b is None or _words(a) != _words(b) or type(a) is not type(b):
            return f"{f'layer {name!r}' if name else 'the module'} is {_words(b)} instead of {_words(a)}"
    tensors, others = _tensors(given), _tensors(other)
    for name in [*tensors, *others]:
        p, q = tensors.get(name), others.get(name)
        if p is None or q is None or (p.shape, p.dtype, p.device) != (q.shape, q.dtype, q.device):
            shown = ["missing" if t is None else f"{list(t.shape)} {t.dtype} on {t.device}" for t in (q, p)]
            return f"{name!r} is {shown[0]} instead of {shown[1]}"
    return None


def change(given: nn.Module, module: nn.Module, restless: Set[tuple[str, str]] = frozenset()) -> str | None:
    """Return what of ``module`` is not as in ``given``, of which it was a copy, or ``None``.

    Compared are the architecture, all parameters and buffers bit for bit, the mode, what is trained, the gradients, and
    plain attributes that are numbers, text, tensors or arrays: all but the ``restless``, pairs of the name of a layer
    and of its attribute, which its own forward sets.
    """
    if difference(given, module) is not None:
        return "the layers"
    theirs = _tensors(module)
    for name, tensor in _tensors(given).items():
        other = theirs[name]
        if not same(tensor, other):
            return f"{name!r}"
        if tensor.requires_grad != other.requires_grad:
            return f"requires_grad of {name!r}"
        if (tensor.grad is None) != (other.grad is None):
            return f"the gradient of {name!r}"
    modes = zip(given.modules(), module.modules(), strict=True)
    if any(a.training != b.training for a, b in modes):
        return "the mode"
    for (name, a), b in zip(given.named_modules(), module.modules(), strict=True):
        for key in sorted({*vars(a), *vars(b)} - _OWN):
            if (name, key) not in restless and not _alike(vars(a).get(key), vars(b).get(key)):
                return f"the attribute {f'{name}.{key}'.lstrip('.')!r}"
    return None


def layers(module: nn.Module) -> list[str]:
    """Return the layers of a module in words, with their names, types, arguments and numbers of hooks."""
    return [f"{name}: {_words(layer)}" for name, layer in module.named_modules()]


def same(a: Tensor, b: Tensor) -> bool:
    """Tell whether two tensors are equal entry by entry, where NaN equals NaN."""
    return torch.equal(a, b) or (a.shape == b.shape and bool(((a == b) | (a != a) & (b != b)).all()))


def _alike(a: Any, b: Any) -> bool:
    """Tell whether two attributes are alike, as far as they are of a kind that can be compared."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return (a.shape, a.dtype, a.device) == (b.shape, b.dtype, b.device) and same(a, b)
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    plain = isinstance(a, _PLAIN) or isinstance(b, _PLAIN)
    return not plain or (type(a) is type(b) and (a == b or a != a))


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _words(module: nn.Module | None) -> str:
    if module is None:
        return "missing"
    hooks = sum(len(vars(module).get(name, ())) for name in _HOOKS)
    own = " with a forward of its own" if "forward" in vars(module) else ""
    return f"{type(module).__name__}({module.extra_repr()})" + (f" with {hooks} hooks" if hooks else "") + own
