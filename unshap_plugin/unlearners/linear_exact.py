"""``linear_exact``: linear regression without the forgotten rows, from the normal equations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unshap_plugin.curvature import linear_layer
from unshap_plugin.engine import Engine
from unshap_plugin.errors import AccessError
from unshap_plugin.losses import mse
from unshap_plugin.problem import Access, ValuationProblem
from unshap_plugin.solvers import product
from unshap_plugin.unlearners.base import Models, StackedModels, Unlearner

__all__ = ["LinearExact"]

#: How far, relative to their norm, the given parameters may be from the optimum of all rows.
_AT_OPTIMUM = 1e-3


@dataclass(frozen=True)
class LinearExact(Unlearner):
    """Solve the normal equations of the retained rows: ridge regression, and linear regression without a penalty.

    ``theta(R) = (2/c sum_R z_i z_i^T + diag(l2))^+ (2/c sum_R z_i y_i^T)`` for the features ``z_i`` (with a one for the
    bias) of a linear layer with ``c`` outputs, and the penalty of the recipe. The sums over the retained rows are one
    matrix product with the outer products of all rows: solved anew for every coalition, since a chain of downdates
    (Cook & Weisberg 1982, section 3.4) loses definiteness. Where rows do not determine the parameters, those nearest to
    the initial ones are taken, to which gradient methods converge too.

    For modules whose only parameters are those of a linear layer whose outputs are the module's, trained with the
    squared error to an optimum; others are refused. Access: forget and retain rows. Cost per coalition:
    ``rows d^2 + d^3 / 3`` multiplications for ``d`` features. Error: round-off.
    """

    name: ClassVar[str] = "linear_exact"
    needs: ClassVar[Access] = Access.RETAIN
    exact: ClassVar[bool] = True

    def check(self, problem: ValuationProblem) -> None:
        """Refuse also what is no linear regression at its optimum."""
        super().check(problem)
        kind = type(problem.model).__name__
        equations = _equations(problem)
        if equations is None:
            raise AccessError(
                f"unlearner 'linear_exact' needs a linear layer trained with loss='mse', but {kind} is another model "
                f"or has another loss"
            )
        everybody = torch.ones(1, len(problem.y), dtype=equations.given.dtype, device=equations.given.device)
        distance = (equations.solve(everybody)[0] - equations.given).norm()
        if not distance <= _AT_OPTIMUM * equations.given.norm():
            raise AccessError(
                f"unlearner 'linear_exact' needs a model at the optimum of its training loss, but {kind} is "
                f"{float(distance):.3g} away from it, with parameters of norm {float(equations.given.norm()):.3g}; "
                f"if it was trained with a penalty, say so with fit=Recipe(l2=...)"
            )

    def bytes_per_coalition(self, problem: ValuationProblem) -> int:
        """Add the matrix and its factor."""
        assert problem.engine is not None
        return super().bytes_per_coalition(problem) + 24 * problem.engine.n_parameters**2

    def _unlearn(self, problem: ValuationProblem, coalitions: NDArray[np.bool_], seed: int) -> Models:  # noqa: ARG002
        engine, equations = problem.engine, _equations(problem)
        assert engine is not None
        assert equations is not None
        theta = equations.solve(problem.retained(coalitions).to(torch.float64))
        return StackedModels(engine, equations.parameters(theta, engine))


def _equations(problem: ValuationProblem) -> _NormalEquations | None:
    assert problem.engine is not None
    engine = problem.engine
    return problem.remember("normal equations", lambda: _NormalEquations.of(problem, engine))


class _NormalEquations:
    """``(sum_i w_i A_i + diag(l2)) theta = sum_i w_i B_i`` with ``theta [d, c]``, in float64."""

    def __init__(self, problem: ValuationProblem, engine: Engine, features: Tensor) -> None:
        z = features.double()
        y = problem.y.double().reshape(len(z), -1)
        c, d = y.shape[1], z.shape[1]
        # [rows, d d]: the upper half would do, but the product takes no longer than reading it.
        self.squares = 2 / c * (z[:, :, None] * z[:, None, :]).flatten(1)
        self.moments = 2 / c * (z[:, :, None] * y[:, None, :]).flatten(1)
        self.d, self.c = d, c
        self.given = self._matrix(engine.theta0)
        recipe = problem.recipe
        self.l2, self.initial = torch.zeros_like(self.given), torch.zeros_like(self.given)
        if recipe is not None:
            strengths = {name: torch.full_like(p, recipe.strength(name)) for name, p in engine.theta0.items()}
            self.l2 = self._matrix(strengths)
            if recipe.init is not None:
                state = recipe.initial_state(engine.module, seed=0)  # which is known
                self.initial = self._matrix({name: state[name] for name in engine.theta0})

    @classmethod
    def of(cls, problem: ValuationProblem, engine: Engine) -> _NormalEquations | None:
        """Return the equations, or ``None`` if this is no linear regression."""
        layer = linear_layer(engine, problem.x) if problem.loss is mse else None
        if layer is None:
            return None
        _, features = layer
        outputs = problem.outputs(problem.model, problem.x).double().reshape(len(problem.y), -1)
        found = cls(problem, engine, features)
        linear = features.double() @ found.given
        # What comes after the layer, if anything, has to be nothing.
        same = outputs.shape == linear.shape and torch.allclose(outputs, linear, rtol=1e-4, atol=1e-5)
        return found if same else None

    def solve(self, weights: Tensor) -> Tensor:
        """Return the solutions ``[m, d, c]`` for weights ``[m, rows]``."""
        squares = product(weights.double(), self.squares).reshape(-1, self.d, self.d)
        moments = product(weights.double(), self.moments).reshape(-1, self.d, self.c)
        columns = []
        for k in range(self.c):
            matrix = squares + torch.diag(self.l2[:, k])
            start = self.initial[:, k : k + 1] * (self.l2[:, k : k + 1] == 0)
            residual = moments[:, :, k : k + 1] - matrix @ start
            columns.append(start + _solved(matrix, residual))
        return torch.cat(columns, dim=2)

    def parameters(self, theta: Tensor, engine: Engine) -> dict[str, Tensor]:
        """Return the stacked parameters of the layer."""
        given = engine.theta0
        weight, bias = (next((n for n in given if n.endswith(part)), None) for part in ("weight", "bias"))
        assert weight is not None
        stacked = {weight: theta[:, : given[weight].shape[1]].transpose(1, 2).to(given[weight].dtype)}
        if bias is not None:
            stacked[bias] = theta[:, -1].to(given[bias].dtype)
        return {name: stacked[name].contiguous() for name in given}

    def _matrix(self, parameters: dict[str, Tensor]) -> Tensor:
        """Return the parameters of the layer as ``[d, c]``."""
        weight = next(p for name, p in parameters.items() if name.endswith("weight")).double().T
        bias = [p.double()[None] for name, p in parameters.items() if name.endswith("bias")]
        return torch.cat([weight, *bias])


def _solved(matrix: Tensor, right: Tensor) -> Tensor:
    """Solve ``matrix [m, d, d]``, or find the smallest least-squares solution where it is singular."""
    scale = matrix.diagonal(dim1=1, dim2=2).amax(dim=1)
    factor, info = torch.linalg.cholesky_ex(matrix)
    smallest = factor.diagonal(dim1=1, dim2=2).amin(dim=1).square()
    singular = (info > 0) | ~(smallest > 1e-10 * scale)
    solution = torch.cholesky_solve(right, torch.where(singular[:, None, None], torch.eye(len(factor[0])), factor))
    if singular.any():
        solution[singular] = torch.linalg.pinv(matrix[singular], hermitian=True, rtol=1e-10) @ right[singular]
    return solution
