"""A module that answers for many copies of its parameters, in whatever form it has for that."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from unshap_plugin.model.blocks import RowBlocks, rows_in
from unshap_plugin.model.folded import StackedForm
from unshap_plugin.model.given import attributes_kept, logits_of
from unshap_plugin.model.probes import calls_of
from unshap_plugin.model.rows import Rows, arguments, leaves, map_rows, n_rows
from unshap_plugin.model.stacks import Theta, copies, in_pairs
from unshap_plugin.model.swapped import SwappedModule, stacked_form
from unshap_plugin.numerics.filling import FULL, filled
from unshap_plugin.support.portable import Portable
from unshap_plugin.support.threads import alone

__all__ = ["StackedModule"]

#: Arrays of the size of the parameters that a step holds at a time: start, Adam's state, gradients, what they sum to.
_STATES = 10


class StackedModule(Portable):
    """A module, its outputs for one copy of its parameters, and the memory that many take.

    Parameters
    ----------
    module
        The trained module, in evaluation mode. It is never modified.

    Attributes
    ----------
    theta0
        The given trainable parameters, ``[*shape]`` each.
    batched
        Whether all copies are run at once, until that turns out not to work; ``False``: one after the other.
    restless
        Layers and their plain attributes that forward sets.

    Examples
    --------
    >>> stacked = StackedModule(nn.Linear(2, 1, bias=False))
    >>> stacked.n_parameters, list(stacked.state), stacked.dtype, stacked.call(stacked.theta0, torch.eye(2)).shape
    (2, ['weight'], torch.float32, torch.Size([2, 1]))
    >>> stacked.bytes_per_coalition(torch.eye(2)) > 0, stacked.in_blocks(torch.eye(2))
    (True, False)
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.batched = True
        self.restless: set[tuple[str, str]] = set()
        #: What the rows of a pass are filled up to; a module whose rows have many positions may say less.
        self._multiple = int(getattr(module, "rows_multiple", FULL))
        self._row_blocks = RowBlocks(self._multiple)
        self._make_anew()

    #: Views of the module's own numbers, which a copy takes of its own module.
    _left_behind: ClassVar[tuple[str, ...]] = ("theta0", "_fixed", "_folded")

    def _make_anew(self) -> None:
        module = self.module
        self.theta0: Theta = {name: p.detach() for name, p in module.named_parameters() if p.requires_grad}
        fixed = {name: p.detach() for name, p in module.named_parameters() if not p.requires_grad}
        self._folded: StackedForm | Literal[False] | None = None  # not tried yet
        self._alone: bool | None = None  # nor this
        self._fixed: Theta = {**fixed, **{name: b.detach() for name, b in module.named_buffers()}}

    @property
    def n_parameters(self) -> int:
        """Number of trainable parameters, p."""
        return sum(p.numel() for p in self.theta0.values())

    @property
    def state(self) -> Theta:
        """All parameters and buffers as given, ``[*shape]`` each, the fixed ones too."""
        return {**self._fixed, **self.theta0}

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the parameters."""
        return next(iter(self.theta0.values())).dtype

    def call(self, theta: Theta, x: Rows) -> Tensor:
        """Return the outputs ``[rows, ...]`` of one model.

        Parameters
        ----------
        theta
            Its parameters, ``[*shape]`` each.
        x
            Rows ``[rows, ...]``.

        Raises
        ------
        Exception
            Whatever the module raises of such rows.
        """
        with alone(), attributes_kept(self.module, self.restless):
            # Only of a module that says so it is known, before anything was tried, that a row is answered by itself.
            if hasattr(self.module, "rows_multiple") and not torch.is_grad_enabled():
                blocks = self._blocks(x, gradients=False)
                if len(blocks) > 1:
                    return torch.cat([self.call(theta, rows_in(x, rows)) for rows in blocks])
            outputs: Tensor = logits_of(functional_call(self.module, {**self._fixed, **theta}, *arguments(x)))
        return outputs

    def bytes_per_coalition(self, rows: Rows, *, gradients: bool = True) -> int:
        """Estimate the memory that ``rows``, ``[rows, ...]``, of one coalition take, in bytes.

        Counted are parameters, gradients, Adam's two moments, and activations: those of a block of rows as measured, or
        where there are no blocks those that layers return for a single row, times the number of rows.

        Parameters
        ----------
        rows
            Rows ``[rows, ...]``.
        gradients
            Whether gradients are taken.

        Raises
        ------
        Exception
            Whatever the module raises of such rows.
        """
        item, form = next(iter(self.theta0.values())).element_size(), self._swapped(rows)
        if form:
            blocks = self._row_blocks
            size = min(blocks.size(form, self.theta0, rows, gradients=gradients), n_rows(rows))
            each = blocks.bytes_of_a_row(form, self.theta0, rows, gradients=gradients)
            return _STATES * item * self.n_parameters + size * each
        first = map_rows(lambda t: t[:1], rows)
        with torch.no_grad():
            calls, _ = calls_of(self.module, first, lambda _name, layer: not list(layer.children()))
        sizes = [call.output.numel() for call in calls if isinstance(call.output, Tensor)]
        taken = item * (4 * self.n_parameters + 2 * n_rows(rows) * (sum(sizes) + 1))
        return taken if gradients else taken // 2

    def in_blocks(self, rows: Rows) -> bool:
        """Tell whether ``rows``, ``[rows, ...]``, are run a block at a time, whose activations are known.

        Raises
        ------
        Exception
            Whatever the module raises of such rows.
        """
        return self._swapped(rows) is not None

    def _form(self, x: Rows) -> StackedForm | Literal[False] | None:
        """Return the form of the module for many copies, found on rows ``[rows, ...]`` once there are two or more."""
        if self._folded is None:
            self._folded = stacked_form(self.module, x)
        return self._folded

    def _swapped(self, x: Rows) -> SwappedModule | None:
        form = self._form(x) if self.batched else None
        return form if isinstance(form, SwappedModule) else None

    def _blocks(self, x: Rows, rows_per_copy: bool = False, *, gradients: bool = True) -> list[slice]:
        """Return the blocks of rows of a pass, one for all of them where their activations are not known."""
        form = self._swapped(map_rows(lambda t: t.flatten(0, 1), x) if rows_per_copy else x)
        if form is None:
            return [slice(None)]
        one = map_rows(lambda t: t[0], x) if rows_per_copy else x
        return self._row_blocks.of(form, self.theta0, one, gradients=gradients)

    def _answered(self, theta: Theta, x: Rows) -> Tensor:
        """Return the outputs ``[m, rows, ...]`` of every model on rows that all share, without gradients."""
        return torch.cat([self._stacked(theta, rows_in(x, rows)) for rows in self._blocks(x, gradients=False)], dim=1)

    def _stacked(self, theta: Theta, x: Rows, rows_per_copy: bool = False, *, fill: bool = True) -> Tensor:
        """Return the outputs ``[m, rows, ...]`` of every model, on its own rows or on those that all share."""
        dim = 1 if rows_per_copy else 0
        rows, m = leaves(x)[0].shape[dim], copies(theta)
        form = self._form(map_rows(lambda t: t.flatten(0, 1), x) if rows_per_copy else x) or None
        form = form if form and theta.keys() <= form.parameters else None
        if form is None or not form.alike_alone:
            theta, x = in_pairs(theta, x, rows_per_copy)
        given = x
        if fill:
            x = map_rows(lambda t: filled(t, dim, self._multiple), x)
        if form is not None:
            return form(theta, x, rows_per_copy=rows_per_copy)[:m, :rows]
        if fill and not self._row_by_row(map_rows(lambda t: t[0], given) if rows_per_copy else given):
            x = given
        outputs: Tensor = vmap(self.call, in_dims=(0, 0 if rows_per_copy else None))(theta, x)
        return outputs[:m, :rows]

    def _row_by_row(self, x: Rows) -> bool:
        """Tell whether the module answers rows as it does with others filled up beside them; asked once."""
        if self._alone is None:
            with torch.no_grad():
                plain, beside = (self.call(self.theta0, rows) for rows in (x, map_rows(filled, x)))
            self._alone = torch.allclose(plain, beside[: len(plain)], rtol=1e-4, atol=1e-4 * float(plain.abs().max()))
        return self._alone
