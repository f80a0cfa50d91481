"""Second-order models of weighted losses, one per coalition: value, gradient and curvature matrix.

``sum_i weights[k, i] * loss_i(theta[k])`` has the value ``[m]``, the gradient ``[m, p]``, and a Gauss-Newton matrix
``[m, p, p]``. The general way works for any module, the fast one for linear heads; they agree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.func import grad, jacrev, vjp, vmap

from unshap_plugin.model.engine import Engine, Theta
from unshap_plugin.model.given import copied
from unshap_plugin.model.probes import calls_of
from unshap_plugin.model.rows import Rows, each_row, map_rows, n_rows
from unshap_plugin.second_order.solvers import batch_invariant_matmul

__all__ = ["GeneralCurvature", "LinearHead", "SecondOrder", "linear_layer", "second_order"]

_BLOCK = 4 * 2**20


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


def linear_layer(engine: Engine, x: Rows) -> tuple[str, Tensor] | None:
    """Return the name of the linear layer that has all trainable parameters, and the features of these, ``[rows, d]``.

    The features are what the layer is applied to where its weight is trainable, and a last one of 1 where its bias is.
    ``None`` for other modules.
    """
    named = list(engine.module.named_modules())
    own = [(name, layer) for name, layer in named if any(p.requires_grad for p in layer.parameters(recurse=False))]
    if len(own) != 1 or type(own[0][1]) is not nn.Linear:
        return None
    name, layer = own[0]
    # Hooks may change its input or its output, or compute its weight from parameters of other names.
    hooks = layer._forward_pre_hooks or layer._forward_hooks
    if hooks or not engine.theta0.keys() <= {f"{name}.{p}".lstrip(".") for p in ("weight", "bias")}:
        return None
    with torch.no_grad():
        calls, _ = calls_of(engine.module, x, lambda one, _layer: one == name)
    seen = [call.tensors[0] for call in calls]
    if len(seen) != 1 or seen[0].ndim != 2 or len(seen[0]) != n_rows(x):
        return None
    z = seen[0].detach()
    ones = z.new_ones(len(z), 1)
    free = [(z, layer.weight), (ones, layer.bias)]
    return name, torch.cat([features for features, p in free if p is not None and p.requires_grad], dim=1)


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


class LinearHead:
    """The fast way, for a module whose only parameters are those of one linear layer.

    With ``a = W z + b`` the parameters enter linearly, so that the Hessian of a row's loss is
    ``A_i (x) [z_i, 1] [z_i, 1]^T`` with the Hessian ``A_i`` in ``a``: small, whatever comes after the layer. It is
    the Gauss-Newton matrix split at ``a``. The features ``z`` are the same for all coalitions.

    Use ``LinearHead.of(engine, x, y)``, which returns ``None`` for other modules.
    """

    def __init__(self, engine: Engine, x: Rows, y: Tensor, features: Tensor, layer: str) -> None:
        self.x, self.y, self.features = x, y, features
        self._shift: Tensor | None = None
        probe = copied(engine.module)
        head = probe.get_submodule(layer)
        assert isinstance(head, nn.Linear)
        head.register_forward_hook(lambda _layer, _args, out: out + self._shift)
        self._probe = Engine(probe, engine.loss)
        self.n_features, self.n_outputs = head.in_features if head.weight.requires_grad else 0, head.out_features

    @classmethod
    def of(cls, engine: Engine, x: Rows, y: Tensor) -> LinearHead | None:
        """Return the fast way for this module, or ``None`` if it has another form."""
        found = linear_layer(engine, x) if engine.batched else None
        if found is None:
            return None
        name, z = found
        head = cls(engine, x, y, z, name)
        try:
            head._pre_activation_derivatives({name: p[None] for name, p in engine.theta0.items()})
        except RuntimeError:  # what comes after the layer cannot be batched
            return None
        return head

    def __call__(self, theta: Theta, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return values, gradients and matrices."""
        value, gradient, second = self.expand(theta, weights)
        return value, gradient, self._matrices(weights, second)

    def expand(self, theta: Theta, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return values ``[m]``, gradients ``[m, p]`` and the Hessians in ``a``, ``[m or 1, rows, c, c]``."""
        losses, first, second = self._pre_activation_derivatives(theta)
        return (weights * losses).sum(dim=1), self._outer_sums(weights[:, :, None] * first), second

    def multiply(self, weights: Tensor, second: Tensor, vectors: Tensor) -> Tensor:
        """Return the products ``[m, p]`` of the matrices with vectors, without the matrices."""
        c, w = self.n_outputs, self.n_features
        m = len(vectors)
        pushed = torch.cat([vectors[:, : c * w].reshape(m, c, w), vectors[:, c * w :].reshape(m, c, -1)], dim=2)
        moved = self.features @ pushed.transpose(1, 2)  # [m, rows, c]
        return self._outer_sums(weights[:, :, None] * (second @ moved[:, :, :, None])[:, :, :, 0])

    def _outer_sums(self, by_row: Tensor) -> Tensor:
        """Return ``sum_i by_row[k, i] (x) [z_i, 1]`` in the order of the parameters, ``[m, p]``."""
        products, w = batch_invariant_matmul(by_row.transpose(1, 2), self.features), self.n_features
        return torch.cat([products[:, :, :w].flatten(1), products[:, :, w:].flatten(1)], dim=1)

    def _pre_activation_derivatives(self, theta: Theta) -> tuple[Tensor, Tensor, Tensor]:
        """Return the losses ``[m, rows]`` and their gradients ``[m, rows, c]`` and Hessians ``[m, rows, c, c]`` in a.

        Rows do not influence each other, so the Hessians of all of them come from ``c`` backward passes.
        """
        m = len(next(iter(theta.values())))
        shift = self.features.new_zeros(m, len(self.features), self.n_outputs, requires_grad=True)

        def of_model(theta: Theta, shift: Tensor) -> Tensor:
            self._shift = shift
            return self._probe.loss(self._probe.call(theta, self.x), self.y)

        with torch.enable_grad():
            losses = vmap(of_model)(theta, shift)
            (first,) = torch.autograd.grad(losses.sum(), shift, create_graph=True)
            columns = [
                torch.autograd.grad(first[:, :, c].sum(), shift, retain_graph=True, materialize_grads=True)[0]
                for c in range(self.n_outputs)
            ]
        self._shift = None
        return losses.detach(), first.detach(), torch.stack(columns, dim=3)

    def _matrices(self, weights: Tensor, second: Tensor) -> Tensor:
        z, c = self.features, self.n_outputs
        m, d = len(weights), z.shape[1]
        upper = torch.triu_indices(c, c, device=z.device)
        curved = second[:, :, upper[0], upper[1]].transpose(1, 2).contiguous()
        parts = (weights[:, None, :] * curved).reshape(-1, len(z))
        products = parts.new_zeros(len(parts), d * d)
        step = max(1, _BLOCK // (d * d))
        for begin in range(0, len(z), step):
            block = z[begin : begin + step]
            outer = (block[:, :, None] * block[:, None, :]).flatten(1)
            products += batch_invariant_matmul(parts[:, begin : begin + step], outer)
        return self._assembled(products.reshape(m, -1, d, d), upper.T.tolist())

    def _assembled(self, products: Tensor, pairs: list[list[int]]) -> Tensor:
        """Lay the blocks ``[m, pairs, d, d]`` of outputs ``a <= b`` out in the order of the parameters."""
        c, w = self.n_outputs, self.n_features
        m, p = len(products), c * products.shape[-1]
        full = products.new_empty(m, p, p)
        bias = c * w  # the parameters are flattened as weight [c, w], bias [c]
        for k, (a, b) in enumerate(pairs):
            rows, columns, block = slice(a * w, (a + 1) * w), slice(b * w, (b + 1) * w), products[:, k]
            full[:, rows, columns] = block[:, :w, :w]
            full[:, columns, rows] = block[:, :w, :w]
            if p > bias:
                full[:, rows, bias + b] = full[:, bias + b, rows] = block[:, :w, w]
                full[:, columns, bias + a] = full[:, bias + a, columns] = block[:, :w, w]
                full[:, bias + a, bias + b] = full[:, bias + b, bias + a] = block[:, w, w]
        return full
