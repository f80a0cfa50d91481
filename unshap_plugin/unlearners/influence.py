"""``influence``: the influence functions of the forgotten players, added up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unshap_plugin.errors import check_number
from unshap_plugin.numerics.filling import batch_invariant_matmul
from unshap_plugin.problem.access import Access
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.second_order.curvature import GeneralCurvature
from unshap_plugin.second_order.linear_head import LinearHead, linear_layer
from unshap_plugin.second_order.objective import Objective
from unshap_plugin.second_order.solvers import conjugate_gradients, damped_factor
from unshap_plugin.unlearners._players import forgotten, player_sums
from unshap_plugin.unlearners.base import Unlearner
from unshap_plugin.unlearners.models import Models, StackedModels
from unshap_plugin.unlearners.newton import expansion
from unshap_plugin.unlearners.stored import quadratic_of

__all__ = ["Influence"]

#: Networks and linear heads with more parameters are solved for by conjugate gradients, without the matrix: that of a
#: network with 310 parameters (500 rows, 10 outputs) takes a second, of one with 2,000 half a minute.
DIRECT, DIRECT_HEAD = 256, 1024
_TOLERANCE, _ITERATIONS = 1e-3, 100
_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Influence(Unlearner):
    """Influence functions (Koh & Liang 2017, arXiv 1703.04730), added up (Koh et al. 2019, arXiv 1905.13289).

    ``theta(S) = theta_0 + H^-1 sum_F (g_i - correction / n)`` with the gradients ``g_i`` of the losses of the forget
    rows ``F``, and the matrix ``H`` of all ``n`` rows (for a linear head their Hessian, else Gauss-Newton's), of the
    penalty of the recipe and of ``damping``. The gradient ``correction`` is the gradient of all of these at the given
    parameters: zero at an optimum, and elsewhere what centres the objective (see ``Newton``, whose first step this is
    but for ``H``, which is not that of the retained rows).

    Solved once for every player, by Cholesky for few parameters, beyond some hundred (linear heads: a thousand) by
    conjugate gradients on products with ``H``; what many players have together is the sum. So large forget sets are
    underestimated: that the curvature of their rows goes too is left out. Forgetting everything is what it is.

    Access: forget and retain rows, or forget rows and the stored Hessian. Cost: once, a gradient for every row and a
    system for every player; per coalition ``n_players p`` multiplications. Error: second order in the share that is
    forgotten; for linear models between that of ``newton`` and that of doing nothing. For small networks over forget
    sets of all sizes near that of doing nothing, and on two of four data sets without rank correlation with retraining
    (``benchmarks/networks.py``).

    Parameters
    ----------
    damping
        Strength of a proximal term around the initial parameters, which adds it to the diagonal of ``H``; ``None``
        estimates it as ``newton`` does (without the matrix, more roughly).

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If a setting has a value that cannot be used.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from unshap_plugin import value
    >>> x, wrong = np.linspace(-3, 3, 12)[:, None], np.arange(12) % 3 == 2  # the labels of provider c
    >>> train, test = (x, (x[:, 0] > 0) ^ wrong), (x, x[:, 0] > 0)
    >>> model = LogisticRegression().fit(*train)
    >>> value(model, train, test, groups=["a", "b", "c"] * 4, unlearner=Influence()).to_series().idxmin()
    'c'
    """

    name: ClassVar[str] = "influence"
    summary: ClassVar[str] = (
        "Adds up the influence functions of the forgotten players: a matrix product, for any number of coalitions."
    )
    source: ClassVar[str] = "Koh & Liang 2017, arXiv 1703.04730; for groups Koh et al. 2019, arXiv 1905.13289"
    needs: ClassVar[Access] = Access.RETAIN
    stored: ClassVar[str | None] = "hessian"
    advice: ClassVar[str] = "more damping"
    tunable: ClassVar[Mapping[str, tuple[Any, ...]]] = {"damping": (None, 0.1, 1.0, 10.0)}

    damping: float | None = None

    def __post_init__(self) -> None:
        """Check the settings."""
        if self.damping is not None:
            check_number("damping", self.damping, zero=True)

    def _unlearn(self, problem: ModuleProblem, coalitions: NDArray[np.bool_], seed: int) -> Models:  # noqa: ARG002
        engine = problem.engine
        influences = problem.once(_influences, self.damping, self.stand_in(problem) is not None)
        given = engine.flatten(engine.stack(1))
        return StackedModels(
            engine, engine.unflatten(given + batch_invariant_matmul(forgotten(coalitions, given), influences))
        )


def _influences(problem: ModuleProblem, damping: float | None, from_stored: bool) -> Tensor:
    """Return by how much forgetting each player moves the parameters, ``[n_players, p]``."""
    engine = problem.engine
    gradients = problem.once(player_sums, _gradients)[:-1]
    sizes = np.bincount(problem.player_of_row[problem.player_of_row >= 0], minlength=problem.n_players)
    count = torch.as_tensor(sizes, dtype=gradients.dtype, device=gradients.device)[:, None]
    if from_stored:
        assert problem.stored is not None
        quadratic = quadratic_of(
            problem.stored,
            engine.flatten(engine.stack(1))[0],
            damping,
            linear=linear_layer(engine, problem.x) is not None,
        )
    else:
        losses = problem.once(expansion)
        objective = Objective(engine, problem.x, problem.y, losses, problem.recipe)
        if engine.n_parameters > (DIRECT_HEAD if isinstance(losses, LinearHead) else DIRECT):
            multiply = _multiplier(problem, objective)
            objective.centre_roughly(damping, multiply)
            diagonal = objective.l2 + objective.proximal
            return conjugate_gradients(
                lambda v: multiply(v) + diagonal * v,
                lambda v: v / diagonal,
                gradients - count / objective.n * objective.correction,
                tolerance=_TOLERANCE,
                iterations=_ITERATIONS,
            )
        quadratic = objective.centre(damping)
    factor = damped_factor((quadratic.matrix + torch.diag(quadratic.diagonal))[None])[0]
    right = gradients - count / quadratic.n * quadratic.correction
    return torch.cholesky_solve(right.T.to(factor), factor).T.to(right)


def _gradients(block: Tensor) -> Tensor:
    return block


def _multiplier(problem: ModuleProblem, objective: Objective) -> Callable[[Tensor], Tensor]:
    """Return what multiplies vectors ``[m, p]`` with the matrix of all rows, a bounded number of them at once."""
    engine, losses = problem.engine, objective.losses
    if isinstance(losses, LinearHead):
        curved = losses.expanded(losses.heads(objective.given[None])).weighted(losses.filled(objective.all)[:, None])
        some: Callable[[Tensor], Tensor] = lambda v: losses.flat(  # noqa: E731
            losses.sums(curved(losses.scores(losses.heads(v))))
        )
    else:
        assert isinstance(losses, GeneralCurvature)
        some = losses.multiply
    step = max(1, _BYTES // (2 * engine.bytes_per_coalition(problem.x)))
    return lambda vectors: torch.cat([some(part) for part in vectors.split(step)])
