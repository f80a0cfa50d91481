"""Curvature matrices of weighted losses, one per coalition: ``sum_i weights[k, i] * C_i(theta[k])``, ``[m, p, p]``."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import grad, hessian, jacrev, jvp, vmap

from unshap_plugin.engine import Engine, Theta
from unshap_plugin.rows import Rows, map_rows, n_rows

__all__ = ["LinearHead", "gauss_newton", "solve_damped"]

_BLOCK = 4 * 2**20


def gauss_newton(engine: Engine, theta: Theta, weights: Tensor, x: Rows, y: Tensor) -> Tensor:
    """Return generalised Gauss-Newton matrices (Schraudolph 2002), split at the outputs of the module.

    ``C_i = J_i^T H_i J_i`` with the Jacobian ``J_i`` of the outputs of row ``i`` and the Hessian ``H_i`` of its loss
    in these outputs. Works for any module whose rows do not influence each other.
    """

    def of_row(flat: Tensor, x_row: Rows) -> Tensor:
        single = map_rows(lambda t: t[None], x_row)
        return engine.call(engine.unflatten(flat), single)[0]

    def of_model(flat: Tensor, weight: Tensor) -> Tensor:
        outputs = vmap(of_row, in_dims=(None, 0))(flat, x)
        jacobian = vmap(jacrev(of_row), in_dims=(None, 0))(flat, x)
        curvature = vmap(hessian(lambda out, label: engine.loss(out[None], label[None])[0]))(outputs, y)
        k = outputs[0].numel()
        jacobian = jacobian.reshape(len(outputs), k, -1)
        weighted = weight[:, None, None] * curvature.reshape(-1, k, k) @ jacobian
        return jacobian.flatten(0, 1).T @ weighted.flatten(0, 1)

    flat = engine.flatten(theta)
    # One coalition at a time: the Jacobians of a single model already fill the processor and the memory.
    return torch.stack([of_model(one, weight) for one, weight in zip(flat, weights, strict=True)])


class LinearHead:
    """The same, fast, for a module whose only parameters are those of one linear layer.

    With ``a = W z + b`` the parameters enter linearly, so that the Hessian of a row's loss is
    ``A_i (x) [z_i, 1] [z_i, 1]^T`` with the Hessian ``A_i`` in ``a``: small, whatever comes after the layer. It is
    the Gauss-Newton matrix split at ``a``. The features ``z`` are the same for all coalitions.

    Use ``LinearHead.of(engine, x)``, which returns ``None`` for other modules.
    """

    def __init__(self, engine: Engine, features: Tensor, layer: str) -> None:
        self.engine = engine
        self.features = features
        self._shift: Tensor | None = None
        probe = copy.deepcopy(engine.module)
        head = probe.get_submodule(layer)
        head.register_forward_hook(lambda _layer, _args, out: out if self._shift is None else out + self._shift)
        self._probe = Engine(probe, engine.loss)
        assert isinstance(head, nn.Linear)
        c, d = head.out_features, features.shape[1]
        within = head.in_features
        index = torch.arange(c * d).reshape(c, d)
        # The parameters are flattened as weight [c, in], bias [c]; the products come as [c, (in, 1)].
        self._order = torch.cat([index[:, :within].flatten(), index[:, within:].flatten()]).to(features.device)
        self.n_outputs = c

    @classmethod
    def of(cls, engine: Engine, x: Rows) -> LinearHead | None:
        """Return the fast path for this module, or ``None`` if it has another form."""
        own = [(name, layer) for name, layer in engine.module.named_modules() if list(layer.parameters(recurse=False))]
        if len(own) != 1 or type(own[0][1]) is not nn.Linear:
            return None
        name, layer = own[0]
        if len(engine.theta0) != len(list(layer.parameters())):
            return None
        seen: list[Any] = []
        probe = copy.deepcopy(engine.module)
        probe.get_submodule(name).register_forward_pre_hook(lambda _layer, args: seen.append(args[0]))
        with torch.no_grad():
            Engine(probe, engine.loss).call(engine.theta0, x)
        if len(seen) != 1 or seen[0].ndim != 2 or len(seen[0]) != n_rows(x):
            return None
        z = seen[0].detach()
        if layer.bias is not None:
            z = torch.cat([z, torch.ones_like(z[:, :1])], dim=1)
        return cls(engine, z, name)

    def __call__(self, theta: Theta, weights: Tensor, x: Rows, y: Tensor) -> Tensor:
        """Return the Hessians ``[m, p, p]``."""
        z, c = self.features, self.n_outputs
        m, d = len(weights), z.shape[1]
        weighted = weights[:, :, None, None] * self._pre_activation_hessians(theta, x, y)
        upper = torch.triu_indices(c, c, device=z.device)
        parts = weighted[:, :, upper[0], upper[1]].transpose(1, 2).reshape(-1, len(z))
        products = parts.new_zeros(len(parts), d * d)
        step = max(1, _BLOCK // (d * d))
        for begin in range(0, len(z), step):
            block = z[begin : begin + step]
            products += parts[:, begin : begin + step] @ (block[:, :, None] * block[:, None, :]).flatten(1)
        products = products.reshape(m, -1, d, d)
        full = z.new_empty(m, c, c, d, d)
        full[:, upper[0], upper[1]] = products
        full[:, upper[1], upper[0]] = products
        flat = full.transpose(2, 3).reshape(m, c * d, c * d)
        return flat[:, self._order][:, :, self._order]

    def _pre_activation_hessians(self, theta: Theta, x: Rows, y: Tensor) -> Tensor:
        """Return ``A [m, rows, c, c]``: rows do not influence each other, so c products with 1 vectors suffice."""
        basis = torch.eye(self.n_outputs, dtype=self.features.dtype, device=self.features.device)
        shape = (len(self.features), self.n_outputs)

        def of_model(theta: Theta) -> Tensor:
            def total(shift: Tensor) -> Tensor:
                self._shift = shift
                return self.engine.loss(self._probe.call(theta, x), y).sum()

            def column(tangent: Tensor) -> Tensor:
                zeros = torch.zeros(shape, dtype=basis.dtype, device=basis.device)
                return jvp(grad(total), (zeros,), (tangent.expand(shape),))[1]

            return vmap(column)(basis)

        try:
            columns: Tensor = vmap(of_model)(theta)  # [m, c, rows, c]
        finally:
            self._shift = None
        return columns.permute(0, 2, 3, 1)


def solve_damped(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Solve ``(C + r I) s = g`` by Cholesky, in float64, with the least damping ``r`` that makes ``C`` definite.

    Parameters
    ----------
    matrices, vectors
        ``[m, p, p]`` and ``[m, p]``.

    Returns
    -------
    ``[m, p]``; not finite where no damping helps (the matrix is not finite).
    """
    c = matrices.double()
    diagonal = c.diagonal(dim1=1, dim2=2)
    scale = diagonal.abs().mean(dim=1).clamp(min=torch.finfo(torch.float64).tiny)
    damping = torch.finfo(matrices.dtype).eps * scale
    eye = torch.eye(c.shape[1], dtype=c.dtype, device=c.device)
    factor, info = torch.linalg.cholesky_ex(c + damping[:, None, None] * eye)
    for _ in range(40):
        bad = info > 0
        if not bad.any():
            break
        damping = torch.where(bad, damping * 4, damping)
        again, info_again = torch.linalg.cholesky_ex(c[bad] + damping[bad, None, None] * eye)
        factor[bad], info[bad] = again, info_again
    solution = torch.cholesky_solve(vectors.double()[:, :, None], factor)[:, :, 0]
    solution[info > 0] = torch.nan
    return solution.to(vectors.dtype)
