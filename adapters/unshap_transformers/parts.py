"""What a problem of valuation is made of, of whatever kind the model is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from unshap_plugin.losses import Loss
from unshap_plugin.metrics import Metric
from unshap_transformers.model import SharingModule

__all__ = ["Pair", "Parts"]

#: Rows as the module takes them, ``[rows, length]`` each, and their targets ``[rows, ...]``.
Pair = tuple[dict[str, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Parts:
    """What ``ValuationProblem`` takes, and what a reader of the values should know.

    Parameters
    ----------
    module
        The model.
    train, test, reference
        Rows and their targets.
    loss, metric
        Of training, and of the evaluation sets.
    groups
        The source of each training row, text ``[rows]``; ``None``: each is one.
    notes
        In sentences.
    """

    module: SharingModule
    train: Pair
    test: Pair
    reference: Pair | None
    loss: str | Loss
    metric: Metric
    groups: NDArray[np.str_] | None
    notes: list[str]
