"""A module whose layers with trained parameters are swapped for ones that have many copies of these.

What is between them stays as it is, whatever its code: it sees the rows of all copies. Frozen parameters are those of
the module itself, so that copies of a small part of a large model, such as a low-rank adapter, share the rest.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from unshap_plugin.model.branches import decides_by
from unshap_plugin.model.folded import FoldedModule, StackedForm, agrees, repeated
from unshap_plugin.model.given import attributes_kept, logits_of
from unshap_plugin.model.rows import Rows, arguments, map_rows, n_rows
from unshap_plugin.model.stacked_layers import StackedLayer, stacked_layer

__all__ = ["SwappedModule", "stacked_form"]


def stacked_form(module: nn.Module, x: Rows) -> StackedForm | Literal[False] | None:
    """Return a form of a module in evaluation mode for many copies, found right on a few of the rows ``x``.

    ``False`` where there is none, and ``None`` where one row alone does not tell.

    Examples
    --------
    >>> import torch
    >>> module = nn.Sequential(nn.Linear(3, 2), nn.Tanh()).eval()
    >>> form = stacked_form(module, torch.randn(4, 3))
    >>> form({name: p.detach().expand(5, *p.shape) for name, p in module.named_parameters()}, torch.zeros(4, 3)).shape
    torch.Size([5, 4, 2])
    """
    folded = FoldedModule.of(module, x)
    return SwappedModule.of(module, x) if folded is False else folded


class _Layer(nn.Module):
    """A layer with a copy of its parameters for each of ``m`` models; whatever else is asked of it is the layer's.

    Parameters
    ----------
    layer
        The layer.
    form
        How it works with stacked parameters.
    path
        Its name in the module.
    """

    def __init__(self, layer: nn.Module, form: StackedLayer, path: str) -> None:
        super().__init__()
        self._layer, self._form = layer, form
        self._names = {name: f"{path}.{name}" for name, _ in _own(layer)}
        self.theta: dict[str, Tensor] = {}
        self.m = 1

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("_layer"), name)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs ``[m * rows, ...]``."""
        own = {
            name: self.theta[self._names[name]] if self._names[name] in self.theta else p.detach()[None]
            for name, p in _own(self._layer)
        }
        if self.m > 1:
            laid: Tensor = _Laid.apply(  # type: ignore[no-untyped-call]  # so in torch 2.1
                self._form(self._layer, own, x, self.m, False)
            )
            return laid
        # Products with one matrix are added up in another way than those with several.
        twice = {name: p.expand(2, *p.shape[1:]) for name, p in own.items()}
        return self._form(self._layer, twice, repeated(x, 2), 2, False)[: len(x)]


class _Laid(torch.autograd.Function):
    """What it is given; gradients of it lie in memory as those of a part of a tensor do: sums depend on that."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, by: Tensor) -> Tensor:  # noqa: ARG004
        return by.contiguous()


class _Again(nn.Module):
    """A part of a swapped module that keeps nothing for gradients, but runs again when they are taken.

    Parameters
    ----------
    part
        The part; whatever else is asked is asked of it.
    swapped
        The module, whose copies are then put in place again.
    """

    def __init__(self, part: nn.Module, swapped: SwappedModule) -> None:
        super().__init__()
        self._part, self._swapped = part, [swapped]  # in a list, since it is no part of this one

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("_part"), name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the part does."""
        if not torch.is_grad_enabled():
            return self._part(*args, **kwargs)
        [swapped] = self._swapped
        theta, m = swapped.current

        def contexts() -> tuple[Any, Any]:
            return contextlib.nullcontext(), swapped.placed(theta, m)

        # Without ``use_reentrant``, which gives no gradients where no input of the part needs them.
        return checkpoint(
            self._part, *args, use_reentrant=False, preserve_rng_state=False, context_fn=contexts, **kwargs
        )


class SwappedModule:
    """A module run for ``m`` copies of its trained parameters as one, with ``m`` times as many rows.

    Use ``SwappedModule.of``, which tells whether that is right.

    Attributes
    ----------
    parameters
        Names of the parameters that may come in copies.
    current
        The copies that are in place, and how many there are.
    """

    alike_alone = True

    def __init__(self, module: nn.Module, layers: dict[str, _Layer]) -> None:
        self._module, self._layers = module, list(layers.values())
        self.current: tuple[dict[str, Tensor], int] = {}, 1
        self.parameters = {name for one in self._layers for name in one._names.values()}

    @classmethod
    def of(cls, module: nn.Module, x: Rows) -> SwappedModule | Literal[False] | None:
        """Return this form of a module in evaluation mode, found right on a few of the rows ``x``.

        ``False`` where there is none, and ``None`` where one row alone does not tell.
        """
        if n_rows(x) < 2:
            return None
        layers: dict[str, _Layer] = {}
        for path, layer in module.named_modules():
            if any(p.requires_grad for p in layer.parameters(recurse=False)):
                form = stacked_layer(layer)
                if form is None or not path or layer.training or layer._forward_hooks or layer._forward_pre_hooks:
                    return False
                layers[path] = _Layer(layer, form, path)
        if not layers:
            return False
        tensors: dict[int, Any] = {id(t): t for t in [*module.parameters(), *module.buffers()]}
        twin = copy.deepcopy(module, tensors)
        for path, one in layers.items():
            owner, _, name = path.rpartition(".")
            setattr(twin.get_submodule(owner), name, one)
        swapped = cls(twin, layers)
        for path in getattr(module, "runs_again", ()):
            owner, _, name = path.rpartition(".")
            setattr(twin.get_submodule(owner), name, _Again(twin.get_submodule(path), swapped))
        return swapped if agrees(swapped, module, x) and not _branches(swapped, module, x) else False

    def __call__(self, theta: dict[str, Tensor], x: Rows, *, rows_per_copy: bool = False) -> Tensor:
        """Return the outputs ``[m, rows, ...]``.

        Parameters
        ----------
        theta
            Parameters, ``[m, *shape]``; those that are missing are the module's own.
        x
            Rows ``[rows, ...]`` that all copies share, or with ``rows_per_copy`` ``[m, rows, ...]``.
        """
        m = len(next(iter(theta.values())))
        x = map_rows(lambda t: t.flatten(0, 1) if rows_per_copy else repeated(t, m), x)
        positional, named = arguments(x)
        with self.placed(theta, m):
            outputs: Tensor = logits_of(self._module(*positional, **named))
        return outputs.unflatten(0, (m, -1))

    @contextlib.contextmanager
    def placed(self, theta: dict[str, Tensor], m: int) -> Iterator[None]:
        """Put ``m`` copies of parameters, ``[m, *shape]`` each, in place for as long as the block runs."""
        before = self.current
        try:
            with attributes_kept(self._module, set()):
                self.current = theta, m
                for one in self._layers:
                    one.theta, one.m = theta, m
                yield
        finally:
            self.current = before


def _branches(swapped: SwappedModule, module: nn.Module, x: Rows) -> bool:
    """Tell whether the code between the layers goes one way or another by what they answer."""
    theta = {name: torch.stack([p.detach()] * 2) for name, p in module.named_parameters() if p.requires_grad}
    few = map_rows(lambda t: t[:2].clone(), x)
    with torch.no_grad():
        return decides_by(theta.values(), lambda: swapped(theta, few))


def _own(layer: nn.Module) -> list[tuple[str, Tensor]]:
    return [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]
