"""``anchored``: raise the loss of the forget rows, and stay near the given model on a reference set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.errors import check_number
from unshap_plugin.problem.access import Access
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.scoring.predictive import soft_loss
from unshap_plugin.unlearners._ascent import loss_bound
from unshap_plugin.unlearners._displacement import Displaced, forget_weights
from unshap_plugin.unlearners._reference import predicted_means
from unshap_plugin.unlearners._terms import Term
from unshap_plugin.unlearners.models import Models, StackedModels

__all__ = ["Anchored"]


@dataclass(frozen=True)
class Anchored(Displaced):
    """Ascend the loss of the forget rows, anchored at a reference set ``T`` (Ma et al. 2025, arXiv 2505.16147).

    ``min_theta  -1/n sum_F c_i loss_i(theta) + anchor |R|/n mean_T KL(f_theta_0(x) || f_theta(x))`` by Adam on a
    displacement that is scaled by ``|F| / n``. The ascent is bounded by ``c_i`` as in ``gradient_ascent``. The
    anchor keeps what the given model says of data that are not forgotten; it is weighted by the retained share, since
    where all is forgotten nothing is to be kept. For losses other than the cross entropies the divergence is the
    squared difference of the outputs. The paper does not give its loss in full; this is the shape that it describes.

    Access: forget rows and a reference set, whose labels are not looked at. Cost per coalition: ``steps`` gradients of
    the forget rows and of the reference set. Error: about that of ``gradient_ascent`` (``docs/unlearners.md``).

    Parameters
    ----------
    steps
        Steps of Adam.
    lr
        Learning rate, at which the displacement of a coalition that forgets everything moves.
    batch_size
        Forget rows of a step, and rows of the reference set, the next in orders that all coalitions share; ``None``
        takes all of them.
    anchor
        Weight of the divergence.

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
    >>> result = value(model, train, test, groups=["a", "b", "c"] * 4, reference=x + 0.1, unlearner=Anchored())
    >>> result.to_series().idxmin()
    'c'
    """

    name: ClassVar[str] = "anchored"
    summary: ClassVar[str] = "Ascends the loss of the forget rows and stays near the given model on a reference set."
    source: ClassVar[str] = "Ma et al. 2025, arXiv 2505.16147"
    needs: ClassVar[Access] = Access.FORGET | Access.REFERENCE
    advice: ClassVar[str] = "a smaller lr"  # fewer steps or a larger anchor did not help where it diverged
    tunable: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "steps": (10, 20),
        "lr": (0.003, 0.01),
        "anchor": (0.0, 0.1, 1.0),
    }

    steps: int = 10
    lr: float = 0.01
    anchor: float = 0.1

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        check_number("anchor", self.anchor, zero=True)

    def _unlearn(self, problem: ModuleProblem, coalitions: NDArray[np.bool_], seed: int) -> Models:
        engine, bound = problem.engine, problem.once(loss_bound)
        assert problem.reference is not None
        x = problem.reference[0]
        means = problem.once(predicted_means)
        forget, share = forget_weights(problem, coalitions)
        anchors = (self.anchor * (1 - share) / len(means))[:, None].expand(-1, len(means))
        ascent = Term(-forget, problem.x, problem.y, shape=bound, levels=bound.cap)
        anchor = Term(anchors, x, means, loss=soft_loss(problem.loss), whole=True)
        start = engine.stack(len(coalitions))
        return StackedModels(engine, self._descended(engine, start, share, [ascent, anchor], seed))
