"""Predictions of the given model for reference rows, and the distance of another model from them."""

from __future__ import annotations

import torch
from torch import Tensor

from unshap_plugin.losses import (
    Loss,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    mse,
    nll_loss,
)
from unshap_plugin.problem.module_problem import ModuleProblem

__all__ = ["nearest_rows", "predicted_means", "soft_loss"]

_BLOCK = 1024


def _predictive(loss: Loss, outputs: Tensor) -> Tensor:
    """Return the means of the distributions that outputs ``[rows, ...]`` stand for under a loss, of the same shape.

    Probabilities for the cross entropies, whatever they take; the outputs themselves for the squared error, and for
    other losses, whose distribution is not known.
    """
    if loss is cross_entropy:
        return outputs.softmax(dim=-1)
    if loss is nll_loss:
        return outputs.exp()
    return torch.sigmoid(outputs) if loss is binary_cross_entropy_with_logits else outputs


def soft_loss(loss: Loss) -> Loss:
    """Return the loss of outputs against such means: up to a constant, the KL divergence from them to the model.

    For the squared error, and for losses whose distribution is not known, half that is the divergence of normal
    distributions with unit variance.
    """
    distributions = (cross_entropy, binary_cross_entropy, binary_cross_entropy_with_logits, nll_loss)
    return loss if loss in distributions else mse


def predicted_means(problem: ModuleProblem) -> Tensor:
    """Return what the given model says of the reference rows, as means ``[rows, ...]`` (see ``soft_loss``)."""
    assert problem.reference is not None
    return _predictive(problem.loss, problem.outputs(problem.model, problem.reference[0]))


def nearest_rows(features: Tensor, among: Tensor, k: int) -> Tensor:
    """Return for each of ``features [rows, d]`` the ``k`` nearest of ``among [others, d]``, ``[rows, k]``."""
    parts = [torch.cdist(block, among).topk(k, dim=1, largest=False).indices for block in features.split(_BLOCK)]
    return torch.cat(parts)
