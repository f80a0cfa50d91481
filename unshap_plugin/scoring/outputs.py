"""What the outputs of a model are, and the logits that they stand for."""

from __future__ import annotations

import functools
from typing import Literal, TypeAlias, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unshap_plugin.losses import (
    Loss,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    mse,
    nll_loss,
)

__all__ = ["OUTPUTS", "Outputs", "taken_by", "to_logits"]

Outputs: TypeAlias = Literal["logits", "probabilities", "log_probabilities", "values"]
OUTPUTS: tuple[Outputs, ...] = get_args(Outputs)

#: Losses by what they take the outputs for: ours, torch's functions, and the classes of its losses.
_TAKEN: dict[Outputs, tuple[object, ...]] = {
    "logits": (
        cross_entropy,
        binary_cross_entropy_with_logits,
        F.cross_entropy,
        F.binary_cross_entropy_with_logits,
        nn.CrossEntropyLoss,
        nn.BCEWithLogitsLoss,
    ),
    "probabilities": (binary_cross_entropy, F.binary_cross_entropy, nn.BCELoss),
    "log_probabilities": (nll_loss, F.nll_loss, nn.NLLLoss),
    "values": (mse, F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss, nn.MSELoss, nn.L1Loss, nn.HuberLoss),
}


def taken_by(loss: Loss) -> Outputs | None:
    """Return what a loss takes the outputs of a model for; ``None`` where it is somebody's own.

    Known are the losses of this package, and those of torch, as an object or with ``functools.partial``.

    Examples
    --------
    >>> taken_by(nn.NLLLoss(reduction="none")), taken_by(functools.partial(F.mse_loss, reduction="none"))
    ('log_probabilities', 'values')
    """
    known = loss.func if isinstance(loss, functools.partial) else type(loss) if isinstance(loss, nn.Module) else loss
    return next((kind for kind, losses in _TAKEN.items() if any(known is one for one in losses)), None)


def to_logits(outputs: Tensor, kind: Outputs) -> Tensor:
    """Return the logits that outputs ``[m, rows]`` or ``[m, rows, k]`` stand for, of the same shape.

    Of one output they are those of the second of two classes, of several their softmax gives the probabilities, which
    are normalised to sum to one. Probabilities of 0 and 1 count as what round-off leaves of others. Values are held
    against a half, as estimates of labels of 0 and 1.

    Examples
    --------
    >>> to_logits(torch.tensor([[[0.25, 0.75]]]), "probabilities").softmax(dim=-1)
    tensor([[[0.2500, 0.7500]]], dtype=torch.float64)
    >>> to_logits(torch.tensor([[0.25]]), "probabilities").sigmoid()
    tensor([[0.2500]], dtype=torch.float64)
    """
    single = outputs.ndim == 2 or outputs.shape[-1] == 1
    if kind == "logits" or not (single or kind == "probabilities"):
        return outputs
    if kind == "values":
        return outputs - 0.5
    smallest, step = torch.finfo(outputs.dtype).tiny, torch.finfo(outputs.dtype).eps
    numbers = outputs.double()
    log_p = numbers.clamp(min=smallest).log() if kind == "probabilities" else numbers
    if not single:
        return log_p
    p = numbers if kind == "probabilities" else numbers.exp()
    return log_p - (1 - p).clamp(min=step).log()
