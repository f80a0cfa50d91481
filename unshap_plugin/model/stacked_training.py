"""Modules that train otherwise than they predict, in training mode with many copies of their parameters."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from unshap_plugin.losses import Loss, losses_of
from unshap_plugin.model.engine import Engine
from unshap_plugin.model.folded import FoldedModule
from unshap_plugin.model.generators import moved, seeded, states
from unshap_plugin.model.given import copied
from unshap_plugin.model.modes import one_row_fails, to_training
from unshap_plugin.model.rows import Rows, arguments, leaves, map_rows, n_rows
from unshap_plugin.model.stacks import Theta, in_pairs, row_weights
from unshap_plugin.numerics.filling import filled
from unshap_plugin.support.portable import Portable
from unshap_plugin.support.threads import alone

__all__ = ["StackedTraining"]

#: Rows on which it is compared with the module itself.
_FEW = 8
_TOLERANCE = 1e-4


class StackedTraining(Portable):
    """A module in training mode with a copy of its parameters and of its statistics per coalition.

    Every copy has a minibatch of its own, and batch norm sees the rows of that alone. Use ``StackedTraining.of``, which
    tells whether a module can be trained so.

    Attributes
    ----------
    statistics
        Buffers that training sets, by name, as the module has them.
    joins
        Whether a batch of one row is refused, so that it has to be joined to another (see ``modes.joined``).
    """

    def __init__(self, module: nn.Module, loss: Loss, joins: bool) -> None:
        self._module, self._loss, self.joins = module, loss, joins
        self._make_anew()

    #: The graph, which a copy takes of its own module.
    _left_behind: ClassVar[tuple[str, ...]] = ("_folded", "statistics")

    def _make_anew(self) -> None:
        self._folded = FoldedModule.in_training(self._module)
        kept = set() if self._folded is None else self._folded.statistics
        self.statistics: Theta = {name: b.clone() for name, b in self._module.named_buffers() if name in kept}

    @classmethod
    def of(cls, engine: Engine, x: Rows) -> StackedTraining | None:
        """Return the training of an engine's module, found right on a few of the rows ``x``, or ``None``.

        A module that draws at random (dropout) cannot be trained so: each copy would draw otherwise than alone.
        """
        if n_rows(x) <= _FEW:
            return None
        module = to_training(copied(engine.module))
        training = cls(module, engine.loss, one_row_fails(module, map_rows(lambda t: t[:1], x)) is not None)
        return (
            training
            if training._folded is not None and training._agrees(map_rows(lambda t: t[:_FEW].clone(), x))
            else None
        )

    def gradients(
        self, theta: Theta, statistics: Theta, present: Tensor, x: Rows, y: Tensor, *, rows_per_copy: bool = False
    ) -> Theta:
        """Return the gradients of the mean loss of each copy's batch, and move its statistics.

        Parameters
        ----------
        theta
            Stacked parameters, ``[m, *shape]`` each.
        statistics
            Stacked statistics, ``[m, *shape]`` each; they are changed in place.
        present
            Which rows are in the batch of each copy, bool ``[m, rows]``. A copy without any gets zeros.
        x, y
            Rows shared by all copies; ``[m, rows, ...]`` with ``rows_per_copy``.
        """
        if len(present) == 1:
            both, x = in_pairs(theta, x, rows_per_copy)
            y = y.expand(2, *y.shape[1:]) if rows_per_copy else y
            seen = {name: p.repeat(2, *[1] * (p.ndim - 1)) for name, p in statistics.items()}
            pair = self.gradients(both, seen, present.expand(2, -1), x, y, rows_per_copy=rows_per_copy)
            for name, p in statistics.items():
                p.copy_(seen[name][:1])
            return {name: p[:1] for name, p in pair.items()}
        dim = 1 if rows_per_copy else 0
        rows = leaves(x)[0].shape[dim]
        whole = map_rows(lambda t: filled(t, dim), x)
        padded = F.pad(present, (0, -rows % leaves(whole)[0].shape[dim]))
        leaf = {name: p.detach().requires_grad_() for name, p in theta.items()}
        assert self._folded is not None
        with alone(), torch.enable_grad():
            outputs = self._folded({**leaf, **statistics}, whole, rows_per_copy=rows_per_copy, present=padded)
            losses = losses_of(self._loss, outputs[:, :rows], y, rows_per_copy=rows_per_copy)
            total = (row_weights(present, losses.dtype) * losses).sum()
            found = torch.autograd.grad(total, list(leaf.values()), allow_unused=True, materialize_grads=True)
        return dict(zip(leaf, found, strict=True))

    def _agrees(self, x: Rows) -> bool:
        """Tell whether two copies, one with a row less, get the outputs and statistics that the module gives them."""
        assert self._folded is not None
        rows, given = n_rows(x), {name: p.detach() for name, p in self._module.named_parameters() if p.requires_grad}
        theta = {name: torch.stack([0.75 * p, 0.5 * p]) for name, p in given.items()}
        statistics = {name: torch.stack([buffer, buffer]) for name, buffer in self.statistics.items()}
        present = torch.ones(2, rows, dtype=torch.bool, device=leaves(x)[0].device)
        present[1, -1] = False
        buffers = {name: buffer.clone() for name, buffer in self._module.named_buffers()}
        with torch.no_grad(), seeded(0):
            before = states()
            try:
                found = self._folded({**theta, **statistics}, map_rows(torch.clone, x), present=present)
                for k, count in enumerate((rows, rows - 1)):
                    own = {name: buffer.clone() for name, buffer in buffers.items()}
                    positional, named = arguments(map_rows(lambda t, n=count: t[:n].clone(), x))  # type: ignore[misc]
                    state = {**{name: p[k] for name, p in theta.items()}, **own}
                    if not _near(found[k, :count], functional_call(self._module, state, positional, named)):
                        return False
                    kept = {**buffers, **{name: value[k] for name, value in statistics.items()}}
                    if not all(_near(kept[name], value) for name, value in own.items()):
                        return False
            except Exception:  # a module that does not work on these rows is refused elsewhere, with the reason
                return False
            return moved(before) is None


def _near(a: Tensor, b: Tensor) -> bool:
    """Tell whether tensors are equal, but for round-off."""
    if a.shape != b.shape or not b.is_floating_point():
        return torch.equal(a, b)
    return torch.allclose(a, b, rtol=_TOLERANCE, atol=_TOLERANCE * float(b.abs().max()) if b.numel() else 0.0)
