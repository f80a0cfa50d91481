"""Newton's method for linear heads without a matrix per coalition: by conjugate gradients, for all of them at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from unshap_plugin.numerics.filling import TILE
from unshap_plugin.second_order.linear_head import LinearHead
from unshap_plugin.second_order.objective import HALVINGS, SUFFICIENT, Objective, round_off
from unshap_plugin.second_order.row_loss import Expansion, Logistic, Softmax
from unshap_plugin.second_order.solvers import conjugate_gradients, dot

__all__ = ["EigenvaluePreconditioner", "HeadNewton"]

#: To which share of itself conjugate gradients bring the residual of a step, and in how many of them at most. What is
#: computed in single precision is meant to be no more exact than that, and far less than retrainings differ by.
_TOLERANCE, _ITERATIONS = {torch.float32: 0.1, torch.float64: 1e-8}, 100
#: A step that promises less than this share of the objective is the last. In single precision the steps after it would
#: change utilities by some 2e-4 (means over coalitions of breast_cancer and wine).
_SETTLED = {torch.float32: 1e-2, torch.float64: 1e-6}
#: The latter where the loss may curve downwards: OpenDataVal's multi-class models of digits were no further from where
#: they settle after steps of two than after steps of three to six, and no further from retrained ones.
_FEW_ITERATIONS = 2
#: Marginals are solved for to this share, and what is left of a row beside its leverage counts as no less than this.
_EXACT, _LEAST = 1e-3, 0.2


class HeadNewton:
    """Minimises the centred objective (``Objective``) of every coalition, for a linear head.

    All of it is matrix products of ``[m c, d]`` with the features, and elementwise functions of the scores. The
    curvature of all rows, by output, is the preconditioner of all coalitions (``EigenvaluePreconditioner``): a
    coalition retains about its share of it.

    Parameters
    ----------
    objective
        The objective, centred, of a linear head.
    """

    def __init__(self, objective: Objective) -> None:
        head = objective.losses
        assert isinstance(head, LinearHead)
        self.head, self.n = head, objective.n
        convex = isinstance(head.row_loss, Logistic | Softmax) or head.features.dtype == torch.float64
        self.iterations = _ITERATIONS if convex else _FEW_ITERATIONS
        self.given, self.correction = head.heads(objective.given[None]), head.heads(objective.correction[None])
        # l2/2 |theta|^2 + proximal/2 |theta - init|^2 is theta (diagonal theta / 2 - pulled), and a constant.
        self.diagonal = head.heads((objective.l2 + objective.proximal)[None])
        self.diagonal[:, :, head.features.shape[1] :] = 1  # of what is filled up, which stays zero
        self.pulled = head.heads((objective.proximal * objective.init)[None])
        self.constant = (objective.proximal * objective.init.square()).sum() / 2
        self.preconditioner = EigenvaluePreconditioner(_blocks(head, self.given, objective.all), self.diagonal[0])

    def minimise(self, weights: Tensor, steps: int) -> tuple[Tensor, bool]:
        """Return the parameters ``[m, p]`` after at most so many steps, for weights of the rows ``[m, rows]``.

        The second value tells whether all coalitions have settled.

        A coalition is left alone once a step promised next to nothing. A step that does not lower the objective enough
        is halved.
        """
        m, weights = len(weights), self.head.filled(weights)
        theta = self.given.expand(m, *self.given.shape[1:]).clone()
        path = _Path(theta, theta.clone(), theta.new_full((m,), torch.inf), theta.new_zeros(m))
        moving = _whole(torch.arange(m, device=theta.device))
        for step in range(steps + 1):
            own = _Weighted(_at(moving, weights), self.n)
            now = theta[moving]
            # The first expansion, at the given parameters, is that of all coalitions.
            expansion = self.head.expanded(now if step else self.given)
            reached = self._value(expansion, now, own)
            if self._halved(path, moving[~path.enough(reached, moving)].unique(), weights):
                now = theta[moving]
                expansion = self.head.expanded(now)
                reached = self._value(expansion, now, own)
            if step == steps:
                break
            direction, slope = self._direction(expansion, now, own)
            path.before[moving], path.value[moving], path.promise[moving] = now, reached, slope
            theta[moving] = now + direction
            moving = _whole(moving[~(-slope <= _SETTLED[theta.dtype] * reached.abs())].unique())
            if len(moving) == 0:
                break
        return self.head.flat(theta), len(moving) == 0

    def _halved(self, path: _Path, short: Tensor, weights: Tensor) -> bool:
        """Halve the steps of coalitions that reached too little, and tell whether there were any."""
        found = len(short) > 0
        for _ in range(HALVINGS):
            if len(short) == 0:
                break
            path.theta[short] = (path.theta[short] + path.before[short]) / 2
            path.promise[short] /= 2
            theta, own = path.theta[short], _Weighted(weights[short], self.n)
            short = short[~path.enough(self._value(self.head.expanded(theta), theta, own), short)]
        return found

    def _value(self, expansion: Expansion, theta: Tensor, own: _Weighted) -> Tensor:
        """Return the objective up to a constant, ``[m]``."""
        losses = dot(own.weights, expansion.losses().expand_as(own.weights))
        linear = self.pulled + own.share * self.correction
        return losses + (theta * (self.diagonal * theta / 2 - linear)).flatten(1).sum(dim=1) + self.constant

    def _direction(self, expansion: Expansion, theta: Tensor, own: _Weighted) -> tuple[Tensor, Tensor]:
        """Return Newton's directions ``[m, c, d]``, and the slopes of the objective along them, ``[m]``."""
        gradient = self.head.sums(own.weights[:, None] * expansion.first).addcmul_(self.diagonal, theta)
        gradient = gradient.sub_(self.pulled).addcmul_(own.share, self.correction, value=-1)
        solution = self._solved(expansion, gradient, own, _TOLERANCE[gradient.dtype], self.iterations)
        return -solution, -dot(gradient.flatten(1), solution.flatten(1))

    def _solved(
        self, expansion: Expansion, vectors: Tensor, own: _Weighted, tolerance: float, iterations: int
    ) -> Tensor:
        """Return the products of inverse Hessians with vectors, ``[m, c, d]`` each."""
        shape, curved = vectors.shape, expansion.weighted(own.weights[:, None])
        solve = self.preconditioner.solver(own.share)
        scores = vectors.new_empty(len(vectors), self.head.n_outputs, own.weights.shape[-1])

        def multiply(flat: Tensor) -> Tensor:
            one = flat.view(shape)
            return self.head.sums(curved(self.head.scores(one, scores))).addcmul_(self.diagonal, one).flatten(1)

        return conjugate_gradients(
            multiply,
            lambda flat: solve(flat.view(shape)).flatten(1),
            vectors.flatten(1),
            tolerance=tolerance,
            iterations=iterations,
        ).view(shape)

    def marginals(self, theta: Tensor, weights: Tensor, gradients: Tensor) -> Tensor:
        """Return by how much a function of the parameters rises with each row, to first order, ``[m, rows]``.

        Of a row that a coalition retains it is what it would fall by without it, of another what it would rise by with
        it. A row ``i`` moves the minimum by ``-H^-1 (g_i - correction / n)``, with the Hessian ``H`` of the objective
        with that row, which is the given one but for a term of rank one in each output (Sherman & Morrison 1950); how
        much that matters, its leverage, is that of the curvature of all rows, scaled to the coalition.

        Parameters
        ----------
        theta
            Where the objective has its minimum for the coalitions, ``[m, p]``.
        weights
            One for the rows that they retain, else zero, ``[m, rows]``; rows stand for themselves.
        gradients
            Those of the function there, ``[m, p]``.
        """
        head, rows = self.head, len(self.head.features)
        own, expansion = _Weighted(head.filled(weights), rows), head.expanded(head.heads(theta))
        along = self._solved(expansion, head.heads(gradients), own, _EXACT, _ITERATIONS)
        scores = head.scores(along)
        inverse = (own.share * self.preconditioner.values).add_(1).reciprocal_()  # [m, c, width]
        squares = (head.columns @ self.preconditioner.vectors).square()  # [c, filled rows, width]
        alone = (squares @ inverse.permute(1, 2, 0)).permute(2, 0, 1)  # [m, c, filled rows]
        curvature = torch.stack([expansion.column(k)[:, k] for k in range(head.n_outputs)], dim=1).clamp(min=0)
        leverage = alone * curvature
        left = (1 - leverage).clamp(min=_LEAST)
        moved = expansion.first * scores / torch.where(own.weights[:, None] > 0, left, 1 + leverage)
        centred = (along * self.correction).flatten(1).sum(dim=1, keepdim=True) / rows
        return (centred - moved.sum(dim=1))[:, :rows]


