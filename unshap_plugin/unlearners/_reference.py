"""Predictions of the given model for reference rows, and which of them are near."""

from __future__ import annotations

import torch
from torch import Tensor

from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.scoring.predictive import predictive

__all__ = ["nearest_rows", "predicted_means"]

_BLOCK = 1024


def predicted_means(problem: ModuleProblem) -> Tensor:
    """Return what the given model says of the reference rows, as means ``[rows, ...]`` (see ``predictive``)."""
    assert problem.reference is not None
    return predictive(problem.loss, problem.outputs(problem.model, problem.reference[0]))


def nearest_rows(features: Tensor, among: Tensor, k: int) -> Tensor:
    """Return for each of ``features [rows, d]`` the ``k`` nearest of ``among [others, d]``, ``[rows, k]``."""
    parts = [torch.cdist(block, among).topk(k, dim=1, largest=False).indices for block in features.split(_BLOCK)]
    return torch.cat(parts)
