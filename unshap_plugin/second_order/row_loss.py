"""The loss of rows as a function of the scores that a linear layer gives them: its first two derivatives.

Scores are ``[m, c, rows]``, with the rows last, where the processor works on many of them at once.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import vmap
from typing_extensions import Self

from unshap_plugin.model.engine import Engine
from unshap_plugin.model.given import copied, logits_of
from unshap_plugin.model.rows import Rows, arguments

__all__ = ["AnyLoss", "Expansion", "Logistic", "RowLoss", "Softmax", "SoftmaxOfSigmoids"]


@dataclass(frozen=True)
class Expansion:
    """The losses of rows around their scores.

    Parameters
    ----------
    losses
        ``() -> [m, rows]``.
    first
        First derivatives, ``[m, c, rows]``.
    weighted
        ``weights [m, 1, rows] -> (vectors [m, c, rows] -> products [m, c, rows])``: multiplication with the second
        derivatives of each row, times its weight, which may take the place of the vectors.
    """

    losses: Callable[[], Tensor]
    first: Tensor
    weighted: Callable[[Tensor], Callable[[Tensor], Tensor]]

    def column(self, k: int) -> Tensor:
        """Return the second derivatives of each row in score ``k`` and every score, ``[m, c, rows]``."""
        unit = torch.zeros_like(self.first)
        unit[:, k] = 1
        return self.weighted(torch.ones_like(self.first[:, :1]))(unit)


class RowLoss(Protocol):
    """The loss of rows as a function of their scores."""

    def __call__(self, scores: Tensor) -> Expansion:
        """Expand at scores ``[m, c, rows]``."""
        ...

    def filled(self, more: int) -> RowLoss:
        """Return the loss of the same rows and some ``more``, of which nothing is asked."""
        ...


@dataclass(frozen=True)
class _OfTargets:
    """A closed form, with targets ``[c, rows]``."""

    targets: Tensor

    def filled(self, more: int) -> Self:
        """Return the loss of the same rows and some ``more``, whose targets are zero."""
        return replace(self, targets=F.pad(self.targets, (0, more)))


@dataclass(frozen=True)
class Logistic(_OfTargets):
    """``scale sum_k (log(1 + exp a_k) - t_k a_k)``: each output is a logistic regression of its own.

    Parameters
    ----------
    targets
        ``[c, rows]``.
    scale
        Factor of the loss.
    """

    scale: float

    def __call__(self, scores: Tensor) -> Expansion:
        """Expand at scores ``[m, c, rows]``."""
        p = torch.sigmoid(scores)

        def losses() -> Tensor:
            # log(1 + exp a) = max(a, 0) - log max(p, 1 - p), which takes half of the time.
            rest = 1 - p
            sums = torch.maximum(p, rest, out=rest).log_().neg_().addcmul_(self.targets, scores, value=-1)
            return self.scale * sums.add_(scores.clamp(min=0)).sum(dim=1)

        def weighted(weights: Tensor) -> Callable[[Tensor], Tensor]:
            curvature = (1 - p).mul_(p) * (self.scale * weights)
            return lambda vectors: vectors.mul_(curvature)

        return Expansion(losses, torch.add(-self.scale * self.targets, p, alpha=self.scale), weighted)


@dataclass(frozen=True)
class Softmax(_OfTargets):
    """``sum_k t_k (log sum_l exp a_l - a_k)``: cross entropy of logits.

    Parameters
    ----------
    targets
        ``[c, rows]``.
    """

    def __call__(self, scores: Tensor) -> Expansion:
        """Expand at scores ``[m, c, rows]``."""
        log_p = scores.log_softmax(dim=1)
        p, total = log_p.exp(), self.targets.sum(dim=0)

        def weighted(weights: Tensor) -> Callable[[Tensor], Tensor]:
            return _less_outer(weights * (total * p), weights * total, p)

        return Expansion(lambda: -(self.targets * log_p).sum(dim=1), total * p - self.targets, weighted)


@dataclass(frozen=True)
class SoftmaxOfSigmoids(_OfTargets):
    """Cross entropy of logits that are ``sigmoid(a)``, as OpenDataVal trains models that return probabilities.

    Parameters
    ----------
    targets
        ``[c, rows]``.
    """

    def __call__(self, scores: Tensor) -> Expansion:
        """Expand at scores ``[m, c, rows]``."""
        q = torch.sigmoid(scores)
        # Sigmoids are no larger than 1, and so nothing has to be subtracted before they are exponents.
        p, total, slope = q.exp(), self.targets.sum(dim=0), (1 - q).mul_(q)
        norm = p.sum(dim=1, keepdim=True)
        scaled = p.mul_(norm.reciprocal()).mul_(slope)
        first = (scaled * total).addcmul_(self.targets, slope, value=-1)

        def losses() -> Tensor:
            return norm.log()[:, 0] * total - (self.targets * q).sum(dim=1)

        def weighted(weights: Tensor) -> Callable[[Tensor], Tensor]:
            diagonal = (scaled * total).mul_(slope).addcmul_(first, 1 - 2 * q) * weights
            return _less_outer(diagonal, weights * total, scaled)

        return Expansion(losses, first, weighted)


def _less_outer(diagonal: Tensor, factor: Tensor, vector: Tensor) -> Callable[[Tensor], Tensor]:
    """Return multiplication with ``diag(diagonal) - factor vector vector^T`` of each row.

    The factor is ``[m, 1, rows]``, the others are ``[m, c, rows]``.
    """

    def multiply(vectors: Tensor) -> Tensor:
        inner = (vector * vectors).sum(dim=1, keepdim=True).mul_(factor)
        return vectors.mul_(diagonal).addcmul_(vector, inner, value=-1)

    return multiply


class AnyLoss:
    """Whatever comes after a linear layer of a module, and its loss, by automatic differentiation.

    Parameters
    ----------
    engine
        The module and its loss.
    x, y
        The rows.
    layer
        The name of the linear layer, which scores take the place of.
    """

    def __init__(self, engine: Engine, x: Rows, y: Tensor, layer: str) -> None:
        self.x, self.y, self.loss, self.more = x, y, engine.loss, 0
        self._probe = copied(engine.module)
        given = self._probe.get_submodule(layer)
        given.__class__ = _Given  # which keeps what others may read of it
        assert isinstance(given, _Given)
        self._given = given

    def __call__(self, scores: Tensor) -> Expansion:
        """Expand at scores ``[m, c, rows]``."""

        def of_one(scores: Tensor) -> Tensor:
            self._given.output = scores.T
            positional, named = arguments(self.x)
            return self.loss(logits_of(self._probe(*positional, **named)), self.y)

        with torch.enable_grad():
            leaf = scores[:, :, : len(self.y)].detach().requires_grad_()
            losses = vmap(of_one)(leaf)
            (first,) = torch.autograd.grad(losses.sum(), leaf, create_graph=True)
        self._given.output = None

        def weighted(weights: Tensor) -> Callable[[Tensor], Tensor]:
            def multiply(vectors: Tensor) -> Tensor:
                if not first.requires_grad:
                    return torch.zeros_like(vectors)
                vectors = vectors[:, :, : len(self.y)]
                shared = len(first) < len(vectors)  # several vectors at one point
                (found,) = torch.autograd.grad(
                    first,
                    leaf,
                    vectors[:, None] if shared else vectors,
                    retain_graph=True,
                    materialize_grads=True,
                    is_grads_batched=shared,
                )
                return weights * F.pad(found[:, 0] if shared else found, (0, self.more))

            return multiply

        fill = (0, self.more)
        return Expansion(lambda: F.pad(losses.detach(), fill), F.pad(first.detach(), fill), weighted)

    def filled(self, more: int) -> AnyLoss:
        """Return the loss of the same rows and some ``more``."""
        other = copy.copy(self)
        other.more = more
        return other


class _Given(nn.Linear):
    """A linear layer whose output is given."""

    output: Tensor | None = None

    def forward(self, _input: Tensor) -> Tensor:
        """Return the output that was given."""
        assert self.output is not None
        return self.output
