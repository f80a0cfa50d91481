"""``reference_teacher``: the forget rows learn what the given model says of similar reference rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from unshap_plugin.errors import check_integer, check_number
from unshap_plugin.model.probes import penultimate
from unshap_plugin.problem.access import Access
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.scoring.predictive import soft_loss
from unshap_plugin.unlearners._ascent import given_losses, loss_bound
from unshap_plugin.unlearners._displacement import Displaced, forget_weights
from unshap_plugin.unlearners._reference import nearest_rows, predicted_means
from unshap_plugin.unlearners._terms import Term
from unshap_plugin.unlearners.models import Models, StackedModels

__all__ = ["ReferenceTeacher"]


@dataclass(frozen=True)
class ReferenceTeacher(Displaced):
    """``anchored``, with a teacher for the forget rows: what the given model says of their neighbours in ``T``.

    ``min_theta  -1/n sum_F c_i loss_i + |R|/n (teacher 1/n sum_F CE(q_i, f_theta(x_i)) + anchor mean_T KL(f_theta_0 ||
    f_theta))`` by Adam on a displacement that is scaled by ``|F| / n``. ``q_i`` is the mean of the given model's
    predictions for the ``k`` reference rows nearest to row ``i`` in the features before its last layer (cosine).

    Raising the loss of a row says what it must no longer be, not what it would be without the row; the label that a
    network fitted to a wrongly labelled row is gone, but the right one does not come back. What the model says of
    similar rows that it was never trained on is an estimate of that. It fades with the retained share ``|R| / n``:
    where nearly all rows are forgotten, what the model says of the reference set comes from forgotten rows too. A
    method of this project; a teacher for forget rows is that of Chundawat et al. 2023 (arXiv 2205.08096), theirs being
    a random network.

    Access: forget rows and a reference set, whose labels are not looked at; the more rows it has, the better are the
    neighbours. Cost per coalition: ``steps`` gradients of twice the forget rows and of the reference set. Error: over
    eight providers of a network the values correlate with retrained ones at 0.95 to 0.96 for the accuracy and 0.93 to
    0.95 for the log-likelihood (``benchmarks/providers.py``), the best of those that see no retained rows; single rows
    it hardly ranks.

    Parameters
    ----------
    steps
        Steps of Adam.
    lr
        Learning rate, at which the displacement of a coalition that forgets everything moves.
    batch_size
        Forget rows of a step, and rows of the reference set, the next in orders that all coalitions share; ``None``
        takes all of them.
    teacher, anchor
        Weights of the teacher and of the divergence on the reference set.
    neighbors
        How many reference rows teach a forget row, ``k``; all of them where there are fewer.

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
    >>> result = value(model, train, test, groups=["a", "b", "c"] * 4, reference=x + 0.1, unlearner=ReferenceTeacher())
    >>> result.to_series().idxmin()
    'c'
    """

    name: ClassVar[str] = "reference_teacher"
    summary: ClassVar[str] = (
        "Anchored ascent in which forget rows learn what the given model says of similar reference rows."
    )
    source: ClassVar[str] = "this project"
    needs: ClassVar[Access] = Access.FORGET | Access.REFERENCE
    advice: ClassVar[str] = "a smaller lr"  # fewer steps did not help where it diverged
    tunable: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "lr": (0.005, 0.02),
        "teacher": (1.0, 4.0),
        "anchor": (0.1, 1.0),
    }

    steps: int = 10
    lr: float = 0.02
    teacher: float = 4.0
    anchor: float = 1.0
    neighbors: int = 5

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        check_number("teacher", self.teacher, zero=True)
        check_number("anchor", self.anchor, zero=True)
        check_integer("neighbors", self.neighbors, 1)

    def _unlearn(self, problem: ModuleProblem, coalitions: NDArray[np.bool_], seed: int) -> Models:
        engine, bound = problem.engine, problem.once(loss_bound)
        assert problem.reference is not None
        x, soft = problem.reference[0], soft_loss(problem.loss)
        means, taught, worse = problem.once(_taught, self.neighbors)
        forget, share = forget_weights(problem, coalitions)
        fade = (1 - share)[:, None]
        lessons = self.teacher * fade * forget * worse
        anchors = (self.anchor * fade / len(means)).expand(-1, len(means))
        terms = [
            Term(-forget, problem.x, problem.y, shape=bound, levels=bound.cap),
            Term(lessons, problem.x, taught, loss=soft),
            Term(anchors, x, means, loss=soft, whole=True),
        ]
        start = engine.stack(len(coalitions))
        return StackedModels(engine, self._descended(engine, start, share, terms, seed))


def _taught(problem: ModuleProblem, neighbors: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the predictions for the reference rows, of the neighbours of each row, and where these are worse."""
    assert problem.reference is not None
    model, x = problem.model, problem.reference[0]
    outputs, means = problem.outputs(model, x), problem.once(predicted_means)
    near = nearest_rows(penultimate(model, problem.x), penultimate(model, x), min(neighbors, len(means)))
    worse = problem.loss(outputs[near].mean(dim=1), problem.y) > problem.once(given_losses)
    return means, means[near].mean(dim=1), worse