class _Weighted:
    """Weights of the rows ``[m, rows]``, which are ``n`` in sum for all of them, and shares of that, ``[m, 1, 1]``."""

    def __init__(self, weights: Tensor, n: int) -> None:
        self.weights, self.share = weights, weights.sum(dim=1)[:, None, None] / n


def _at(which: Tensor, rows: Tensor) -> Tensor:
    """Return the rows at some indices: all of them as they are, which nobody may change."""
    everything = len(which) == len(rows) and torch.equal(which, torch.arange(len(rows), device=rows.device))
    return rows if everything else rows[which]


def _whole(which: Tensor) -> Tensor:
    """Return indices, the first of which is repeated until products have nothing to fill up."""
    return torch.cat([which, which[:1].expand(-len(which) % TILE)]) if len(which) % TILE else which


@dataclass(frozen=True)
class _Path:
    """Where the coalitions are, which changes in place.

    Parameters
    ----------
    theta, before
        Parameters after and before the last step, ``[m, c, width]``.
    value, promise
        The objective before it, and the slope along it, ``[m]``.
    """

    theta: Tensor
    before: Tensor
    value: Tensor
    promise: Tensor

    def enough(self, reached: Tensor, which: Tensor) -> Tensor:
        """Tell where an objective is as low as Armijo's rule asks, but for round-off."""
        value = self.value[which]
        return reached <= value + SUFFICIENT * self.promise[which] + round_off(value)


