"""``random_label``: train the forget rows on random labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unshap_plugin.problem.access import Access
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.unlearners._displacement import Displaced, forget_weights
from unshap_plugin.unlearners._terms import Term
from unshap_plugin.unlearners.models import Models, StackedModels

__all__ = ["RandomLabel"]


@dataclass(frozen=True)
class RandomLabel(Displaced):
    """Descend the loss of randomly labelled forget rows (amnesiac unlearning, Graves et al. 2021, arXiv 2010.10981).

    ``min_theta  1/n sum_F loss(f_theta(x_i), y'_i)`` by Adam on a displacement that is scaled by the forgotten share
    ``|F| / n``. ``y'_i`` is another class drawn at random, and where labels are no class numbers the target of a row
    drawn at random. Both come from the seed and are the same for all coalitions, so that differences of utilities have
    little of this noise.

    Access: forget rows only. Cost per coalition: ``steps`` gradients of the forget rows. Error: it forgets more than
    retraining does, since it learns something wrong in its place (``docs/unlearners.md``).

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
    >>> value(model, train, test, groups=["a", "b", "c"] * 4, unlearner=RandomLabel()).to_series().idxmin()
    'c'
    """

    name: ClassVar[str] = "random_label"
    summary: ClassVar[str] = "Trains the forget rows on random labels."
    source: ClassVar[str] = "Graves, Nagisetty & Ganesh 2021, arXiv 2010.10981"
    needs: ClassVar[Access] = Access.FORGET
    tunable: ClassVar[Mapping[str, tuple[Any, ...]]] = {"steps": (5, 10), "lr": (0.001, 0.003, 0.01)}

    steps: int = 10
    lr: float = 0.001

    def _unlearn(self, problem: ModuleProblem, coalitions: NDArray[np.bool_], seed: int) -> Models:
        engine = problem.engine
        labels = _random_labels(problem, seed)
        forget, share = forget_weights(problem, coalitions)
        start = engine.stack(len(coalitions))
        theta = self._descended(engine, start, share, [Term(forget, problem.x, labels)], seed)
        return StackedModels(engine, theta)


def _random_labels(problem: ModuleProblem, seed: int) -> Tensor:
    """Return another class for every row, or where labels are no class numbers the target of a row drawn at random."""
    y, rng = problem.y, np.random.default_rng(seed)
    if y.is_floating_point():
        return y[torch.as_tensor(rng.permutation(len(y)), device=y.device)]
    classes = problem.output_shape[0]
    return (y + torch.as_tensor(rng.integers(1, classes, size=tuple(y.shape)), device=y.device)) % classes
