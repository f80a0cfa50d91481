"""What a gradient method minimises, as sums over rows, and the minibatches of these."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import repeat

import torch
from torch import Tensor

from unshap_plugin.losses import Loss
from unshap_plugin.model.engine import Engine, Theta
from unshap_plugin.model.minibatches import minibatches, orders
from unshap_plugin.model.rows import Rows, take
from unshap_plugin.problem.module_problem import ModuleProblem

__all__ = ["Term", "batch_bytes"]


@dataclass(frozen=True)
class Term:
    """A sum ``sum_i weights[k, i] loss_i(theta[k])`` over rows, for every coalition.

    Parameters
    ----------
    weights
        ``[m, rows]``.
    x, y
        The rows that all coalitions share; ``[m, rows, ...]`` with ``rows_per_copy``.
    loss, shape, levels
        See ``Engine.gradients``.
    whole
        Whether a minibatch is one of all rows, the same for every coalition, and not of those that each gives a weight.
        It must follow from the method alone, so that no bit depends on what else is asked for.
    rows_per_copy
        Whether every coalition has rows of its own.
    """

    weights: Tensor
    x: Rows
    y: Tensor
    loss: Loss | None = None
    shape: Callable[..., Tensor] | None = None
    levels: Tensor | None = None
    whole: bool = False
    rows_per_copy: bool = False

    def gradients(self, engine: Engine, theta: Theta) -> Theta:
        """Return the gradients in stacked parameters."""
        return engine.gradients(
            theta,
            self.weights,
            self.x,
            self.y,
            rows_per_copy=self.rows_per_copy,
            loss=self.loss,
            shape=self.shape,
            levels=self.levels,
        )

    def batches(self, size: int | None, steps: int, seed: int) -> Iterator[Term]:
        """Yield what takes the place of the sum in each step: a sum over ``size`` rows of the same expectation.

        A coalition takes the next of the rows that it gives a weight, in an order of all rows that depends on the
        ``seed`` alone. The weights are multiplied by how many such rows there are for each one in the batch. Without
        any, its sum is zero; where ``size`` rows are all of them, it is the sum itself.
        """
        rows = len(self.y)
        if size is None or size >= rows:
            yield from repeat(self, steps)
            return
        mine = torch.ones_like(self.weights[:1], dtype=torch.bool) if self.whole else self.weights != 0
        counts = mine.sum(dim=1, keepdim=True)
        if int(counts.max()) <= size:  # every step takes the same rows
            yield from repeat(next(self._taken(mine, counts, size, 1, seed)), steps)
        else:
            yield from self._taken(mine, counts, size, steps, seed)

    def _taken(self, mine: Tensor, counts: Tensor, size: int, steps: int, seed: int) -> Iterator[Term]:
        # Only those with two batches or more in an epoch need its order.
        drawn = orders(len(self.y), -(-steps // 2), seed)
        for index, present in minibatches(mine, size, torch.full_like(counts[:, 0], steps), drawn):
            assert index is not None
            share = counts / present.sum(dim=1, keepdim=True).clamp(min=1)
            if self.whole:
                index = index[present]
                weights = self.weights[:, index] * share.to(self.weights)
            else:
                weights = self.weights.gather(1, index) * (present * share).to(self.weights)
            yield replace(
                self,
                weights=weights,
                x=take(self.x, index),
                y=self.y[index],
                levels=None if self.levels is None else self.levels[index],
                rows_per_copy=not self.whole,
            )


def batch_bytes(problem: ModuleProblem, size: int | None) -> int:
    """Estimate the memory that a coalition takes in minibatches of ``size`` of the training rows, ``None`` for all."""
    rows = len(problem.y)
    batch = take(problem.x, torch.arange(min(size or rows, rows), device=problem.y.device))
    # The order of the rows is kept for each coalition.
    return problem.engine.bytes_per_coalition(batch) + 8 * rows
