"""``newton``: Newton's method on the retained loss, from the given parameters."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unshap_plugin.curvature import LinearHead, SecondOrder, second_order
from unshap_plugin.engine import Engine
from unshap_plugin.errors import AccessError, check_integer, check_number
from unshap_plugin.problem import Access, ValuationProblem
from unshap_plugin.solvers import conjugate_gradients, product, solve_damped
from unshap_plugin.unlearners.base import Models, StackedModels, Unlearner

__all__ = ["Newton", "expansion"]

MAX_PARAMETERS = 4096
#: Linear heads with more parameters are solved by conjugate gradients, without their matrices.
DIRECT = 128
_HALVINGS = 6
_SUFFICIENT = 0.1
_SETTLED = 1e-3


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
    else it is the one strength whose optimum lies as far from the initial parameters as the given ones do. Where the
    loss is not convex it is raised until the given parameters are a minimum for all rows.

    The matrix is Gauss-Newton's (for a linear head the Hessian), solved by batched Cholesky and damped where it is not
    definite; a step that does not lower the objective enough (Armijo's rule) is halved.

    Access: forget and retain rows. Cost per coalition and step: ``rows p^2 + p^3 / 3`` multiplications for ``p``
    parameters (for a linear head with ``c`` outputs ``rows p^2 / 2``). Error: below 0.01 in accuracy for
    models at an optimum; for models stopped early, about the noise of the training seed (``benchmarks/fidelity.py``).

    Parameters
    ----------
    steps
        Number of Newton steps.
    pull
        ``Lambda`` as one number; ``None`` estimates it.
    """

    name: ClassVar[str] = "newton"
    needs: ClassVar[Access] = Access.RETAIN
    tunable: ClassVar[Mapping[str, tuple[Any, ...]]] = {"steps": (1, 2, 5)}

    steps: int = 5
    pull: float | None = None

    def __post_init__(self) -> None:
        """Check the settings."""
        check_integer("steps", self.steps, 1)
        if self.pull is not None:
            check_number("pull", self.pull, zero=True)

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
        """Add the matrix, its factor and a copy; or, for a large head, the Hessians of its rows."""
        engine = problem.engine
        assert engine is not None
        head = _large_head(engine, expansion(problem, engine))
        extra = 3 * engine.n_parameters**2 if head is None else 4 * len(problem.y) * head.n_outputs**2
        return super().bytes_per_coalition(problem) + 8 * extra

    def _unlearn(self, problem: ValuationProblem, coalitions: NDArray[np.bool_], seed: int) -> Models:
        engine = problem.engine
        assert engine is not None
        start: _Objective = problem.remember((self, seed), lambda: self._centred(problem, engine, seed))
        weights = problem.retained(coalitions).to(start.given.dtype)
        theta, settled = start.step(start.given[None], weights)
        moving = torch.arange(len(weights), device=theta.device)
        for _ in range(self.steps - 1):
            moving = moving[~settled]
            if len(moving) == 0:
                break
            theta[moving], settled = start.step(theta[moving], weights[moving])
        theta[~weights.any(dim=1)] = start.init  # nothing retained: as before the training
        return StackedModels(engine, engine.unflatten(theta))

    def _centred(self, problem: ValuationProblem, engine: Engine, seed: int) -> _Objective:
        objective = _Objective(problem, engine, seed)
        if self.pull is None:
            objective.pull = _estimated_pull(objective)
        else:
            objective.pull = torch.full_like(objective.given, self.pull)
        # Without any pull, coalitions without rows (or directions that no row determines) would stay where they are,
        # as if nothing had been forgotten. A hundredth of a row decides those, and hardly anything else.
        _, gradient, matrix = objective.losses(engine.stack(1), objective.all)
        objective.pull = objective.pull.clamp(min=0.01 * float(matrix.diagonal(dim1=1, dim2=2).mean()) / objective.n)
        # Where the loss curves downwards, steps would run away from a stationary point. The given parameters must be a
        # minimum for all rows, or forgetting a single row would move them as far as forgetting many.
        hessian = matrix[0] if isinstance(objective.losses, LinearHead) else objective.hessian()
        lowest = torch.linalg.eigvalsh(hessian + torch.diag(objective.l2 + objective.pull))[0]
        objective.pull = objective.pull + (-2 * lowest).clamp(min=0)
        objective.tilt = objective.penalised(gradient, objective.given)[0]
        if _large_head(engine, objective.losses) is not None:
            objective.spectrum = _Spectrum(matrix[0], objective.l2 + objective.pull)
        return objective


