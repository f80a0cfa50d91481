"""The normal equations of linear regression, with or without a penalty."""

from __future__ import annotations

import torch
from torch import Tensor

from unshap_plugin.losses import mse
from unshap_plugin.model.engine import Engine
from unshap_plugin.model.rows import Rows
from unshap_plugin.numerics.filling import batch_invariant_matmul
from unshap_plugin.second_order.linear_head import linear_layer

__all__ = ["NormalEquations"]

#: Pivots and eigenvalues of a matrix whose diagonal is one count as zero below this.
_SINGULAR = 1e-10
_ROUND_OFF = 1e-6


class NormalEquations:
    """``(sum_i w_i A_i + diag(l2)) theta = sum_i w_i B_i`` with ``theta [d, c]``, in float64.

    Use ``NormalEquations.of(engine, x, y, l2, init)``, with l2 strengths and initial parameters ``[p]``, which returns
    ``None`` for what is no linear regression. With ``free_bias`` the last parameter is an intercept that is not drawn
    to its initial value where rows do not determine the others: the features are centred, as in scikit-learn.

    The sums are of features less the means of the rows at hand, where there is such an intercept, and systems are
    solved with a diagonal of ones: a column of dates in milliseconds leaves no digits for the others else.
    """

    def __init__(
        self, engine: Engine, features: Tensor, y: Tensor, l2: Tensor, init: Tensor, free_bias: bool = False
    ) -> None:
        self.free_bias = free_bias
        z = features.double()
        y = y.double().reshape(len(z), -1)
        c, d = y.shape[1], z.shape[1]
        #: What takes sums over features as they are to those over centred ones, ``z -> z T``.
        self.centring = torch.eye(d, dtype=z.dtype, device=z.device)
        if free_bias:
            self.centring[-1, :-1] = -z[:, :-1].mean(dim=0)
        z = torch.cat([z[:, :-1] + self.centring[-1, :-1], z[:, -1:]], dim=1) if free_bias else z
        # [rows, d d]: the upper half would do, but the product takes no longer than reading it.
        self.squares = 2 / c * (z[:, :, None] * z[:, None, :]).flatten(1)
        self.moments = 2 / c * (z[:, :, None] * y[:, None, :]).flatten(1)
        self.d, self.c = d, c
        self.l2, initial = (
            self._matrix({name: p[0] for name, p in engine.unflatten(flat[None]).items()}) for flat in (l2, init)
        )
        self.given, self.initial = (self._centred(theta) for theta in (self._matrix(engine.theta0), initial))

    @classmethod
    def of(
        cls, engine: Engine, x: Rows, y: Tensor, l2: Tensor, init: Tensor, free_bias: bool = False
    ) -> NormalEquations | None:
        """Return the equations, or ``None`` if this is no linear regression."""
        layer = linear_layer(engine, x) if engine.loss is mse else None
        if layer is None:
            return None
        _, features = layer
        nothing = {key: torch.zeros_like(p) for key, p in engine.theta0.items()}
        with torch.no_grad():
            outputs, fixed = (engine.call(theta, x).double().reshape(len(y), -1) for theta in (engine.theta0, nothing))
        if outputs.numel() != y.numel():
            return None
        found = cls(engine, features, y.double().reshape(len(y), -1) - fixed, l2, init, free_bias)
        linear = features.double() @ found.centring @ found.given + fixed
        # What comes after the layer, if anything, has to be nothing.
        same = outputs.shape == linear.shape and torch.allclose(outputs, linear, rtol=1e-4, atol=1e-5)
        return found if same else None

    def sums(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weighted sums of the ``A_i`` and ``B_i``, ``[m, d, d]`` and ``[m, d, c]``."""
        weights = weights.double()
        squares, moments = batch_invariant_matmul(weights, self.squares), batch_invariant_matmul(weights, self.moments)
        return squares.reshape(-1, self.d, self.d), moments.reshape(-1, self.d, self.c)

    def centred(self, squares: Tensor, moments: Tensor) -> tuple[Tensor, Tensor]:
        """Return sums ``[..., d, d]`` and ``[..., d, c]`` over features as they are for those over centred ones."""
        return self.centring.T @ squares @ self.centring, self.centring.T @ moments

    def solve(self, squares: Tensor, moments: Tensor, size: Tensor | None = None) -> Tensor:
        """Return the solutions ``[m, d, c]`` for such sums, for centred features.

        ``size [d, d]`` is the sum that round-off is relative to, where the given ones are differences from it.
        """
        columns = []
        for k in range(self.c):
            matrix = squares + torch.diag(self.l2[:, k])
            whole = matrix if size is None else (size + torch.diag(self.l2[:, k])).expand_as(matrix)
            start = self.initial[:, k : k + 1] * (self.l2[:, k : k + 1] == 0)
            residual = moments[:, :, k : k + 1] - matrix @ start
            size_of_each = whole.diagonal(dim1=1, dim2=2)
            solve = _solved_centred if self.free_bias else _solved
            columns.append(start + solve(matrix, residual, size_of_each))
        return torch.cat(columns, dim=2)

    def distance(self, squares: Tensor, optimum: Tensor, rows: int) -> tuple[float, float]:
        """Return how far the outputs at an optimum ``[d, c]`` are from the given ones, and how far these are spread.

        Both are roots of mean squares over so many rows, whose sum of squares ``[d, d]`` is given. An intercept adds
        nothing to the spread but its round-off.
        """
        centred = self.given.clone()
        if self.free_bias:
            centred[-1] *= _ROUND_OFF
        sizes = [(theta * (squares @ theta)).sum().clamp(min=0) for theta in (optimum - self.given, centred)]
        distance, spread = (float((self.c / 2 * size / rows).sqrt()) for size in sizes)
        return distance, spread

    def parameters(self, theta: Tensor, engine: Engine) -> dict[str, Tensor]:
        """Return the stacked parameters of the layer for solutions ``[m, d, c]``."""
        given = engine.theta0
        if self.free_bias:  # not as a product of matrices, whose bits would depend on how many there are
            moved = (self.centring[-1, :-1, None] * theta[:, :-1]).sum(dim=1)
            theta = torch.cat([theta[:, :-1], (theta[:, -1] + moved)[:, None]], dim=1)
        weight, bias = (next((n for n in given if n.endswith(part)), None) for part in ("weight", "bias"))
        stacked = {}
        if weight is not None:
            stacked[weight] = theta[:, : given[weight].shape[1]].transpose(1, 2).to(given[weight].dtype)
        if bias is not None:
            stacked[bias] = theta[:, -1].to(given[bias].dtype)
        return {name: stacked[name].contiguous() for name in given}

    def _centred(self, theta: Tensor) -> Tensor:
        """Return parameters ``[d, c]`` for centred features."""
        return torch.linalg.solve_triangular(self.centring, theta, upper=False)

    def _matrix(self, parameters: dict[str, Tensor]) -> Tensor:
        """Return the parameters of the layer as ``[d, c]``."""
        weight = [p.double().T for name, p in parameters.items() if name.endswith("weight")]
        bias = [p.double()[None] for name, p in parameters.items() if name.endswith("bias")]
        return torch.cat([*weight, *bias])


def _solved(matrix: Tensor, right: Tensor, sizes: Tensor) -> Tensor:
    """Solve ``matrix [m, d, d]``, or find the smallest least-squares solution where it is singular.

    ``sizes [m, d]`` are what round-off in its rows and columns is relative to.
    """
    scale = torch.where(sizes > 0, sizes, torch.ones_like(sizes)).rsqrt()[:, :, None]
    scaled, right = scale * matrix * scale.mT, scale * right
    factor, info = torch.linalg.cholesky_ex(scaled)
    smallest = factor.diagonal(dim1=1, dim2=2).amin(dim=1).square()
    singular = (info > 0) | ~(smallest > _SINGULAR)
    identity = torch.eye(matrix.shape[1], dtype=matrix.dtype, device=matrix.device)
    solution = scale * torch.cholesky_solve(right, torch.where(singular[:, None, None], identity, factor))
    if singular.any():
        solution[singular] = _smallest(scaled[singular], right[singular], scale[singular])
    return solution


def _smallest(scaled: Tensor, right: Tensor, scale: Tensor) -> Tensor:
    """Return the smallest ``x = scale s`` among the least-squares solutions of ``scaled s = right``."""
    values, vectors = torch.linalg.eigh(scaled)
    free = (values <= _SINGULAR)[:, None, :]
    inverse = torch.where(free, torch.zeros_like(vectors), vectors / values[:, None, :])
    some = scale * _times(inverse, _times(vectors.mT, right))
    ways = scale * torch.where(free, vectors, torch.zeros_like(vectors))  # in which no row says where to go
    return some - _times(ways, _times(torch.linalg.pinv(ways), some))


def _times(matrix: Tensor, vector: Tensor) -> Tensor:
    """Return ``[m, d, d]`` times ``[m, d, 1]``, each of which is the same whatever the others are."""
    return (matrix * vector.mT).sum(dim=2, keepdim=True)


def _solved_centred(matrix: Tensor, right: Tensor, sizes: Tensor) -> Tensor:
    """Solve for an intercept, the last, and for others by what they are worth beside it."""
    count = matrix[:, -1:, -1:]
    count = torch.where(count > _SINGULAR * sizes[:, -1:, None], count, torch.ones_like(count))
    column = matrix[:, :-1, -1:]
    inner = matrix[:, :-1, :-1] - column @ column.mT / count
    others = _solved(inner, right[:, :-1] - column * right[:, -1:] / count, sizes[:, :-1])
    return torch.cat([others, (right[:, -1:] - column.mT @ others) / count], dim=1)
