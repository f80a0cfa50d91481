"""What scores sources by gradients alone: UnTrac, UnTrac-Inv, and cosines."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unshap_plugin.model.rows import Rows, n_rows, take
from unshap_plugin.problem.module_problem import ModuleProblem

__all__ = ["RIVALS"]

Theta = dict[str, Tensor]


def untrac(problem: ModuleProblem, lr: float = 1e-3, size: int = 16) -> NDArray[np.float64]:
    """Return how far the evaluation falls when a source's loss is ascended (arXiv 2401.15241), ``[players]``."""
    before, scores = _loss(problem, None, problem.x_test), []
    for mine in _sources(problem):
        scores.append(_loss(problem, _ascended(problem, mine, lr, size), problem.x_test) - before)
    return np.array(scores)


def untrac_inv(problem: ModuleProblem, lr: float = 1e-3, size: int = 16) -> NDArray[np.float64]:
    """Return for each source how far its loss rises when that of the evaluation set is ascended, ``[players]``."""
    theta = _ascended(problem, problem.x_test, lr, size)
    return np.array([_loss(problem, theta, mine) - _loss(problem, None, mine) for mine in _sources(problem)])


def cosine(problem: ModuleProblem) -> NDArray[np.float64]:
    """Return the cosine of the gradients of each source and of the evaluation set, ``[players]``."""
    given = problem.engine.stack(1)
    test, *each = (
        problem.engine.flatten(_gradient(problem, given, rows)) for rows in (problem.x_test, *_sources(problem))
    )
    return np.array([float(torch.cosine_similarity(test, one)) for one in each])


#: What is compared, by its name.
RIVALS: dict[str, Callable[[ModuleProblem], NDArray[np.float64]]] = {
    "UnTrac": untrac,
    "UnTrac-Inv": untrac_inv,
    "cosine of gradients": cosine,
}


def _sources(problem: ModuleProblem) -> list[Rows]:
    """Return the rows of each source."""
    players = range(problem.n_players)
    return [take(problem.x, torch.from_numpy(np.flatnonzero(problem.player_of_row == player))) for player in players]


def _gradient(problem: ModuleProblem, theta: Theta, x: Rows) -> Theta:
    rows = n_rows(x)
    weights = torch.full((1, rows), 1 / rows)
    return problem.engine.gradients(theta, weights, x, torch.zeros(rows, 3, dtype=torch.long))


def _ascended(problem: ModuleProblem, x: Rows, lr: float, size: int) -> Theta:
    """Return where one epoch of ascent by Adam leads, as UnTrac has it."""
    theta = {name: p.requires_grad_() for name, p in problem.engine.stack(1).items()}
    optimizer = torch.optim.Adam(theta.values(), lr=lr, maximize=True)
    for batch in torch.from_numpy(np.random.default_rng(0).permutation(n_rows(x))).split(size):
        gradient = _gradient(problem, {name: p.detach() for name, p in theta.items()}, take(x, batch))
        for name, p in theta.items():
            p.grad = gradient[name]
        optimizer.step()
    return {name: p.detach() for name, p in theta.items()}


def _loss(problem: ModuleProblem, theta: Theta | None, x: Rows) -> float:
    outputs = problem.engine.outputs(theta or problem.engine.stack(1), x)
    return float(-outputs[0, :, 0].sum() / outputs[0, :, 1].sum())
