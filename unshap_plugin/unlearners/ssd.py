"""``ssd``: selective synaptic dampening, which shrinks what matters more to the forget rows than to the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from unshap_plugin.errors import check_number
from unshap_plugin.numerics.filling import batch_invariant_matmul
from unshap_plugin.problem.access import Access
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.unlearners._players import forgotten, player_sums
from unshap_plugin.unlearners.base import Unlearner
from unshap_plugin.unlearners.models import Models, StackedModels

__all__ = ["SSD"]


@dataclass(frozen=True)
class SSD(Unlearner):
    """Selective synaptic dampening (Foster, Schoepf & Brintrup 2024, arXiv 2308.07707, eq. 6), scaled.

    ``theta = theta_0 (1 - |F|/n (1 - d))`` with ``d = min(1, lambda D / F)`` for parameters with ``F > alpha D``, and
    ``d = 1`` for the others: ``F`` and ``D`` are the diagonals of the empirical Fisher matrix (mean squared gradients)
    of the forget and of the retained rows.

    Two things differ from the paper, where one small set is forgotten; here forget sets of all sizes are. ``D`` is that
    of the retained rows, not of all rows: of these, ``F`` is at most ``n / |F|`` times as large, so that with the
    published ``alpha = 10`` nothing is dampened when a tenth of the rows or more is forgotten. And the displacement is
    scaled by the forgotten share: a single row's Fisher is far from the mean of many, so that forgetting it dampened
    more than forgetting half of the rows. With ``alpha = lambda = 1`` there is no jump at the threshold.

    Access: forget and retain rows, or forget rows and the stored Fisher diagonal. Cost: once, a gradient for every row;
    per coalition ``n_players p`` multiplications. Error: near that of doing nothing, for
    small networks with rank correlations of 0.2 to 0.8 with retraining (``benchmarks/networks.py``). It can only shrink
    parameters, which is where training on fewer rows leads where a penalty or early stopping draws them towards zero.

    Parameters
    ----------
    alpha
        Factor by which ``F`` has to exceed ``D``.
    lam
        The strength of dampening, ``lambda``.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If a setting has a value that cannot be used.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from unshap_plugin import value
    >>> x, wrong = np.linspace(-3, 3, 12)[:, None], np.arange(12) % 3 == 2  # the labels of provider c
    >>> train, test = (x, (x[:, 0] > 0) ^ wrong), (x, x[:, 0] > 0)
    >>> model = LogisticRegression().fit(*train)
    >>> value(model, train, test, groups=["a", "b", "c"] * 4, unlearner=SSD()).values.round(2)  # it is not found
    array([0.05, 0.05, 0.11])
    """

    name: ClassVar[str] = "ssd"
    summary: ClassVar[str] = (
        "Dampens the parameters that matter more to the forget rows than to the retained ones; trains nothing."
    )
    source: ClassVar[str] = "Foster, Schoepf & Brintrup 2024, arXiv 2308.07707"
    needs: ClassVar[Access] = Access.FORGET | Access.RETAIN
    stored: ClassVar[str | None] = "fisher"
    tunable: ClassVar[Mapping[str, tuple[Any, ...]]] = {"alpha": (1.0, 2.0), "lam": (0.5, 1.0)}

    alpha: float = 1.0
    lam: float = 1.0

    def __post_init__(self) -> None:
        """Check the settings."""
        check_number("alpha", self.alpha, zero=True)
        check_number("lam", self.lam, zero=True)

    def _unlearn(self, problem: ModuleProblem, coalitions: NDArray[np.bool_], seed: int) -> Models:  # noqa: ARG002
        engine, stored = problem.engine, self.stand_in(problem)
        sums = problem.once(player_sums, torch.square)
        everything, n = (sums.sum(dim=0), len(problem.y)) if stored is None else (stored.fisher.to(sums), len(stored))
        count = (~problem.retained(coalitions)).sum(dim=1, keepdim=True).to(sums)
        forget = batch_invariant_matmul(forgotten(coalitions, sums), sums[:-1])
        retain = (everything - forget).clamp(min=0) / (n - count).clamp(min=1)
        forget = forget / count.clamp(min=1)
        dampened = forget > self.alpha * retain
        factor = torch.where(dampened, (self.lam * retain / torch.where(dampened, forget, 1.0)).clamp(max=1), 1.0)
        given = engine.flatten(engine.stack(1))
        return StackedModels(engine, engine.unflatten(given * (1 - count / n * (1 - factor))))
