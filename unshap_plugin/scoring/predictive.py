"""The distributions that the outputs of a model stand for, and losses against these."""

from __future__ import annotations

from torch import Tensor

from unshap_plugin.losses import (
    Loss,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    mse,
    nll_loss,
)

__all__ = ["expected_losses", "predictive", "soft_loss"]

_DISTRIBUTIONS = (cross_entropy, binary_cross_entropy, binary_cross_entropy_with_logits, nll_loss)


def predictive(loss: Loss, outputs: Tensor) -> Tensor:
    """Return the means of the distributions that outputs ``[rows, ...]`` stand for under a loss, of the same shape.

    Probabilities for the cross entropies, whatever they take; the outputs themselves for the squared error, and for
    other losses, whose distribution is not known.

    Examples
    --------
    >>> import torch
    >>> predictive(cross_entropy, torch.zeros(1, 2)), predictive(mse, torch.zeros(1, 2))
    (tensor([[0.5000, 0.5000]]), tensor([[0., 0.]]))
    """
    if loss is cross_entropy:
        return outputs.softmax(dim=-1)
    if loss is nll_loss:
        return outputs.exp()
    if loss is binary_cross_entropy_with_logits:
        return outputs.sigmoid()
    return outputs


def soft_loss(loss: Loss) -> Loss:
    """Return the loss of outputs against such means: up to a constant, the KL divergence from them to the model.

    For the squared error, and for losses whose distribution is not known, half that is the divergence of normal
    distributions with unit variance.

    Examples
    --------
    >>> soft_loss(nll_loss) is nll_loss, soft_loss(lambda outputs, y: y) is mse
    (True, True)
    """
    return loss if loss in _DISTRIBUTIONS else mse


def expected_losses(loss: Loss, outputs: Tensor) -> Tensor | None:
    """Return the losses ``[rows]`` that a model itself expects of its outputs; ``None`` where it does not tell.

    Examples
    --------
    >>> import torch
    >>> expected_losses(cross_entropy, torch.zeros(1, 4)), expected_losses(mse, torch.zeros(1, 4))
    (tensor([1.3863]), None)
    """
    return loss(outputs, predictive(loss, outputs)) if loss in _DISTRIBUTIONS else None
