"""``gradient_ascent``: raise the loss of the forget rows, up to what an uninformed model would have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.problem.access import Access
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.unlearners._ascent import loss_bound
from unshap_plugin.unlearners._displacement import Displaced, forget_weights
from unshap_plugin.unlearners._terms import Term
from unshap_plugin.unlearners.models import Models, StackedModels

__all__ = ["GradientAscent"]


@dataclass(frozen=True)
class GradientAscent(Displaced):
    """Ascend the loss of the forget rows (Golatkar et al. 2020; Jang et al. 2023, arXiv 2210.01504), bounded.

    ``max_theta  1/n sum_F c_i loss_i(theta)`` with ``c_i = clip((B_i - loss_i) / (B - min loss), -1, 1)`` held constant
    in the gradient, by Adam on a displacement that is scaled by the forgotten share ``|F| / n``. The bound ``B`` is the
    mean loss of answering the average output for every row, and ``B_i`` is that, or the row's own loss in the given
    model where it is larger. A row at its bound is left alone and one beyond it is led back, so that the ascent,
    which has no optimum of its own, cannot diverge; a row that the model has never learned is not learned now.

    Access: forget rows only. Cost per coalition: ``steps`` gradients of the forget rows. Error: see
    ``docs/unlearners.md``; over eight providers the values correlate with retrained ones at about 0.9, over single
    rows hardly.

    Parameters
    ----------
    steps
        Steps of Adam.
    lr
        Learning rate, at which the displacement of a coalition that forgets everything moves.
    batch_size
        Forget rows of a step, the next in an order that all coalitions share; ``None`` takes all of them.

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
    >>> value(model, train, test, groups=["a", "b", "c"] * 4, unlearner=GradientAscent()).to_series().idxmin()
    'c'
    """

    name: ClassVar[str] = "gradient_ascent"
    summary: ClassVar[str] = "Ascends the bounded loss of the forget rows; needs no retained rows."
    source: ClassVar[str] = "Jang et al. 2023, arXiv 2210.01504"
    advice: ClassVar[str] = "a smaller lr"  # a few steps overshoot where more come back
    needs: ClassVar[Access] = Access.FORGET
    tunable: ClassVar[Mapping[str, tuple[Any, ...]]] = {"steps": (5, 10, 20, 40), "lr": (0.001, 0.003, 0.01, 0.03)}

    steps: int = 10
    lr: float = 0.003

    def _unlearn(self, problem: ModuleProblem, coalitions: NDArray[np.bool_], seed: int) -> Models:
        engine = problem.engine
        bound = problem.once(loss_bound)
        forget, share = forget_weights(problem, coalitions)
        ascent = Term(-forget, problem.x, problem.y, shape=bound, levels=bound.cap)
        start = engine.stack(len(coalitions))
        return StackedModels(engine, self._descended(engine, start, share, [ascent], seed))