class EigenvaluePreconditioner:
    """Solves ``(share H_k + D_k) s_k = g_k`` for every output ``k``, any share, and a positive diagonal ``D``.

    Parameters
    ----------
    matrices
        ``H``, ``[c, d, d]``.
    diagonal
        ``D``, ``[c, d]``.
    """

    def __init__(self, matrices: Tensor, diagonal: Tensor) -> None:
        root = diagonal.rsqrt().double()
        values, vectors = torch.linalg.eigh(root[:, :, None] * matrices * root[:, None, :])
        # As many digits as the problem has: features of very different sizes need them all.
        self.values = values.clamp(min=0).to(matrices.dtype)
        self.vectors = (root[:, :, None] * vectors).to(matrices.dtype)
        self.transposed = self.vectors.mT.contiguous()

    def solver(self, share: Tensor) -> Callable[[Tensor], Tensor]:
        """Return the function from ``[m, c, d]`` to the solutions ``[m, c, d]``, for shares ``[m, 1, 1]``."""
        inverse = (share * self.values).add_(1).reciprocal_()
        return lambda vectors: _each(_each(vectors, self.vectors).mul_(inverse), self.transposed)


def _each(vectors: Tensor, matrices: Tensor) -> Tensor:
    """Return ``vectors[:, k] @ matrices[k]`` for every output ``k``, ``[m, c, d]``."""
    m = len(vectors)
    rows = vectors.transpose(0, 1)
    rows = F.pad(rows, (0, 0, 0, -m % TILE)) if m % TILE else rows
    return torch.bmm(rows, matrices)[:, :m].transpose(0, 1)


def _blocks(head: LinearHead, given: Tensor, weights: Tensor) -> Tensor:
    """Return the matrices of all rows within each output, ``[c, width, width]``, for their weights, ``[1, rows]``."""
    expansion, every = head.expanded(given), head.filled(weights)[0]
    curvatures = [every * expansion.column(k)[0, k] for k in range(head.n_outputs)]
    return torch.stack([head.columns.T @ (curvature[:, None] * head.columns) for curvature in curvatures])
