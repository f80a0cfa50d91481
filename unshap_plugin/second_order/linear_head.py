"""Modules whose only parameters are those of one linear layer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unshap_plugin.model.engine import Engine, Theta
from unshap_plugin.model.probes import calls_of
from unshap_plugin.model.rows import Rows, n_rows
from unshap_plugin.numerics.filling import FULL, TILE, batch_invariant_matmul
from unshap_plugin.second_order.recognition import recognised
from unshap_plugin.second_order.row_loss import AnyLoss, Expansion, RowLoss

__all__ = ["LinearHead", "linear_layer"]

_BLOCK = 4 * 2**20


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


class LinearHead:
    """Second-order models of the losses of a module whose only parameters are those of one linear layer.

    With the scores ``a = W z + b`` the parameters enter linearly, so that the Hessian of a row's loss is
    ``A_i (x) [z_i, 1] [z_i, 1]^T`` with the Hessian ``A_i`` in ``a``: small, whatever comes after the layer. It is
    the Gauss-Newton matrix split at ``a``. The features ``z`` are the same for all coalitions.

    Use ``LinearHead.of(engine, x, y)``, which returns ``None`` for other modules.

    Attributes
    ----------
    features
        ``[z_i, 1]``, ``[rows, d]``, without the one where the layer has no bias.
    n_outputs
        Number of scores, ``c``.
    width
        ``d``, filled up to what products like.
    columns
        The features, filled up: ``[filled rows, width]``.
    row_loss
        The loss of rows as a function of their scores.
    """

    def __init__(self, features: Tensor, layer: nn.Linear, fixed: Tensor | None, row_loss: RowLoss) -> None:
        self.features, self.row_loss = features, row_loss
        self.n_features, self.n_outputs = layer.in_features if layer.weight.requires_grad else 0, layer.out_features
        self._fixed = fixed
        # Filled up with zeros, and so are weights and scores by row, and parameters by feature: what stands last, in a
        # product or for a function of single numbers, would else be computed in another way, and in another chunk
        # something else stands last.
        rows, d = features.shape
        self.width = d + -d % TILE
        self.columns = F.pad(features, (0, self.width - d, 0, -rows % FULL))
        self._transposed = self.columns.T.contiguous()

    @classmethod
    def of(cls, engine: Engine, x: Rows, y: Tensor) -> LinearHead | None:
        """Return the fast way for this module, or ``None`` if it has another form."""
        found = linear_layer(engine, x) if engine.batched else None
        if found is None:
            return None
        name, z = found
        layer = engine.module.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        fixed = None
        if not all(p.requires_grad for p in layer.parameters()):
            with torch.no_grad():
                [call], _ = calls_of(engine.module, x, lambda one, _layer: one == name)
            free = torch.cat([p.detach().reshape(layer.out_features, -1) for p in engine.theta0.values()], dim=1)
            fixed = F.pad(call.output.detach().T - free @ z.T, (0, -len(z) % FULL))
        try:
            row_loss = recognised(AnyLoss(engine, x, y, name), layer.out_features, len(z), z).filled(-len(z) % FULL)
        except RuntimeError:  # what comes after the layer cannot be batched
            return None
        return cls(z, layer, fixed, row_loss)

    def __call__(self, theta: Theta, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return values ``[m]``, gradients ``[m, p]`` and matrices ``[m, p, p]``."""
        free = [p if p.ndim == 3 else p[:, :, None] for p in theta.values()]
        expansion = self.expanded(F.pad(torch.cat(free, dim=2), (0, self.width - self.features.shape[1])))
        filled = self.filled(weights)
        gradient = self.flat(self.sums(filled[:, None] * expansion.first))
        return (filled * expansion.losses()).sum(dim=1), gradient, self._matrices(weights, self._second(expansion))

    def expanded(self, heads: Tensor) -> Expansion:
        """Return the losses of the rows around the scores of parameters ``[m, c, width]``."""
        scores = self.scores(heads)
        return self.row_loss(scores if self._fixed is None else scores + self._fixed)

    def filled(self, weights: Tensor) -> Tensor:
        """Return weights ``[m, rows]`` as ``[m, filled rows]``, zero for the others."""
        return F.pad(weights, (0, len(self.columns) - len(self.features)))

    def heads(self, flat: Tensor) -> Tensor:
        """Return flat parameters ``[m, p]`` by score and feature, ``[m, c, width]``."""
        m, c, w = len(flat), self.n_outputs, self.n_features
        parts = [flat[:, : c * w].reshape(m, c, w), flat[:, c * w :].reshape(m, c, -1)]
        return F.pad(torch.cat(parts, dim=2), (0, self.width - self.features.shape[1]))

    def flat(self, heads: Tensor) -> Tensor:
        """Return parameters ``[m, c, width]`` in the order of the parameters of the module, ``[m, p]``."""
        w, d = self.n_features, self.features.shape[1]
        return torch.cat([heads[:, :, :w].flatten(1), heads[:, :, w:d].flatten(1)], dim=1)

    def scores(self, heads: Tensor, out: Tensor | None = None) -> Tensor:
        """Return the scores ``[m, c, filled rows]`` of parameters ``[m, c, width]``, without what frozen ones add."""
        return batch_invariant_matmul(heads, self._transposed, out)

    def sums(self, by_row: Tensor) -> Tensor:
        """Return ``sum_i by_row[k, :, i] (x) [z_i, 1]``, ``[m, c, width]``, for ``[m, c, filled rows]``."""
        return batch_invariant_matmul(by_row, self.columns)

    def _second(self, expansion: Expansion) -> Tensor:
        """Return the Hessians in the scores, ``[m, rows, c, c]``."""
        rows = len(self.features)
        columns = [expansion.column(k)[:, :, :rows].transpose(1, 2) for k in range(self.n_outputs)]
        return torch.stack(columns, dim=3)

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
