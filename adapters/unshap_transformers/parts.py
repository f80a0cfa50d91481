"""What a problem of valuation is made of, of whatever kind the model is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from unshap_plugin.losses import Loss
from unshap_plugin.metrics import Metric
from unshap_transformers.model import SharingModule

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Asked", "Pair", "Parts"]

#: Rows as the module takes them, ``[rows, length]`` each, and their targets ``[rows, ...]``.
Pair = tuple[dict[str, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Asked:
    """What somebody gave beside the model; see ``source_problem``.

    Parameters
    ----------
    processing_class, train_dataset, source_column, eval_dataset, reference_dataset, metric, max_length
        See ``source_problem``.
    split
        Whether half of the evaluation set is to be the reference set where there is no other one.
    computing
        How the module computes: see ``computing_of``.
    """

    processing_class: PreTrainedTokenizerBase | None
    train_dataset: Any
    source_column: str | None
    eval_dataset: Any
    reference_dataset: Any
    split: bool
    metric: str
    max_length: int
    computing: Mapping[str, bool]


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
