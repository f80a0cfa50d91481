"""The centred objective that second-order methods minimise, and its expansion at the given parameters."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from unshap_plugin.errors import InvalidValueError
from unshap_plugin.model.engine import Engine
from unshap_plugin.model.penalties import penalties
from unshap_plugin.model.recipe import Recipe
from unshap_plugin.model.rows import Rows
from unshap_plugin.second_order.curvature import SecondOrder
from unshap_plugin.second_order.linear_head import LinearHead, linear_layer
from unshap_plugin.second_order.proximal import floored, floored_alone, lowest, quadratic_form, raised
from unshap_plugin.second_order.quadratic import Quadratic
from unshap_plugin.second_order.solvers import solve_damped

__all__ = [
    "HALVINGS",
    "MAX_PARAMETERS",
    "SETTLED",
    "SUFFICIENT",
    "Objective",
    "round_off",
]

#: Matrices of more parameters take too much memory and time.
MAX_PARAMETERS = 4096
#: How often a step is halved at most, and which share of what it promises it has to keep.
HALVINGS = 6
SUFFICIENT = 0.1
#: A step that promises less than this share of the objective is the last.
SETTLED = {torch.float32: 1e-3, torch.float64: 1e-6}
#: A proximal strength that would change by no more than this share of itself is the last.
_MATCHED = 1e-3


class Objective:
    """The centred objective of ``newton`` and ``influence``, on flat parameters ``[m, p]``.

    For a coalition that retains the rows ``R`` of ``n`` it is

    ``sum_R loss_i(theta) + l2/2 |theta|^2 + 1/2 (theta - init)^T Lambda (theta - init) - |R|/n correction^T theta``

    (``Newton`` says what these are). The proximal strengths ``Lambda`` and the gradient correction are zero until
    ``centre`` or ``centre_roughly`` is called.

    Parameters
    ----------
    engine, x, y
        The module and all rows.
    losses
        Value, gradient and curvature of the losses of these rows.
    recipe
        How the module was trained: its penalty and its initial parameters.
    weights
        How many rows each of these stands for, ``[rows]``; ``None``: for itself.
    """

    def __init__(
        self,
        engine: Engine,
        x: Rows,
        y: Tensor,
        losses: SecondOrder,
        recipe: Recipe | None,
        weights: Tensor | None = None,
    ) -> None:
        self.engine, self.x, self.y = engine, x, y
        self.losses = losses
        self.given = engine.flatten(engine.stack(1))[0]
        self.all = self.given.new_ones(1, len(y)) if weights is None else weights[None]
        self.n = len(y) if weights is None else round(float(weights.sum()))
        self.l2, self.init = penalties(engine, recipe)
        ends = np.cumsum([0, *(p.numel() for p in engine.theta0.values())]).tolist()
        self.tensors = [slice(begin, end) for begin, end in itertools.pairwise(ends)]
        self.proximal = torch.zeros_like(self.given)
        self.correction = torch.zeros_like(self.given)

    def centre(self, proximal: float | None) -> Quadratic:
        """Set the proximal strengths and the gradient correction, and expand the objective of all rows.

        The expansion is the one at the given parameters.

        Parameters
        ----------
        proximal
            Proximal strength of all parameters; ``None`` estimates the strengths.
        """
        self.proximal = _estimated_proximal(self) if proximal is None else torch.full_like(self.given, proximal)
        _, gradient, matrix = self.losses(self.engine.stack(1), self.all)
        if linear_layer(self.engine, self.x) is not None:
            self.proximal = floored_alone(self.proximal, matrix[0], self.l2, self.n)
        else:
            self.proximal = floored(self.proximal, matrix[0].diagonal().mean(), self.n)
        # Where the loss curves downwards, steps would run away from a stationary point. The given parameters must be a
        # minimum for all rows, or forgetting a single row would move them as far as forgetting many.
        hessian = matrix[0] if isinstance(self.losses, LinearHead) else self.hessian()
        self.proximal = raised(self.proximal, lowest(hessian + torch.diag(self.l2 + self.proximal)))
        self.correction = self.penalised(gradient, self.given)[0]
        return Quadratic(self.n, matrix[0], self.l2 + self.proximal, self.correction, self.init)

    def short_of_optimum(self) -> float:
        """Return by how much a Newton step from the given parameters would lower losses and penalty of all rows.

        It is measured in losses of a row on average. At an optimum it is next to nothing, whatever the scales of the
        features.
        """
        value, gradient, matrix = self.losses(self.engine.stack(1), self.all)
        gradient = gradient[0] + self.l2 * self.given
        promise = quadratic_form(matrix[0] + torch.diag(self.l2), gradient) / 2
        return promise * self.n / float(value[0].clamp(min=torch.finfo(value.dtype).tiny))

    def leave_uncentred(self) -> None:
        """Take the given parameters for the optimum of losses and penalty, as far as a fit to the end comes.

        What it left over is no force of the training, and scaled with the share of the rows that are retained it would
        be one. Where the others are penalised, an intercept that is not gets the least proximal strength; where nothing
        is, what no row decides goes on for ever.
        """
        _, _, matrix = self.losses(self.engine.stack(1), self.all)
        nothing = torch.zeros_like(self.given)
        least = floored_alone(nothing, matrix[0], self.l2, self.n, rows=bool(self.l2.any()))
        self.proximal = torch.where(self.l2 > 0, nothing, least)

    def centre_roughly(self, proximal: float | None, multiply: Callable[[Tensor], Tensor]) -> None:
        """Set the proximal strengths and the gradient correction without a matrix, for models where it is too large.

        Where no strengths make the given parameters stationary, the proximal term gets the strength at which its
        gradient is as large there as that of the losses (from which ``centre`` sets out). It is not raised:
        Gauss-Newton's matrix does not curve downwards.

        Parameters
        ----------
        proximal
            See ``centre``.
        multiply
            Function from ``[m, p]`` to ``[m, p]`` that multiplies with the matrix of all rows at the given parameters.
        """
        if proximal is None:
            self.proximal, stationary = _stationary_proximal(self)
            if not stationary:
                self.proximal = torch.full_like(self.given, float(_strength(self)))
        else:
            self.proximal = torch.full_like(self.given, proximal)
        generator = torch.Generator("cpu").manual_seed(0)
        signs = torch.randint(0, 2, self.given.shape, generator=generator, device="cpu").to(self.given) * 2 - 1
        trace = signs @ multiply(signs[None])[0]  # Hutchinson 1990
        self.proximal = floored(self.proximal, trace / len(signs), self.n)
        self.correction = self.residual(self.given) + self.proximal * (self.given - self.init)

    def share(self, weights: Tensor) -> Tensor:
        """Return the share of all rows that each coalition retains, ``[m, 1]``, for weights ``[m, rows]``."""
        return weights.sum(dim=1, keepdim=True) / self.n

    def residual(self, theta: Tensor) -> Tensor:
        """Return the gradient of the losses of all rows and of the penalty at one point, ``[p]``."""
        stack = self.engine.unflatten(theta[None])
        gradient = self.engine.flatten(self.engine.gradients(stack, self.all, self.x, self.y))[0]
        return gradient + self.l2 * theta

    def hessian(self) -> Tensor:
        """Return the Hessian of the loss of all rows at the given parameters, ``[p, p]``."""

        def total(flat: Tensor) -> Tensor:
            theta = {name: part[0] for name, part in self.engine.unflatten(flat[None]).items()}
            return self.engine.loss(self.engine.call(theta, self.x), self.y).sum()

        try:
            matrix: Tensor = torch.autograd.functional.hessian(total, self.given)
        except RuntimeError as error:
            if "derivative for" not in str(error):
                raise
            raise InvalidValueError(
                f"{type(self.engine.module).__name__} has an operation of which torch knows no second derivative "
                f"({error}): use an unlearner that needs gradients alone, such as 'finetune'."
            ) from error
        return matrix

    def value(self, theta: Tensor, weights: Tensor) -> Tensor:
        """Return the objective of every coalition, ``[m]``."""
        losses = self.engine.losses(self.engine.unflatten(theta), weights, self.x, self.y)
        return losses + self._rest(theta, weights)

    def penalised(self, gradient: Tensor, theta: Tensor) -> Tensor:
        """Add the gradients of penalty and proximal term to gradients of the losses, ``[m, p]``."""
        return gradient + self.l2 * theta + self.proximal * (theta - self.init)

    def expand(self, theta: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the objective ``[m]``, its gradients ``[m, p]`` and Newton's directions ``[m, p]``."""
        value, gradient, matrix = self.losses(self.engine.unflatten(theta), weights)
        gradient = self.penalised(gradient, theta) - self.share(weights) * self.correction
        matrix.diagonal(dim1=1, dim2=2).add_(self.l2 + self.proximal)
        solution = solve_damped(matrix, gradient)
        return value + self._rest(theta, weights), gradient, -solution

    def descend(self, weights: Tensor, steps: int) -> Tensor:
        """Return the parameters ``[m, p]`` after at most so many steps from the given ones, fewer where they settle."""
        theta, settled = self.step(self.given[None], weights)
        moving = torch.arange(len(weights), device=theta.device)
        for _ in range(steps - 1):
            moving = moving[~settled]
            if len(moving) == 0:
                break
            theta[moving], settled = self.step(theta[moving], weights[moving])
        return theta

    def step(self, theta: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Return the parameters after one step, halved per coalition until it lowers the objective enough.

        All coalitions may start from one point, ``[1, p]``. The second value tells which coalitions have settled:
        those for which a full step promised next to nothing. Newton's method converges quadratically, so that what is
        left after it is nothing at all.
        """
        before, gradient, direction = self.expand(theta, weights)
        slope = (gradient * direction).sum(dim=1)
        result = theta + direction
        left = torch.arange(len(result), device=theta.device)
        size = 1.0
        for _ in range(HALVINGS):
            enough = before[left] + SUFFICIENT * size * slope[left] + round_off(before[left])
            left = left[~(self.value(result[left], weights[left]) <= enough)]
            if len(left) == 0:
                break
            size /= 2
            result[left] = theta.expand_as(result)[left] + size * direction[left]
        return result, -slope <= SETTLED[theta.dtype] * before.abs()

    def _rest(self, theta: Tensor, weights: Tensor) -> Tensor:
        penalty = (self.l2 * theta.square() + self.proximal * (theta - self.init).square()).sum(dim=1) / 2
        return penalty - self.share(weights)[:, 0] * (theta * self.correction).sum(dim=1)


def round_off(values: Tensor) -> Tensor:
    """Return by how much objectives differ from round-off alone: at an optimum no step lowers them."""
    return 100 * torch.finfo(values.dtype).eps * values.abs()


def _estimated_proximal(objective: Objective) -> Tensor:
    """Return estimated proximal strengths ``[p]``, for an objective that is not centred yet."""
    proximal, stationary = _stationary_proximal(objective)
    if stationary:
        return proximal
    # Not an optimum under any such penalty: match the distance travelled instead.
    given, distance = objective.given, (objective.given - objective.init).norm()
    strength, theta = _strength(objective), given[None]
    for _ in range(10):
        objective.proximal = torch.full_like(given, float(strength))
        for _ in range(3):
            theta, settled = objective.step(theta, objective.all)
            if settled:
                break
        change = ((theta[0] - objective.init).norm() / distance).clamp(0.5, 2.0) ** 2
        strength = strength * change
        if settled and (change - 1).abs() <= _MATCHED:
            break
    return torch.full_like(given, float(strength))


def _stationary_proximal(objective: Objective) -> tuple[Tensor, bool]:
    """Return the strengths per parameter tensor, ``[p]``, that come nearest to making the given parameters stationary.

    The second value tells whether they do make them stationary.
    """
    given, moved = objective.given, objective.given - objective.init
    residual = objective.residual(given)
    proximal = torch.zeros_like(given)
    for which in objective.tensors:
        norm = moved[which].square().sum()
        if norm > 0:
            proximal[which] = (-(residual[which] @ moved[which]) / norm).clamp(min=0)
    at_start = objective.residual(objective.init).norm()
    left = (residual + proximal * moved).norm()
    return proximal, bool(left <= 0.02 * max(float(residual.norm()), 1e-3 * float(at_start)))


def _strength(objective: Objective) -> Tensor:
    """Return the proximal strength at which the gradient of the proximal term is as large as that of the losses."""
    moved = objective.given - objective.init
    if not moved.any():
        raise InvalidValueError(
            f"{type(objective.engine.module).__name__} equals the initial parameters that fit says, as if it had "
            f"learned nothing, but is at no optimum: pass a copy from before training, "
            f"copy.deepcopy(model.state_dict()), since training changes a module in place."
        )
    return objective.residual(objective.given).norm() / moved.norm()
