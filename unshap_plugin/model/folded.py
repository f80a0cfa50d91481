"""A module applied with many copies of its parameters at once: the copies are folded into the rows."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call

from unshap_plugin.model.batch_statistics import normalised, of_the_batch
from unshap_plugin.model.given import copied, logits_of
from unshap_plugin.model.rows import Rows, arguments, map_rows, n_rows
from unshap_plugin.model.stacked_layers import StackedLayer, stacked_layer
from unshap_plugin.numerics.pooling import max_pooled
from unshap_plugin.numerics.softmax import log_softmax, softmax

__all__ = ["FoldedModule", "StackedForm", "agrees", "repeated"]

#: Rows on which a folded module is compared with the module itself.
_FEW = 3
_TOLERANCE = 1e-4


class StackedForm(Protocol):
    """A module for many copies of its parameters at once.

    Attributes
    ----------
    parameters
        Names of the parameters and buffers that may come in copies.
    alike_alone
        Whether a copy that is alone gets the bits that it gets among others.
    """

    parameters: set[str]
    alike_alone: bool

    def __call__(self, theta: dict[str, Tensor], x: Rows, *, rows_per_copy: bool = False) -> Tensor:
        """Return the outputs ``[m, rows, ...]`` for parameters ``[m, *shape]``; see ``FoldedModule``."""
        ...


@dataclass(frozen=True)
class _Layer:
    """A layer with stacked parameters: how it works, and which parameters of the module are its own."""

    layer: nn.Module
    form: StackedLayer | None  # None: batch norm by the statistics of the batch
    names: dict[str, str]


class FoldedModule:
    """The graph of a module (``torch.fx``), run for ``m`` copies of its parameters as one.

    Layers with parameters become batched products (``stacked_layer``). Everything between them sees ``m * rows`` rows:
    what treats rows alike needs no other form, and none of the dispatch of ``torch.func.vmap``. Rows that all copies
    share stay single up to the first layer with parameters.

    Use ``FoldedModule.of``, which tells whether a module can be folded.
    """

    alike_alone = False

    def __init__(self, module: nn.Module, root: nn.Module, graph: fx.Graph, layers: dict[str, _Layer]) -> None:
        self._module, self._root, self._graph, self._layers = module, root, graph, layers
        #: Names of the parameters and buffers that may come in copies.
        self.parameters = {path for one in layers.values() for path in one.names.values()}
        #: Those of layers that normalise by the statistics of the batch.
        self.statistics = {path for one in layers.values() if one.form is None for path in one.names.values()}
        self._signature = inspect.signature(root.forward)
        # Where the module asks for the number of rows, it has to get that of the copies from the start.
        self._counts = any(node.op == "call_method" and node.target in ("size", "dim") for node in graph.nodes) or any(
            node.op == "call_function" and node.target is getattr for node in graph.nodes
        )

    @classmethod
    def of(cls, module: nn.Module, x: Rows) -> FoldedModule | Literal[False] | None:
        """Return the folded form of a module in evaluation mode, found right on a few of the rows ``x``.

        ``False`` where it cannot be folded, and ``None`` where one row alone does not tell.
        """
        if n_rows(x) < 2:
            return None
        if any(part.training for part in module.modules()):
            return False
        folded = cls._traced(module)
        return folded if folded is not None and agrees(folded, module, x) else False

    @classmethod
    def in_training(cls, module: nn.Module) -> FoldedModule | None:
        """Return the folded form of a module of which layers are in training mode; nothing is tried."""
        return cls._traced(module)

    @classmethod
    def _traced(cls, module: nn.Module) -> FoldedModule | None:
        if any(part._forward_hooks or part._forward_pre_hooks for part in module.modules()):
            return None
        called = {id(p): name for name, p in [*module.named_parameters(), *module.named_buffers()]}
        trained = {name for name, p in module.named_parameters() if p.requires_grad}
        root = nn.Sequential(module).train(module.training) if stacked_layer(module) is not None else module
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the tracer's own
                graph = fx.Tracer().trace(copied(root))  # a forward may keep what it computes, here of nothing
        except Exception:  # what cannot be traced is not folded: any module may have any code
            return None
        layers = {}
        for node in graph.nodes:
            if node.op == "get_attr" and called.get(id(_attribute(root, node.target))) in trained:
                return None
            if node.op != "call_module":
                continue
            layer = root.get_submodule(node.target)
            own = {name: called[id(p)] for name, p in _own(layer)}
            batch = of_the_batch(layer)
            if batch or any(p.requires_grad for p in layer.parameters()):
                form = None if batch else stacked_layer(layer)
                if (form is None and not batch) or len(node.args) != 1 or node.kwargs:
                    return None
                layers[node.target] = _Layer(layer, form, own)
        return cls(module, root, graph, layers) if layers else None

    def __call__(
        self, theta: dict[str, Tensor], x: Rows, *, rows_per_copy: bool = False, present: Tensor | None = None
    ) -> Tensor:
        """Return the outputs ``[m, rows, ...]``.

        Parameters
        ----------
        theta
            Parameters, ``[m, *shape]``; those that are missing are the module's own.
        x
            Rows ``[rows, ...]`` that all copies share, or with ``rows_per_copy`` ``[m, rows, ...]``.
        present
            Which rows are in the batch of each copy, bool ``[m, rows]``: for a module in training mode, whose
            statistics in ``theta`` are changed in place.
        """
        m, shared = len(next(iter(theta.values()))), not rows_per_copy
        if rows_per_copy:
            x = map_rows(lambda t: t.flatten(0, 1), x)
        elif self._counts:
            x, shared = map_rows(lambda t: repeated(t, m), x), False
        positional, named = arguments(x)
        inputs = self._signature.bind(*positional, **named).arguments
        values: dict[fx.Node, Any] = {}
        #: Which values have a row for every row, and which of them for every copy too.
        by_row: set[fx.Node] = set()
        by_copy: set[fx.Node] = set()
        for node in self._graph.nodes:
            copies = any(one in by_copy for one in node.all_input_nodes)
            rows = copies or any(one in by_row for one in node.all_input_nodes)
            inputs_of = {one: values[one] for one in node.all_input_nodes}
            if copies:  # what has no copies yet is repeated
                single = [one for one in inputs_of if one in by_row - by_copy and isinstance(values[one], Tensor)]
                inputs_of.update({one: repeated(values[one], m) for one in single})
            args, kwargs = fx.node.map_arg((node.args, node.kwargs), inputs_of.__getitem__)
            if node.op == "output":
                [outputs] = args
                outputs = outputs if copies else repeated(outputs, m)
                return outputs.unflatten(0, (m, -1))  # type: ignore[no-any-return]
            if node.op == "placeholder":
                found = inputs.get(node.target, *node.args)
                rows, copies = node.target in inputs, node.target in inputs and not shared
            elif node.op == "call_module" and node.target in self._layers:
                found = self._applied(self._layers[node.target], theta, args[0], m, copies, present)
                rows = copies = True
            else:
                found = self._plain(node, args, kwargs)
            values[node] = found
            by_row |= {node} if rows else set()
            by_copy |= {node} if copies else set()
        raise AssertionError("a graph ends with its output")

    def _applied(
        self, one: _Layer, theta: dict[str, Tensor], x: Tensor, m: int, copies: bool, present: Tensor | None
    ) -> Tensor:
        own = {
            name: theta[path] if path in theta else p.detach()[None]
            for (name, p), path in zip(_own(one.layer), one.names.values(), strict=True)
        }
        if one.form is None:
            assert present is not None
            return normalised(one.layer, own, x, m, not copies, present)
        return one.form(one.layer, own, x, m, not copies)

    def _plain(self, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if node.op == "get_attr":
            return _attribute(self._root, node.target).detach()
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        if node.op == "call_function":
            return node.target(*args, **kwargs)  # type: ignore[operator]
        layer = self._root.get_submodule(str(node.target))
        if type(layer) in (nn.Softmax, nn.LogSoftmax) and args[0].ndim > 1 and layer.dim in (-1, args[0].ndim - 1):
            return (softmax if type(layer) is nn.Softmax else log_softmax)(args[0])
        if type(layer) is nn.MaxPool2d and not kwargs:
            return max_pooled(layer, args[0])
        return functional_call(layer, {name: p.detach() for name, p in layer.named_parameters()}, args, kwargs)


def agrees(form: StackedForm, module: nn.Module, x: Rows) -> bool:
    """Tell whether two copies, neither of which is the given one, have the outputs that the module gives them.

    On rows that both share, and on rows of their own, which tell where rows look at each other.

    Parameters
    ----------
    form
        The module for many copies.
    module
        The module.
    x
        Rows ``[rows, ...]``, of which a few are taken.
    """
    few = map_rows(lambda t: t[:_FEW].clone(), x)
    own = map_rows(lambda t: torch.stack([t, t[:1].expand_as(t)]), few)
    given = {name: p.detach() for name, p in module.named_parameters() if p.requires_grad}
    theta = {name: torch.stack([0.75 * p, 0.5 * p]) for name, p in given.items()}
    with torch.no_grad():
        try:
            shared = form(theta, map_rows(torch.clone, few)), _each(module, theta, [few, few])
            apart = form(theta, map_rows(torch.clone, own), rows_per_copy=True)
            alone = _each(module, theta, [map_rows(lambda t, k=k: t[k], own) for k in (0, 1)])  # type: ignore[misc]
        except Exception:  # a module that does not work on these rows is refused elsewhere, with the reason
            return False
    tolerance = _tolerance(module)
    return _near(*shared, tolerance) and _near(apart, alone, tolerance)


def _each(module: nn.Module, theta: dict[str, Tensor], rows: list[Rows]) -> Tensor:
    """Return the outputs that a module gives each copy of its parameters, on rows of its own."""
    calls = [({name: p[k] for name, p in theta.items()}, *arguments(own)) for k, own in enumerate(rows)]
    return torch.stack([logits_of(functional_call(module, *call)) for call in calls])


def _tolerance(module: nn.Module) -> float:
    """Return the relative difference that round-off may make, by the coarsest dtype in which a module computes."""
    dtypes = {p.dtype for p in module.parameters() if p.is_floating_point()}
    dtypes |= {getattr(module, "autocast", None) or torch.float32}
    return max(_TOLERANCE, *(4 * torch.finfo(dtype).eps for dtype in dtypes))


def _near(found: Tensor, expected: Tensor, tolerance: float) -> bool:
    least = tolerance * float(expected.abs().max())
    return found.shape == expected.shape and torch.allclose(found, expected, rtol=tolerance, atol=least)


def _own(layer: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from layer.named_parameters()
    yield from layer.named_buffers()


def repeated(x: Tensor, m: int) -> Tensor:
    """Return rows ``[rows, ...]`` once for every copy, ``[m * rows, ...]``."""
    return x.expand(m, *x.shape).flatten(0, 1)


def _attribute(module: nn.Module, path: Any) -> Any:
    owner, _, name = str(path).rpartition(".")
    return getattr(module.get_submodule(owner), name)
