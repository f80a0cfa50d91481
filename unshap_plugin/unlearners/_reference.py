"""What a model says of a row, as a distribution, and how far another model is from saying it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from unshap_plugin.losses import Loss, binary_cross_entropy_with_logits, cross_entropy, mse

__all__ = ["predictive", "soft_loss"]


def predictive(loss: Loss, outputs: Tensor) -> Tensor:
    """Return the means of the distributions that outputs ``[rows, ...]`` stand for under a loss, of the same shape.

    Probabilities for the cross entropies; the outputs themselves for the squared error, and for other losses, whose
    distribution is not known.
    """
    if loss is cross_entropy:
        return outputs.softmax(dim=-1)
    return torch.sigmoid(outputs) if loss is binary_cross_entropy_with_logits else outputs


def soft_loss(loss: Loss) -> Loss:
    """Return the loss of outputs against such means: up to a constant, the KL divergence from them to the model.

    For the squared error, and for losses whose distribution is not known, half that is the divergence of normal
    distributions with unit variance.
    """
    if loss is cross_entropy:
        return lambda outputs, means: F.cross_entropy(outputs, means, reduction="none")
    return binary_cross_entropy_with_logits if loss is binary_cross_entropy_with_logits else mse
