"""Many coalitions in one pass: stacked parameters, weighted gradients and outputs.

One formulation serves every gradient unlearner (docs/decisions.md). ``theta`` is a dict of parameters with one
copy per coalition, ``[m, *shape]``; ``weights`` is ``[m, rows]``, one row of weights per coalition over rows that all
coalitions share (or, with ``rows_per_copy``, over rows ``[m, rows, ...]`` of its own). Every function has two
implementations: all coalitions at once, and a plain loop over them. At once is the graph of the module with the copies
folded into the rows (``FoldedModule``), or ``torch.func.vmap`` where it has no such form. The loop is the reference in
the tests, and what a module falls back to that neither can handle.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor, nn

from unshap_plugin.losses import Loss, losses_of
from unshap_plugin.model.blocks import rows_in
from unshap_plugin.model.rows import Rows, map_rows, n_rows, take
from unshap_plugin.model.stacked_module import StackedModule
from unshap_plugin.model.stacks import Theta, copies, gradients_in, one_of
from unshap_plugin.support.announcing import announce
from unshap_plugin.support.memory import out_of_memory
from unshap_plugin.support.threads import alone

__all__ = ["Engine", "Theta"]

#: Numbers in a block of gradients of single rows, and bytes of what these are computed from.
_BLOCK, _BYTES = 4 * 2**20, 64 * 2**20

T = TypeVar("T")


class Engine(StackedModule):
    """A module and its loss, evaluated for many coalitions at once.

    Its methods take stacked parameters ``theta``, ``[m, *shape]`` each, ``weights`` of rows, ``[m, rows]``, the rows
    ``x`` and their targets ``y``, ``[rows, ...]`` each; what module and loss raise passes through. With
    ``rows_per_copy`` every copy has rows of its own.

    Parameters
    ----------
    module
        The trained module, in evaluation mode. It is never modified.
    loss
        ``(outputs [rows, ...], targets [rows, ...]) -> [rows]``.

    Attributes
    ----------
    module, theta0, batched, restless
        See ``StackedModule``.

    Examples
    --------
    >>> from unshap_plugin.losses import mse
    >>> engine = Engine(nn.Linear(2, 1, bias=False), mse)
    >>> engine.n_parameters, list(engine.state), engine.dtype
    (2, ['weight'], torch.float32)
    >>> theta, x, y = engine.stack(3), torch.eye(2), torch.zeros(2)
    >>> weights = torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0]])  # none of the rows for the last
    >>> engine.outputs(theta, x).shape, engine.call(engine.theta0, x).shape, engine.losses(theta, weights, x, y)[2]
    (torch.Size([3, 2, 1]), torch.Size([2, 1]), tensor(0.))
    >>> flat = engine.flatten(engine.gradients(theta, weights, x, y))
    >>> flat[2].tolist(), engine.unflatten(flat)["weight"].shape
    ([0.0, 0.0], torch.Size([3, 1, 2]))
    >>> [block.shape for block in engine.row_gradients(x, y)], engine.bytes_per_coalition(x) > 0
    ([torch.Size([2, 2])], True)
    >>> engine.either(lambda: "at once", lambda: "one by one")
    'at once'
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     engine.announce("it is slow")
    ...     engine.announce("it is slow")
    >>> len(caught)
    1
    """

    def __init__(self, module: nn.Module, loss: Loss) -> None:
        super().__init__(module)
        self.loss = loss
        self._announced: set[str] = set()

    def stack(self, m: int) -> Theta:
        """Return ``m`` copies of the given parameters, ``[m, *shape]`` each."""
        return {name: p.expand(m, *p.shape).clone() for name, p in self.theta0.items()}

    def flatten(self, theta: Theta) -> Tensor:
        """Return stacked parameters (or gradients) as one matrix ``[m, p]``."""
        return torch.cat([theta[name].flatten(1) for name in self.theta0], dim=1)

    def unflatten(self, flat: Tensor) -> Theta:
        """Return the dict of stacked parameters for a matrix ``flat``, ``[m, p]``."""
        parts = flat.split([p.numel() for p in self.theta0.values()], dim=-1)
        return {
            name: part.reshape(*flat.shape[:-1], *p.shape)
            for (name, p), part in zip(self.theta0.items(), parts, strict=True)
        }

    def outputs(self, theta: Theta, x: Rows) -> Tensor:
        """Return the outputs ``[m, rows, ...]`` of every model on the same rows."""
        m = copies(theta)
        with torch.no_grad():
            return self.either(
                lambda: self._answered(theta, x),
                lambda: torch.stack([self.call(one_of(theta, k), x) for k in range(m)]),
            )

    def losses(self, theta: Theta, weights: Tensor, x: Rows, y: Tensor) -> Tensor:
        """Return ``sum_i weights[k, i] * loss_i(theta[k])`` of every model, ``[m]``."""
        with torch.no_grad():
            return self.either(
                lambda: (weights * losses_of(self.loss, self._answered(theta, x), y)).sum(dim=1),
                lambda: torch.stack(
                    [(row * self.loss(self.call(one_of(theta, k), x), y)).sum() for k, row in enumerate(weights)]
                ),
            )

    def gradients(
        self,
        theta: Theta,
        weights: Tensor,
        x: Rows,
        y: Tensor,
        *,
        rows_per_copy: bool = False,
        loss: Loss | None = None,
        shape: Callable[..., Tensor] | None = None,
        levels: Tensor | None = None,
        fill: bool = True,
    ) -> Theta:
        """Return the gradients of ``sum_i weights[k, i] * loss_i(theta[k])``, stacked like ``theta``.

        Parameters
        ----------
        theta
            Stacked parameters, ``[m, *shape]`` each.
        weights
            ``[m, rows]``.
        x, y
            Rows shared by all coalitions, ``[rows, ...]``; ``[m, rows, ...]`` with ``rows_per_copy``.
        loss
            Loss that takes the place of the one of the training.
        shape, levels
            What is summed instead: a function of losses, weights and levels of rows, ``[..., rows]`` each, elementwise;
            the levels are ``[rows]``, or with ``rows_per_copy`` ``[m, rows]``.
        fill
            Whether the rows are filled up (``filled``), so that no bit depends on the number of copies.
        """
        chosen = loss or self.loss

        def total(losses: Tensor, weights: Tensor, levels: Tensor | None) -> Tensor:
            return (weights * losses if shape is None else shape(losses, weights, levels)).sum()

        def batched() -> Theta:
            leaf = {name: p.detach().requires_grad_() for name, p in theta.items()}
            found: Theta = {}
            for rows in self._blocks(x, rows_per_copy):
                part = rows_in(x, rows, rows_per_copy=rows_per_copy)
                labels = y[:, rows] if rows_per_copy else y[rows]
                beside = None if levels is None else levels[..., rows]
                with torch.enable_grad():
                    outputs = self._stacked(leaf, part, rows_per_copy, fill=fill)
                    losses = losses_of(chosen, outputs, labels, rows_per_copy=rows_per_copy, fill=fill)
                    more = gradients_in(total(losses, weights[:, rows], beside), leaf)
                found = {name: found[name] + p for name, p in more.items()} if found else more
            return found

        def loop() -> Theta:
            each = []
            for k in range(copies(theta)):
                leaf = {name: p.detach().requires_grad_() for name, p in one_of(theta, k).items()}
                rows = (map_rows(lambda t, k=k: t[k], x), y[k]) if rows_per_copy else (x, y)  # type: ignore[misc]
                beside = levels[k] if rows_per_copy and levels is not None else levels
                with torch.enable_grad():
                    losses = chosen(self.call(leaf, rows[0]), rows[1])
                    each.append(gradients_in(total(losses, weights[k], beside), leaf))
            return {name: torch.stack([one[name] for one in each]) for name in theta}

        return self.either(batched, loop)

    def row_gradients(self, x: Rows, y: Tensor, theta: Theta | None = None) -> Iterator[Tensor]:
        """Yield the gradients of the losses of the rows, in blocks ``[b, p]`` of rows.

        They are those at one model's parameters ``theta``, by default at the given ones.
        """
        theta, n = self.theta0 if theta is None else theta, n_rows(x)
        block = max(1, min(_BLOCK // self.n_parameters, n))
        if form := self._swapped(x):
            block = min(block, max(_BYTES // self._row_blocks.bytes_of_a_row(form, self.theta0, x), 1))
        for begin in range(0, n, block):
            index = torch.arange(begin, min(begin + block, n), device=y.device)
            rows = map_rows(lambda t: t[:, None], take(x, index))
            labels = y[index, None]
            one = torch.ones(len(index), 1, dtype=self.dtype, device=y.device)
            copies = {name: p.expand(len(index), *p.shape) for name, p in theta.items()}
            # The blocks are the same whatever the coalitions: there is no need to fill them up.
            yield self.flatten(self.gradients(copies, one, rows, labels, rows_per_copy=True, fill=False))

    def announce(self, message: str) -> None:
        """Warn of something about this module, with a ``message``, once."""
        announce(self._announced, message, message, stacklevel=3)

    def either(self, batched: Callable[[], T], loop: Callable[[], T]) -> T:
        """Return what ``batched`` gives, or where ``vmap`` cannot handle the module, with one warning, ``loop``."""
        if not self.batched:
            return loop()
        try:
            with alone(), warnings.catch_warnings():
                # Of single operations torch says so itself when it runs them one by one, and names no module.
                warnings.filterwarnings("ignore", "There is a performance drop", UserWarning)
                return batched()
        except (RuntimeError, ValueError, NotImplementedError, AssertionError) as error:
            # The errors that vmap refuses with. Nothing is lost: the loop raises whatever is not vmap's fault.
            if out_of_memory(error):
                raise
            result = loop()
            self.batched = False
            self.announce(
                f"{type(self.module).__name__} cannot be batched by torch.func.vmap ({_first_line(error)}); falling "
                f"back to one coalition at a time, which is slower by about the number of coalitions in a chunk."
            )
            return result


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0][:200]