def expansion(problem: ValuationProblem, engine: Engine) -> SecondOrder:
    """Return value, gradient and curvature of the training losses; what they need is found out once per problem."""
    return problem.remember("second order", lambda: second_order(engine, problem.x, problem.y))


def _large_head(engine: Engine, losses: SecondOrder) -> LinearHead | None:
    """Return the linear head if there is one that is too large for its matrices."""
    return losses if isinstance(losses, LinearHead) and engine.n_parameters > DIRECT else None


class _Objective:
    """The centred objective of ``Newton``, on flat parameters ``[m, p]``."""

    def __init__(self, problem: ValuationProblem, engine: Engine, seed: int) -> None:
        self.engine, self.x, self.y = engine, problem.x, problem.y
        self.losses = expansion(problem, engine)
        self.given = engine.flatten(engine.stack(1))[0]
        self.n = len(problem.y)
        self.all = torch.ones(1, self.n, dtype=self.given.dtype, device=self.given.device)
        recipe = problem.recipe
        self.l2 = torch.zeros_like(self.given)
        self.init = torch.zeros_like(self.given)
        ends = np.cumsum([0, *(p.numel() for p in engine.theta0.values())]).tolist()
        self.tensors = [slice(begin, end) for begin, end in itertools.pairwise(ends)]
        if recipe is not None:
            strengths = [torch.full_like(p.flatten(), recipe.strength(name)) for name, p in engine.theta0.items()]
            self.l2 = torch.cat(strengths)
            if recipe.init is not None:
                state = recipe.initial_state(engine.module, seed)
                self.init = torch.cat([state[name].flatten() for name in engine.theta0]).to(self.given)
        self.pull = torch.zeros_like(self.given)
        self.tilt = torch.zeros_like(self.given)
        self.spectrum: _Spectrum | None = None

    def residual(self, theta: Tensor) -> Tensor:
        """Return the gradient of the full data at one point, ``[p]``, without pull and tilt."""
        stack = self.engine.unflatten(theta[None])
        gradient = self.engine.flatten(self.engine.gradients(stack, self.all, self.x, self.y))[0]
        return gradient + self.l2 * theta

    def hessian(self) -> Tensor:
        """Return the Hessian of the loss of all rows at the given parameters, ``[p, p]``."""

        def total(flat: Tensor) -> Tensor:
            theta = {name: part[0] for name, part in self.engine.unflatten(flat[None]).items()}
            return self.engine.loss(self.engine.call(theta, self.x), self.y).sum()

        matrix: Tensor = torch.autograd.functional.hessian(total, self.given)
        return matrix

    def value(self, theta: Tensor, weights: Tensor) -> Tensor:
        """Return the objective of every coalition, ``[m]``."""
        losses = self.engine.losses(self.engine.unflatten(theta), weights, self.x, self.y)
        return losses + self._rest(theta, weights)

    def penalised(self, gradient: Tensor, theta: Tensor) -> Tensor:
        """Add the gradients of the penalties to gradients of the losses, ``[m, p]``."""
        return gradient + self.l2 * theta + self.pull * (theta - self.init)

    def expand(self, theta: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the objective ``[m]``, its gradients ``[m, p]`` and Newton's directions ``[m, p]``."""
        share, diagonal = _share(weights), self.l2 + self.pull
        stack = self.engine.unflatten(theta)
        if self.spectrum is None:
            value, gradient, matrix = self.losses(stack, weights)
            gradient = self.penalised(gradient, theta) - share * self.tilt
            matrix.diagonal(dim1=1, dim2=2).add_(diagonal)
            solution = solve_damped(matrix, gradient)
        else:
            head, spectrum = self.losses, self.spectrum
            assert isinstance(head, LinearHead)
            value, gradient, second = head.expand(stack, weights)
            gradient = self.penalised(gradient, theta) - share * self.tilt
            solution = conjugate_gradients(
                lambda v: head.product(weights, second, v) + diagonal * v, lambda v: spectrum.solve(share, v), gradient
            )
        return value + self._rest(theta, weights), gradient, -solution

    def step(self, theta: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Return the parameters after one step, halved per coalition until it lowers the objective enough.

        All coalitions may start from one point, ``[1, p]``. Also tell which coalitions have settled: those for which
        a full step promised next to nothing. Newton's method converges quadratically, so that what is left after it
        is nothing at all.
        """
        before, gradient, direction = self.expand(theta, weights)
        slope = (gradient * direction).sum(dim=1)
        result = theta + direction
        left = torch.arange(len(result), device=theta.device)
        size = 1.0
        for _ in range(_HALVINGS):
            enough = before[left] + _SUFFICIENT * size * slope[left] + _round_off(before[left])
            left = left[~(self.value(result[left], weights[left]) <= enough)]
            if len(left) == 0:
                break
            size /= 2
            result[left] = theta.expand_as(result)[left] + size * direction[left]
        return result, -slope <= _SETTLED * before.abs()

    def _rest(self, theta: Tensor, weights: Tensor) -> Tensor:
        penalty = (self.l2 * theta.square() + self.pull * (theta - self.init).square()).sum(dim=1) / 2
        return penalty - _share(weights)[:, 0] * (theta * self.tilt).sum(dim=1)


class _Spectrum:
    """Solves ``(share H + D) s = g`` for the matrix ``H`` of all rows and a positive diagonal ``D``, for any share.

    A coalition retains about that share of the curvature, so that few conjugate gradients are left to do.
    """

    def __init__(self, matrix: Tensor, diagonal: Tensor) -> None:
        self.root = diagonal.rsqrt()
        values, vectors = torch.linalg.eigh(self.root[:, None] * matrix * self.root)
        # Half the digits are plenty for a preconditioner, at half the time.
        self.values, self.vectors = values.clamp(min=0).float(), vectors.float()

    def solve(self, share: Tensor, vectors: Tensor) -> Tensor:
        """Return the solutions ``[m, p]`` for shares ``[m, 1]``."""
        inner = product((vectors * self.root).float(), self.vectors) / (share.float() * self.values + 1)
        return product(inner, self.vectors.T).to(vectors.dtype) * self.root


def _share(weights: Tensor) -> Tensor:
    return weights.mean(dim=1, keepdim=True)


def _round_off(values: Tensor) -> Tensor:
    """Return by how much objectives differ from round-off alone: at an optimum no step lowers them."""
    return 100 * torch.finfo(values.dtype).eps * values.abs()


def _estimated_pull(objective: _Objective) -> Tensor:
    """Return ``Lambda [p]`` for an objective without pull and tilt."""
    given, moved = objective.given, objective.given - objective.init
    residual = objective.residual(given)
    pull = torch.zeros_like(given)
    for which in objective.tensors:
        norm = moved[which].square().sum()
        if norm > 0:
            pull[which] = (-(residual[which] @ moved[which]) / norm).clamp(min=0)
    at_start = objective.residual(objective.init).norm()
    left = (residual + pull * moved).norm()
    if left <= 0.02 * max(float(residual.norm()), 1e-3 * float(at_start)):
        return pull
    # Not an optimum under any such penalty: match the distance travelled instead.
    strength = residual.norm() / moved.norm().clamp(min=torch.finfo(moved.dtype).tiny)
    theta = given[None]
    for _ in range(10):
        objective.pull = torch.full_like(given, float(strength))
        for _ in range(3):
            theta, _ = objective.step(theta, objective.all)
        strength = strength * ((theta[0] - objective.init).norm() / moved.norm()).clamp(0.5, 2.0) ** 2
    return torch.full_like(given, float(strength))
