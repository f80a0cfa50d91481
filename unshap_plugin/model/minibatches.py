"""Minibatches of many coalitions: each takes its own rows, in an order that all share."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["batches_of_an_epoch", "minibatches", "orders"]


def orders(rows: int, epochs: int, seed: int) -> NDArray[np.int64]:
    """Return for each epoch an order of as many as ``rows`` rows, ``[epochs, rows]``, drawn from the ``seed``.

    Every coalition takes its own rows in these orders. Sharing them makes the noise of the batch order common to all
    coalitions of a seed, so that it largely cancels in the difference of two utilities.

    Examples
    --------
    >>> orders(4, 2, seed=0).shape
    (2, 4)
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, rows]))
    return np.stack([rng.permutation(rows) for _ in range(epochs)])


def batches_of_an_epoch(counts: Tensor, size: int | None, *, joins: bool = False) -> Tensor:
    """Return how many minibatches coalitions of so many rows ``[m]`` have in an epoch, ``[m]``.

    Parameters
    ----------
    counts
        Rows of each coalition, ``[m]``.
    size
        Rows of a minibatch; ``None`` for all of them.
    joins
        Whether a last batch of one row is joined to the one before it; then coalitions of one row have none.

    Examples
    --------
    >>> batches_of_an_epoch(torch.tensor([0, 1, 8, 9]), 4)
    tensor([0, 1, 2, 3])
    >>> batches_of_an_epoch(torch.tensor([0, 1, 8, 9]), 4, joins=True)
    tensor([0, 0, 2, 2])
    """
    if size is None:
        return (counts > int(joins)).long()
    batches = -(-counts // size)
    if joins:
        batches = batches - ((counts > size) & (counts % size == 1)).long()
    return batches * (counts > int(joins))


def minibatches(
    mine: Tensor, size: int | None, steps: Tensor, drawn: NDArray[np.int64], *, joins: bool = False
) -> Iterator[tuple[Tensor | None, Tensor]]:
    """Yield the minibatches of the coalitions that still take steps, one for each step.

    A coalition whose rows all fit into one batch takes them as they stand, in every step.

    Parameters
    ----------
    mine
        Which rows are those of each coalition, bool ``[m, rows]``.
    size
        Rows of a minibatch; ``None`` for all of them.
    steps
        How many steps each coalition takes, ``[m]``, in descending order.
    drawn
        The order of the rows in each epoch, ``[epochs, rows]``: as many as those with several batches come to.
    joins
        See ``batches_of_an_epoch``.

    Yields
    ------
    tuple
        Rows of the data ``[k, size]`` (one more with ``joins``), or ``None`` for all of them, and which of them are in
        the batch, ``[k, size]``: for the first ``k`` coalitions.

    Examples
    --------
    >>> mine = torch.tensor([[True, False, True, True], [False, True, False, False]])
    >>> order = np.array([[3, 2, 1, 0]])
    >>> for rows, present in minibatches(mine, 2, torch.tensor([2, 2]), order):
    ...     print([batch[own].tolist() for batch, own in zip(rows, present)])
    [[3, 2], [1]]
    [[0], [1]]
    """
    counts, device = mine.sum(dim=1), mine.device
    per_epoch = batches_of_an_epoch(counts, size, joins=joins).clamp(min=1)
    several = per_epoch > 1
    shuffled, as_they_stand = torch.as_tensor(drawn, device=device), torch.arange(mine.shape[1], device=device)
    # [m, rows]: the rows of coalition k in the order of its current epoch, then zeros.
    order = torch.zeros(mine.shape, dtype=torch.long, device=device)
    place = torch.arange((size or 0) + int(joins), device=device)
    for step in range(int(steps.max())):
        k = int((steps > step).sum())
        if size is None:
            yield None, mine[:k]
            continue
        anew = several[:k] & (step % per_epoch[:k] == 0)
        begins = torch.nonzero(anew if step else torch.ones_like(anew)).flatten()
        if len(begins) > 0:
            epoch = torch.where(several, step // per_epoch, 0)[begins]
            current = torch.where(several[begins, None], shuffled[epoch], as_they_stand)
            own = torch.zeros_like(current)
            own[as_they_stand < counts[begins, None]] = current[mine[begins].gather(1, current)]
            order[begins] = own
        batch = step % per_epoch[:k]
        end = torch.where(batch == per_epoch[:k] - 1, counts[:k], (batch + 1) * size)
        position = (batch * size)[:, None] + place
        yield order[:k].gather(1, position.clamp(max=mine.shape[1] - 1)), position < end[:, None]
