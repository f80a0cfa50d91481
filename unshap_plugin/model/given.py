"""A module as it is given: taken out of wrappers, copied whatever it holds, and what it returns."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from unshap_plugin.errors import InvalidTypeError
from unshap_plugin.support.threads import alone

__all__ = ["attributes_kept", "copied", "copied_object", "logits_of", "unwrapped"]

M = TypeVar("M", bound=nn.Module)
T = TypeVar("T")


def unwrapped(module: nn.Module) -> nn.Module:
    """Return the module inside ``DataParallel``, ``DistributedDataParallel`` and ``torch.compile``.

    Raises
    ------
    InvalidTypeError
        If it was made by ``torch.jit``, which cannot be run with other parameters, or a layer is such a wrapper: the
        names of its parameters would be others without it.

    Examples
    --------
    >>> unwrapped(nn.DataParallel(nn.Linear(2, 1)))
    Linear(in_features=2, out_features=1, bias=True)
    """
    while (inside := _inside(module)) is not None:
        module = getattr(module, inside)
    for name, layer in module.named_modules():
        what = f"layer {name!r} of the model" if name else "the model"
        if isinstance(layer, torch.jit.ScriptModule):
            raise InvalidTypeError(
                f"{what} was made by torch.jit, which cannot run it with other parameters: pass the nn.Module that it "
                f"was made from, after load_state_dict(scripted.state_dict()) where that was trained."
            )
        inside = _inside(layer)
        if inside is not None:
            raise InvalidTypeError(
                f"{what} is a {type(layer).__name__}, which cannot be run with other parameters: put its .{inside} in "
                f"its place before you pass the model (and in the initial one, where fit knows that)."
            )
    return module


def _inside(module: nn.Module) -> str | None:
    """Return the name of what a wrapper wraps; ``None`` for what is none."""
    if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return "module"
    return "_orig_mod" if "_orig_mod" in module._modules else None  # of torch.compile


def copied(module: M) -> M:
    """Return a copy of a module, also where torch's refuses: of what it computed last, the values are copied.

    Hooks that compute a weight from others (``torch.nn.utils.weight_norm``) leave it in the module, and so do modules
    that keep an activation: with its history, which cannot be copied.

    Examples
    --------
    >>> module = nn.utils.parametrizations.weight_norm(nn.Linear(2, 1))
    >>> module.last = module(torch.zeros(1, 2))
    >>> module.last.requires_grad, copied(module).last.requires_grad
    (True, False)
    """
    with alone():  # another thread may be calling it with other parameters
        memo: dict[int, Any] = {}
        for layer in module.modules():
            for value in vars(layer).values():
                memo.update((id(tensor), tensor.detach().clone()) for tensor in _computed(value))
        return copied_object(module, memo)


def copied_object(model: T, memo: dict[int, Any] | None = None) -> T:
    """Return a copy of a model of any kind.

    Parameters
    ----------
    model
        The model.
    memo
        Copies of its parts that are there, by the number of the part.

    Raises
    ------
    InvalidTypeError
        If it cannot be copied.

    Examples
    --------
    >>> copied_object([1, 2])
    [1, 2]
    """
    try:
        return copy.deepcopy(model, memo)
    except Exception as error:  # whatever the classes of others raise
        raise InvalidTypeError(
            f"{type(model).__name__} cannot be copied ({error}), as a model is that is not to be changed: drop what is "
            f"not part of the model, such as locks and open files, or leave it out in its __getstate__."
        ) from error


def _computed(value: Any) -> Iterator[Tensor]:
    """Yield the tensors with a history in a value, and in the containers of which it is made."""
    if isinstance(value, Tensor):
        if not value.is_leaf:
            yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _computed(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _computed(one)


@contextlib.contextmanager
def attributes_kept(module: nn.Module, changed: set[tuple[str, str]]) -> Iterator[None]:
    """Put back the plain attributes that layers set while they run.

    They may be tensors of a call that is over, which nobody can use: those of ``vmap``.

    Parameters
    ----------
    module
        The module that runs.
    changed
        Where the names of the layer and the attribute are added.
    """
    before = [(name, layer, dict(vars(layer))) for name, layer in module.named_modules()]
    try:
        yield
    finally:
        for name, layer, given in before:
            now = vars(layer)
            if [*map(id, now.values())] != [*map(id, given.values())]:
                odd = [key for key in {*now, *given} if now.get(key, now) is not given.get(key, given)]
                changed.update((name, key) for key in odd)
                now.clear()
                now.update(given)


def logits_of(outputs: Any) -> Any:
    """Return the ``logits`` of what a model returned, a mapping or an object with such an attribute; else all of it.

    Examples
    --------
    >>> logits_of({"loss": None, "logits": torch.ones(2)})
    tensor([1., 1.])
    """
    if isinstance(outputs, Tensor):
        return outputs
    if isinstance(outputs, Mapping):
        return outputs.get("logits", outputs)
    return getattr(outputs, "logits", outputs)
