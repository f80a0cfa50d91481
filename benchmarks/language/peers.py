"""What other packages attribute to the training rows of a language model, each through its own interface.

They give a score to every training row and evaluation row. A source is worth the sum over its rows and over the
evaluation rows: these attributions are additive, and say the same of every coalition that it joins. Each function takes
the fine-tuned model with its adapter, which it may change, and the tokens of the training and of the evaluation rows,
``[rows, length]``; it returns the scores of the training rows, ``[rows]``, higher where a row helps.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader, TensorDataset

__all__ = ["PEERS", "TRIED_PEERS", "Peer"]

_ROWS = 32  # of a batch

Scores = NDArray[np.float64]


def ekfac(model: nn.Module, train: Tensor, test: Tensor, *, damping: float | None) -> Scores:
    """Return influences by kronfluence: Kronecker factors with corrected eigenvalues, of the adapter's layers."""
    from kronfluence.analyzer import Analyzer, prepare_model
    from kronfluence.arguments import FactorArguments, ScoreArguments
    from kronfluence.task import Task

    adapted = [name for name, layer in model.named_modules() if ".lora_" in name and isinstance(layer, nn.Linear)]

    class Language(Task):
        def compute_train_loss(self, batch: list[Tensor], model: nn.Module, sample: bool = False) -> Tensor:
            logits = _logits(model, batch[0]).flatten(0, 1)
            wanted = batch[0][:, 1:].flatten()
            if sample:  # the Fisher matrix is of what the model itself would say
                wanted = torch.multinomial(logits.detach().softmax(dim=-1), 1).flatten()
            return F.cross_entropy(logits, wanted, reduction="sum")

        def compute_measurement(self, batch: list[Tensor], model: nn.Module) -> Tensor:
            return self.compute_train_loss(batch, model)

        def get_influence_tracked_modules(self) -> list[str]:
            return adapted

    task = Language()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        analyzer = Analyzer("sources", prepare_model(model, task), task, cpu=True, disable_tqdm=True, output_dir=folder)
        analyzer.fit_all_factors(
            "ekfac",
            TensorDataset(train),
            per_device_batch_size=_ROWS,
            factor_args=FactorArguments(strategy="ekfac"),
        )
        analyzer.compute_pairwise_scores(
            "scores",
            "ekfac",
            query_dataset=TensorDataset(test),
            train_dataset=TensorDataset(train),
            per_device_query_batch_size=_ROWS,
            per_device_train_batch_size=_ROWS,
            score_args=ScoreArguments(damping_factor=damping, aggregate_query_gradients=True),
        )
        scores = analyzer.load_pairwise_scores("scores")
    return scores["all_modules"].sum(dim=0).double().numpy()


def trak(model: nn.Module, train: Tensor, test: Tensor, *, size: int, regularization: float) -> Scores:
    """Return TRAK's scores (Park et al. 2023, arXiv 2303.14186) by dattri, of the likelihood of a row's tokens."""
    from dattri.algorithm.trak import TRAKAttributor
    from dattri.task import AttributionTask

    def likelihood(params: dict[str, Tensor], row: tuple[Tensor]) -> Tensor:
        ids = row[0][None]
        out = torch.func.functional_call(model, params, (), {"input_ids": ids, "use_cache": False})
        return -F.cross_entropy(out.logits[0, :-1], ids[0, 1:])

    def log_odds(params: dict[str, Tensor], row: tuple[Tensor]) -> Tensor:
        log_p = likelihood(params, row)
        return log_p - torch.log1p(-log_p.exp())

    def probability(params: dict[str, Tensor], row: tuple[Tensor]) -> Tensor:
        return likelihood(params, row).exp()

    task = AttributionTask(log_odds, model, model.state_dict())
    attributor = TRAKAttributor(
        task, probability, {"proj_dim": size, "device": "cpu"}, regularization=regularization, device="cpu"
    )
    rows = [DataLoader(TensorDataset(ids), _ROWS, shuffle=False) for ids in (train, test)]
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        attributor.cache(rows[0])
        return attributor.attribute(rows[1]).sum(dim=1).double().numpy()


@dataclass(frozen=True)
class Peer:
    """A method of another package.

    Parameters
    ----------
    package
        Its name.
    module
        What is imported of it, which takes time and memory that is not counted.
    scores
        What it gives to each training row.
    """

    package: str
    module: str
    scores: Callable[[Any, Tensor, Tensor], Scores]


#: What is compared, by its name, with the settings of ``TRIED_PEERS`` that agreed best with retraining on seed 0.
PEERS = {
    "EK-FAC (kronfluence)": Peer("kronfluence", "kronfluence.analyzer", partial(ekfac, damping=1e-8)),
    "TRAK (dattri)": Peer("dattri", "dattri.algorithm.trak", partial(trak, size=512, regularization=1e-4)),
}
#: What is tried with ``--choose``.
TRIED_PEERS = {
    **{
        f"EK-FAC {damping}": Peer("kronfluence", "kronfluence.analyzer", partial(ekfac, damping=damping))
        for damping in (None, 1e-8, 1e-3)
    },
    **{
        f"TRAK {size} {ridge}": Peer("dattri", "dattri.algorithm.trak", partial(trak, size=size, regularization=ridge))
        for size in (32, 128, 512)
        for ridge in (0.0, 1e-4, 1e-2)
    },
}


def _logits(model: nn.Module, ids: Tensor) -> Tensor:
    logits: Tensor = model(input_ids=ids, use_cache=False).logits[:, :-1]
    return logits
