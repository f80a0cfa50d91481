"""How the layers of a module are set for training, and what those need that train otherwise than they predict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from unshap_plugin.model.generators import seeded
from unshap_plugin.model.given import copied
from unshap_plugin.model.rows import Rows, arguments

__all__ = ["dense", "joined", "one_row_fails", "still", "to_training", "trained_names"]

M = TypeVar("M", bound=nn.Module)


def to_training(module: nn.Module) -> nn.Module:
    """Set the layers that train to training mode and the others to evaluation mode, and return the module.

    A layer of which parameters are frozen does not train: its batch norm keeps its statistics, its dropout is off. A
    layer without parameters (dropout) trains if one before it does, in the order of the children of a module.
    """
    module.eval()
    for layer in _training_layers(module):
        layer.train()
    return module


def _training_layers(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the largest submodules that train throughout."""
    if all(p.requires_grad for p in module.parameters()):
        yield module
        return
    begun = any(p.requires_grad for p in module.parameters(recurse=False))
    for child in module.children():
        own = list(child.parameters())
        if own or begun:
            yield from _training_layers(child)
        begun = begun or any(p.requires_grad for p in own)


def trained_names(module: nn.Module) -> set[str]:
    """Return the names of the parameters and buffers that training sets: tied weights have several."""
    layers = {layer for part in _training_layers(module) for layer in part.modules()}
    names = {name for name, p in module.named_parameters(remove_duplicate=False) if p.requires_grad}
    for path, layer in module.named_modules(remove_duplicate=False):
        if layer in layers:
            names |= {f"{path}.{name}" if path else name for name, _ in layer.named_buffers(recurse=False)}
    return names


def dense(module: M) -> M:
    """Let embeddings give gradients that are no sparse tensors, with the same numbers, and return the module."""
    for layer in module.modules():
        if isinstance(layer, nn.Embedding | nn.EmbeddingBag):
            layer.sparse = False
    return module


def one_row_fails(module: nn.Module, row: Rows) -> str | None:
    """Return the name of the batch norm of a module in training mode that refuses a batch of one row, if one does.

    It does where the statistics of such a batch would be those of a single value; not of the pixels of an image.
    """
    norms = _norms(module)
    if not norms:
        return None
    tried = copied(module)
    positional, named = arguments(row)
    try:
        with torch.no_grad(), seeded(0):
            tried(*positional, **named)
    except ValueError as error:
        if "more than 1 value per channel" in str(error):
            return type(norms[0]).__name__
        raise
    return None


def still(module: nn.Module) -> None:
    """Let the batch norms of a module normalise by the statistics that they have."""
    for layer in _norms(module):
        layer.eval()


def joined(batches: Sequence[Tensor]) -> list[Tensor]:
    """Return batches of which the last, if it is a single row, is joined to the one before it.

    Examples
    --------
    >>> [len(batch) for batch in joined(torch.arange(9).split(4))]
    [4, 5]
    """
    *others, last = batches
    return [*others[:-1], torch.cat([others[-1], last])] if others and len(last) == 1 else [*others, last]


def _norms(module: nn.Module) -> list[nn.Module]:
    """Return the batch norms that train."""
    return [one for one in module.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm) and one.training]
