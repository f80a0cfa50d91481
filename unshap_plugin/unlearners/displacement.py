"""Adam on a displacement whose size is that of the forget set: what ``finetune`` and ``gradient_ascent`` share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from unshap_plugin.engine import Engine, Theta, along

__all__ = ["descend_displaced"]


def descend_displaced(
    engine: Engine, share: Tensor, gradient: Callable[[Theta], Theta], *, steps: int, lr: float
) -> Theta:
    """Run Adam on ``u`` in ``theta = theta_0 + share * u``, for every coalition at once.

    Adam's steps have the size of the learning rate whatever the size of the gradient, so that plain Adam moves as far
    for one forgotten row as for a half of all rows. With the displacement scaled by the share of the rows that is
    forgotten, removing little changes little, and removing nothing changes nothing.

    Parameters
    ----------
    engine
        The module.
    share
        Share of the rows that each coalition forgets, ``[m]``.
    gradient
        From stacked parameters to stacked gradients of what is to be minimised.
    steps, lr
        Of Adam.

    Returns
    -------
    Stacked parameters.
    """
    m = len(share)
    start = engine.stack(m)
    scale = {name: along(share.to(p.dtype), p) for name, p in start.items()}
    moved = {name: torch.zeros_like(p) for name, p in start.items()}
    optimizer = torch.optim.Adam(list(moved.values()), lr=lr)
    theta = start
    for _ in range(steps):
        gradients = gradient(theta)
        for name, u in moved.items():
            u.grad = gradients[name]
        optimizer.step()
        theta = {name: start[name] + scale[name] * moved[name] for name in start}
    return theta
