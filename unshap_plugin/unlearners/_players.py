"""Sums over the rows of each player, of which those over a forget set follow by one matrix product."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unshap_plugin.problem.module_problem import ModuleProblem

__all__ = ["forgotten", "player_sums"]


def player_sums(problem: ModuleProblem, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the sums of ``function`` of the gradients of single rows at the given parameters, by player.

    Parameters
    ----------
    problem
        The model and its rows.
    function
        Function from gradients ``[b, p]`` to ``[b, p]``, row by row.

    Returns
    -------
    ``[n_players + 1, p]``; the last row is the sum over the background at hand.
    """
    engine = problem.engine
    player = torch.as_tensor(problem.player_of_row, device=problem.y.device) % (problem.n_players + 1)
    total = torch.zeros(problem.n_players + 1, engine.n_parameters, dtype=engine.dtype, device=problem.y.device)
    begin = 0
    for block in engine.row_gradients(problem.x, problem.y):
        own = torch.nn.functional.one_hot(player[begin : begin + len(block)], len(total)).to(block)
        total += own.T @ function(block)
        begin += len(block)
    return total


def forgotten(coalitions: NDArray[np.bool_], like: Tensor) -> Tensor:
    """Return which players each coalition forgets, as numbers ``[m, n_players]`` of the kind of ``like``."""
    return torch.as_tensor(~coalitions, dtype=like.dtype, device=like.device)
