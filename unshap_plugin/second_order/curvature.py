"""Second-order models of weighted losses, one per coalition: value, gradient and curvature matrix.

``sum_i weights[k, i] * loss_i(theta[k])`` has the value ``[m]``, the gradient ``[m, p]``, and a Gauss-Newton matrix
``[m, p, p]``. The general way works for any module, the fast one for linear heads; they agree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.func import grad, jacrev, vjp, vmap

from unshap_plugin.model.engine import Engine, Theta
from unshap_plugin.model.rows import Rows, each_row, map_rows
from unshap_plugin.second_order.linear_head import LinearHead

__all__ = ["GeneralCurvature", "SecondOrder", "second_order"]


class SecondOrder(Protocol):
    """Value, gradient and curvature of weighted losses."""

    def __call__(self, theta: Theta, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the values ``[m]``, gradients ``[m, p]`` and matrices ``[m, p, p]`` for weights ``[m, rows]``.

        Parameters may come as ``m`` copies, or as one that all weights share.
        """
        ...


def second_order(engine: Engine, x: Rows, y: Tensor) -> SecondOrder:
    """Return the fast way for these rows where the module is a linear head, else the general one."""
    return LinearHead.of(engine, x, y) or GeneralCurvature(engine, x, y)


class GeneralCurvature:
    """Generalised Gauss-Newton (Schraudolph 2002), split at the outputs of the module.

    ``C_i = J_i^T H_i J_i`` with the Jacobian ``J_i`` of the outputs of row ``i`` and the Hessian ``H_i`` of its loss
    in these outputs. Works for any module whose rows do not influence each other.
    """

    def __init__(self, engine: Engine, x: Rows, y: Tensor) -> None:
        self.engine, self.x, self.y = engine, x, y

    def __call__(self, theta: Theta, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return values, gradients and matrices."""
        engine, x, y = self.engine, self.x, self.y
        theta = {name: p.expand(len(weights), *p.shape[1:]) for name, p in theta.items()}
        gradients = engine.flatten(engine.gradients(theta, weights, x, y))
        # One coalition at a time: the Jacobians of a single model already fill the processor and the memory.
        matrices = [self._matrix(flat, row) for flat, row in zip(engine.flatten(theta), weights, strict=True)]
        return engine.losses(theta, weights, x, y), gradients, torch.stack(matrices)

    def multiply(self, vectors: Tensor) -> Tensor:
        """Return the products ``[m, p]`` of the matrix of all rows at the given parameters with vectors ``[m, p]``.

        Without the matrix: a Jacobian-vector product, one with the Hessians of the losses in the outputs, and a
        vector-Jacobian product (Schraudolph 2002, section 3).
        """
        engine = self.engine
        flat = engine.flatten(engine.stack(1))[0]

        def outputs_of(flat: Tensor) -> Tensor:
            return engine.call(engine.unflatten(flat), self.x)

        def total(outputs: Tensor) -> Tensor:
            return engine.loss(outputs, self.y).sum()

        def transposed(cotangents: Tensor) -> Tensor:
            (product,) = vjp(outputs_of, flat)[1](cotangents)
            return product

        outputs = outputs_of(flat)

        def one(vector: Tensor) -> Tensor:
            # Twice in reverse mode, which more modules support than forward mode.
            (pushed,) = vjp(transposed, outputs)[1](vector)
            (curved,) = vjp(grad(total), outputs)[1](pushed)  # Hessians are symmetric
            return transposed(curved)

        def one_slowly(vector: Tensor) -> Tensor:
            pushed = torch.autograd.functional.jvp(outputs_of, flat, vector)[1]
            curved = torch.autograd.functional.hvp(total, outputs, pushed)[1]
            product: Tensor = torch.autograd.functional.vjp(outputs_of, flat, curved)[1]
            return product

        return engine.either(lambda: vmap(one)(vectors), lambda: torch.stack([one_slowly(v) for v in vectors]))

    def _matrix(self, flat: Tensor, weights: Tensor) -> Tensor:
        engine = self.engine

        def outputs_of_row(flat: Tensor, row: Rows) -> Tensor:
            return engine.call(engine.unflatten(flat), map_rows(lambda t: t[None], row))[0]

        def loss_of_row(outputs: Tensor, label: Tensor) -> Tensor:
            return engine.loss(outputs[None], label[None])[0]

        jacobian = engine.either(
            lambda: vmap(jacrev(outputs_of_row), in_dims=(None, 0))(flat, self.x),
            lambda: torch.stack([_jacobian(outputs_of_row, flat, row) for row in each_row(self.x)]),
        )
        outputs = engine.call(engine.unflatten(flat), self.x)
        k = outputs[0].numel()
        jacobian = jacobian.reshape(len(outputs), k, -1)
        hessians = vmap(jacrev(jacrev(loss_of_row)))(outputs, self.y).reshape(-1, k, k)
        weighted = weights[:, None, None] * (hessians @ jacobian)
        return jacobian.flatten(0, 1).T @ weighted.flatten(0, 1)


def _jacobian(function: Callable[[Tensor, Rows], Tensor], flat: Tensor, row: Rows) -> Tensor:
    """Return the Jacobian ``[*outputs, p]`` by ordinary autograd: slow, but any module can do it."""
    jacobian: Tensor = torch.autograd.functional.jacobian(lambda t: function(t, row), flat)
    return jacobian
