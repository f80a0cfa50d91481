"""``newton``: Newton's method on the retained loss, from the given parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unshap_plugin.curvature import LinearHead, gauss_newton, solve_damped
from unshap_plugin.engine import Engine
from unshap_plugin.errors import AccessError, InvalidValueError
from unshap_plugin.problem import Access, ValuationProblem
from unshap_plugin.unlearners.base import Models, StackedModels, Unlearner

__all__ = ["Newton"]

MAX_PARAMETERS = 4096
_STEP_SIZES = (1.0, 0.5, 0.25, 0.125, 0.03125)


@dataclass(frozen=True)
class Newton(Unlearner):
    """Newton steps towards the optimum of the retained loss (Guo et al. 2020, arXiv 1911.03030, eq. 1, iterated).

    For a coalition that retains the rows ``R`` of ``n``, the steps minimise

    ``sum_R loss_i(theta) + l2/2 |theta|^2 + 1/2 (theta - init)^T Lambda (theta - init) - |R|/n tilt^T theta``

    with the l2 strength and the initial parameters of the recipe (zero where not known). ``tilt`` is the gradient of
    the first three terms for all rows at the given parameters: it centres the objective, so that removing nothing
    changes nothing even if training was stopped before an optimum. ``Lambda`` stands for what else kept training from
    the optimum: a penalty that the recipe does not mention, or early stopping, which acts like a pull to the initial
    parameters (Ali, Kolter & Tibshirani 2019). It is estimated from the full data: where some strength per parameter
    tensor makes the given parameters stationary, it is that (for an L2-regularised optimum it is the regulariser);
    else it is the one strength whose optimum lies as far from the initial parameters as the given ones do.

    The matrix is Gauss-Newton's (for a linear head the Hessian), solved by batched Cholesky and damped where it is not
    definite; of a few step sizes the one with the lowest objective is taken.

    Access: forget and retain rows. Cost per coalition and step: ``rows p^2 + p^3 / 3`` multiplications for ``p``
    parameters (for a linear head with ``c`` outputs ``rows p^2 / 2``). Error: below 0.01 in accuracy for
    models at an optimum; for models stopped early, about the noise of the training seed.

    Parameters
    ----------
    steps
        Number of Newton steps.
    pull
        ``Lambda`` as one number; ``None`` estimates it.
    """

    name: ClassVar[str] = "newton"
    needs: ClassVar[Access] = Access.RETAIN

    steps: int = 3
    pull: float | None = None

    def __post_init__(self) -> None:
        """Check the settings."""
        if self.steps < 1:
            raise InvalidValueError(f"steps is {self.steps}, but at least 1 is needed.")
        if self.pull is not None and not (math.isfinite(self.pull) and self.pull >= 0):
            raise InvalidValueError(f"pull is {self.pull}, but a finite number of at least 0 is needed.")

    def check(self, problem: ValuationProblem) -> None:
        """Refuse also models with more parameters than matrices of them fit into memory."""
        super().check(problem)
        assert problem.engine is not None
        if problem.engine.n_parameters > MAX_PARAMETERS:
            raise AccessError(
                f"unlearner 'newton' solves systems in all parameters, at most {MAX_PARAMETERS}, but "
                f"{type(problem.model).__name__} has {problem.engine.n_parameters}"
            )

    def bytes_per_coalition(self, problem: ValuationProblem) -> int:
        """Add the matrix, its factor and a copy."""
        assert problem.engine is not None
        return super().bytes_per_coalition(problem) + 3 * 8 * problem.engine.n_parameters**2

    def _unlearn(self, problem: ValuationProblem, coalitions: NDArray[np.bool_], seed: int) -> Models:
        engine = problem.engine
        assert engine is not None
        start: _Objective = problem.remember((self, seed), lambda: self._centred(problem, engine, seed))
        weights = problem.retained(coalitions).to(start.given.dtype)
        theta = start.given.expand(len(weights), -1)
        for _ in range(self.steps):
            theta = start.step(theta, weights)
        return StackedModels(engine, engine.unflatten(theta))

    def _centred(self, problem: ValuationProblem, engine: Engine, seed: int) -> _Objective:
        objective = _Objective(problem, engine, seed)
        if self.pull is None:
            objective.pull = _estimated_pull(objective)
        else:
            objective.pull = torch.full_like(objective.given, self.pull)
        # Without any pull, coalitions without rows (or directions that no row determines) would stay where they are,
        # as if nothing had been forgotten. A hundredth of a row decides those, and hardly anything else.
        row = objective.curvature(objective.given[None], objective.all).diagonal(dim1=1, dim2=2).mean() / objective.n
        objective.pull = objective.pull.clamp(min=0.01 * float(row))
        objective.tilt = objective.gradient(objective.given[None], objective.all, share=0.0)[0]
        return objective


class _Objective:
    """The centred objective of ``Newton``, on flat parameters ``[m, p]``."""

    def __init__(self, problem: ValuationProblem, engine: Engine, seed: int) -> None:
        self.engine, self.x, self.y = engine, problem.x, problem.y
        self.head = LinearHead.of(engine, problem.x)
        self.given = engine.flatten(engine.stack(1))[0]
        self.n = len(problem.y)
        self.all = torch.ones(1, self.n, dtype=self.given.dtype, device=self.given.device)
        recipe = problem.recipe
        self.l2 = torch.zeros_like(self.given)
        self.init = torch.zeros_like(self.given)
        ends = np.cumsum([0, *(p.numel() for p in engine.theta0.values())]).tolist()
        self.tensors = [slice(begin, end) for begin, end in zip(ends, ends[1:], strict=False)]
        if recipe is not None:
            strengths = [torch.full_like(p.flatten(), recipe.strength(name)) for name, p in engine.theta0.items()]
            self.l2 = torch.cat(strengths)
            if recipe.init is not None:
                state = recipe.initial_state(engine.module, seed)
                self.init = torch.cat([state[name].flatten() for name in engine.theta0]).to(self.given)
        self.pull = torch.zeros_like(self.given)
        self.tilt = torch.zeros_like(self.given)

    def value(self, theta: Tensor, weights: Tensor) -> Tensor:
        """Return the objective of every coalition, ``[m]``."""
        penalty = (self.l2 * theta.square() + self.pull * (theta - self.init).square()).sum(dim=1) / 2
        losses = self.engine.losses(self.engine.unflatten(theta), weights, self.x, self.y)
        return losses + penalty - _share(weights) * (theta @ self.tilt)

    def gradient(self, theta: Tensor, weights: Tensor, share: float | Tensor) -> Tensor:
        """Return its gradients ``[m, p]``."""
        parts = self.engine.gradients(self.engine.unflatten(theta), weights, self.x, self.y)
        flat = self.engine.flatten(parts) + self.l2 * theta + self.pull * (theta - self.init)
        return flat - (share[:, None] * self.tilt if isinstance(share, Tensor) else share * self.tilt)

    def curvature(self, theta: Tensor, weights: Tensor) -> Tensor:
        """Return its curvature matrices ``[m, p, p]``."""
        stack = self.engine.unflatten(theta)
        matrices = (
            gauss_newton(self.engine, stack, weights, self.x, self.y)
            if self.head is None
            else self.head(stack, weights, self.x, self.y)
        )
        return matrices + torch.diag(self.l2 + self.pull)

    def step(self, theta: Tensor, weights: Tensor) -> Tensor:
        """Return the parameters after one step."""
        gradient = self.gradient(theta, weights, _share(weights))
        direction = -solve_damped(self.curvature(theta, weights), gradient)
        trials = torch.stack([theta + size * direction for size in _STEP_SIZES])
        values = torch.stack([self.value(trial, weights) for trial in trials])
        best = values.nan_to_num(nan=torch.inf).argmin(dim=0)
        return trials[best, torch.arange(len(theta), device=theta.device)]


def _share(weights: Tensor) -> Tensor:
    return weights.mean(dim=1)


def _estimated_pull(objective: _Objective) -> Tensor:
    """Return ``Lambda [p]`` for an objective without pull and tilt."""
    given, moved = objective.given, objective.given - objective.init
    residual = objective.gradient(given[None], objective.all, share=0.0)[0]
    pull = torch.zeros_like(given)
    for which in objective.tensors:
        norm = moved[which].square().sum()
        if norm > 0:
            pull[which] = (-(residual[which] @ moved[which]) / norm).clamp(min=0)
    at_start = objective.gradient(objective.init[None], objective.all, share=0.0)[0].norm()
    left = (residual + pull * moved).norm()
    if left <= 0.02 * max(float(residual.norm()), 1e-3 * float(at_start)):
        return pull
    # Not an optimum under any such penalty: match the distance travelled instead.
    strength = residual.norm() / moved.norm().clamp(min=torch.finfo(moved.dtype).tiny)
    theta = given[None]
    for _ in range(10):
        objective.pull = torch.full_like(given, float(strength))
        for _ in range(3):
            theta = objective.step(theta, objective.all)
        strength = strength * ((theta[0] - objective.init).norm() / moved.norm()).clamp(0.5, 2.0) ** 2
    return torch.full_like(given, float(strength))

