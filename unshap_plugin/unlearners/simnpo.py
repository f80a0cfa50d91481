"""``simnpo``: negative preference optimisation without the given model, which goes by the loss of a row itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from unshap_plugin.errors import check_number
from unshap_plugin.numerics.filling import softplus
from unshap_plugin.problem.access import Access
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.unlearners._displacement import Displaced, forget_weights
from unshap_plugin.unlearners._terms import Term
from unshap_plugin.unlearners.models import Models, StackedModels

__all__ = ["SimNPO"]


@dataclass(frozen=True)
class SimNPO(Displaced):
    """Simple negative preference optimisation (Fan et al. 2024, arXiv 2410.07163, eq. 4).

    ``min_theta  -2/beta 1/n sum_F log sigmoid(beta loss_i(theta) - margin)`` by Adam on a displacement that is scaled
    by the forgotten share ``|F| / n``. The loss of a row is taken for its negative log-likelihood, of a text the mean
    over its tokens: that is the normalisation by length. The weight of a row's ascent is ``2 / (1 + exp(beta loss_i -
    margin))``: about one for a row that the model is sure of, and less for one that it finds unlikely, which ``npo``
    would push as hard as any other before it has moved. A ``margin`` (the paper's gamma) lets rows count until they are
    less likely. The paper's descent on retained rows is left out, since these need not be at hand.

    Access: forget rows only. Cost per coalition: ``steps`` gradients of the forget rows. Error: see
    ``docs/unlearners.md``.

    Parameters
    ----------
    steps
        Steps of Adam.
    lr
        Learning rate, at which the displacement of a coalition that forgets everything moves.
    batch_size
        Forget rows of a step, the next in an order that all coalitions share; ``None`` takes all of them.
    beta
        Inverse temperature; by default that of the paper for a tenth of the rows.
    margin
        In units of ``beta loss``; none by default, as in the paper.

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
    >>> value(model, train, test, groups=["a", "b", "c"] * 4, unlearner=SimNPO()).to_series().idxmin()
    'c'
    """

    name: ClassVar[str] = "simnpo"
    summary: ClassVar[str] = "Ascends the loss of the forget rows, more slowly where one is unlikely by itself."
    source: ClassVar[str] = "Fan et al. 2024, arXiv 2410.07163"
    needs: ClassVar[Access] = Access.FORGET
    tunable: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "steps": (5, 10),
        "lr": (0.001, 0.003, 0.01),
        "beta": (1.0, 4.5),
    }

    steps: int = 10
    lr: float = 0.003
    beta: float = 4.5
    margin: float = 0.0

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        check_number("beta", self.beta, zero=False)
        check_number("margin", self.margin, zero=True)

    def _unlearn(self, problem: ModuleProblem, coalitions: NDArray[np.bool_], seed: int) -> Models:
        engine = problem.engine
        forget, share = forget_weights(problem, coalitions)

        def preference(losses: Tensor, weights: Tensor, levels: None) -> Tensor:  # noqa: ARG001
            return weights * 2 / self.beta * softplus(self.margin - self.beta * losses)

        ascent = Term(forget, problem.x, problem.y, shape=preference)
        start = engine.stack(len(coalitions))
        return StackedModels(engine, self._descended(engine, start, share, [ascent], seed))
