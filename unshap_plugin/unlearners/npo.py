"""``npo``: negative preference optimisation, an ascent that slows down where a row has been forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from unshap_plugin.errors import check_number
from unshap_plugin.problem.access import Access
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.unlearners._ascent import given_losses
from unshap_plugin.unlearners._displacement import Displaced, forget_weights
from unshap_plugin.unlearners._terms import Term
from unshap_plugin.unlearners.models import Models, StackedModels

__all__ = ["NPO"]


@dataclass(frozen=True)
class NPO(Displaced):
    """Negative preference optimisation (Zhang, Lin, Bai & Mei 2024, arXiv 2404.05868, eq. 3).

    ``min_theta  2/beta 1/n sum_F log(1 + (pi_theta / pi_0)^beta)`` with the likelihood ratio of a row to the given
    model, ``pi_theta / pi_0 = exp(loss_i(theta_0) - loss_i(theta))`` (the loss is taken for a negative log-likelihood),
    by Adam on a displacement that is scaled by the forgotten share ``|F| / n``. The weight of a row's ascent is ``2 /
    (1 + (pi_0 / pi_theta)^beta)``: one at the start, and less for a row that has been forgotten. For ``beta -> 0`` it
    is plain gradient ascent, without a bound.

    Access: forget rows only. Cost per coalition: ``steps`` gradients of the forget rows. Error: about that of
    ``gradient_ascent`` (``docs/unlearners.md``).

    Parameters
    ----------
    steps
        Steps of Adam.
    lr
        Learning rate, at which the displacement of a coalition that forgets everything moves.
    batch_size
        Forget rows of a step, the next in an order that all coalitions share; ``None`` takes all of them.
    beta
        Inverse temperature; that of the paper by default.

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
    >>> value(model, train, test, groups=["a", "b", "c"] * 4, unlearner=NPO()).to_series().idxmin()
    'c'
    """

    name: ClassVar[str] = "npo"
    summary: ClassVar[str] = "Ascends the loss of the forget rows, more slowly where one has been forgotten."
    source: ClassVar[str] = "Zhang, Lin, Bai & Mei 2024, arXiv 2404.05868"
    needs: ClassVar[Access] = Access.FORGET
    advice: ClassVar[str] = "a smaller lr, fewer steps or a larger beta"
    tunable: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "steps": (5, 10),
        "lr": (0.001, 0.003, 0.01),
        "beta": (0.1, 1.0),
    }

    steps: int = 10
    lr: float = 0.003
    beta: float = 0.1

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        check_number("beta", self.beta, zero=False)

    def _unlearn(self, problem: ModuleProblem, coalitions: NDArray[np.bool_], seed: int) -> Models:
        engine = problem.engine
        forget, share = forget_weights(problem, coalitions)

        def preference(losses: Tensor, weights: Tensor, given: Tensor) -> Tensor:
            return weights * 2 / self.beta * F.softplus(self.beta * (given - losses))

        ascent = Term(forget, problem.x, problem.y, shape=preference, levels=problem.once(given_losses))
        start = engine.stack(len(coalitions))
        return StackedModels(engine, self._descended(engine, start, share, [ascent], seed))
