"""Which closed form a loss of rows has, told from its derivatives."""

from __future__ import annotations

import torch
from torch import Tensor

from unshap_plugin.second_order.row_loss import AnyLoss, Expansion, Logistic, RowLoss, Softmax, SoftmaxOfSigmoids

__all__ = ["recognised"]

_AGREES = 1e-4
#: Where all targets are as near as this to 0 or 1 they are meant to be that; else they are probabilities.
_ROUNDED = 1e-3


def recognised(general: AnyLoss, c: int, rows: int, like: Tensor) -> RowLoss:
    """Return the closed form that has the derivatives of a loss, found at three points; without one, the loss itself.

    The targets follow from the derivatives too, whatever form they have.

    Parameters
    ----------
    general
        The loss.
    c, rows
        Numbers of scores and of rows.
    like
        A tensor of the dtype and on the device of the scores.
    """
    generator = torch.Generator("cpu").manual_seed(0)
    drawn = 2 * torch.randn(1, c, rows, generator=generator, device="cpu").to(like)
    points = [torch.zeros_like(drawn), drawn, 1 - drawn.flip(2)]
    expanded = [general(point) for point in points]
    for candidate in (_logistic, _softmax, _softmax_of_sigmoids):
        found = candidate(points, [one.first for one in expanded])
        if found is not None and all(_agree(found(a), one, drawn) for a, one in zip(points, expanded, strict=True)):
            return found
    return general


def _agree(found: Expansion, expected: Expansion, vectors: Tensor) -> bool:
    one = vectors.new_ones(1, 1, vectors.shape[2])
    pairs = (
        (found.losses(), expected.losses()),
        (found.first, expected.first),
        (found.weighted(one)(vectors.clone()), expected.weighted(one)(vectors.clone())),
    )
    return all(torch.allclose(a, b, rtol=_AGREES, atol=_AGREES * float(b.abs().max())) for a, b in pairs)


def _logistic(points: list[Tensor], first: list[Tensor]) -> Logistic | None:
    a, b = (torch.sigmoid(point) for point in points[:2])
    scale = float(((first[1] - first[0]) * (b - a)).sum() / (b - a).square().sum())
    return Logistic(_rounded(a - first[0] / scale)[0], scale) if scale > 0 else None


def _softmax(points: list[Tensor], first: list[Tensor]) -> Softmax | None:
    a, b = (point.softmax(dim=1) for point in points[:2])
    if a.shape[1] < 2:
        return None
    total = ((first[1] - first[0]) * (b - a)).sum(dim=1) / (b - a).square().sum(dim=1)
    return Softmax(_rounded(total[:, None] * a - first[0])[0])


def _softmax_of_sigmoids(points: list[Tensor], first: list[Tensor]) -> SoftmaxOfSigmoids | None:
    q = [torch.sigmoid(point) for point in points[:2]]
    outer = _softmax(q, [one / (p * (1 - p)) for one, p in zip(first, q, strict=False)])
    return None if outer is None else SoftmaxOfSigmoids(outer.targets)


def _rounded(targets: Tensor) -> Tensor:
    nearest = targets.round().clamp(0, 1)
    return nearest if bool(((targets - nearest).abs() < _ROUNDED).all()) else targets
