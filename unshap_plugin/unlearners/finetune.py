"""``finetune``: go on training, on the retained rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.errors import check_share
from unshap_plugin.model.stacks import row_weights
from unshap_plugin.problem.access import Access
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.unlearners._displacement import Displaced, centre, from_scratch, shrunk
from unshap_plugin.unlearners._terms import Term
from unshap_plugin.unlearners.models import Models, StackedModels

__all__ = ["FineTune"]


@dataclass(frozen=True)
class FineTune(Displaced):
    """Shrink the parameters, and descend the mean loss of the retained rows (Golatkar et al. 2020, arXiv 1911.04933).

    ``min_theta  mean_R loss_i(theta) - <mean_N grad loss_i(theta_0), theta>`` by Adam, from ``theta_0 + shrink
    (|F|/n)^2 (theta_init - theta_0)``, on a displacement that is scaled by the forgotten share ``|F| / n``. The second
    term takes away what merely training on would do: a model that was not at an optimum does not move when nothing is
    removed.

    The start is what makes it forget. A network that fits all rows fits the retained ones too, so that their gradients
    vanish and training on changes little; shrunk, it learns from the retained rows again what they support (shrinking
    before further training: Ash & Adams 2020, arXiv 1910.08475). ``theta_init`` are the initial parameters of the
    recipe, or zero for matrices where these are not known. Without a retained row the result is ``theta_init``, or
    where that is not known the given model: there is nothing to descend.

    Access: retained rows. Cost per coalition: ``steps`` gradients of the retained rows. Error: over eight providers the
    values correlate with retrained ones at 0.97 to 0.99 (``benchmarks/providers.py``).

    Parameters
    ----------
    steps
        Steps of Adam.
    lr
        Learning rate, at which the displacement of a coalition that forgets everything moves.
    batch_size
        Retained rows of a step, the next in an order that all coalitions share; ``None`` takes all of them.
    shrink
        Share of the way to ``theta_init`` that a coalition that forgets everything starts at, from 0 to 1.

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
    >>> value(model, train, test, groups=["a", "b", "c"] * 4, unlearner=FineTune()).to_series().idxmin()
    'c'
    """

    name: ClassVar[str] = "finetune"
    summary: ClassVar[str] = "Descends the retained loss from the given model, shrunk by the forgotten share."
    source: ClassVar[str] = "Golatkar, Achille & Soatto 2020, arXiv 1911.04933"
    needs: ClassVar[Access] = Access.RETAIN
    tunable: ClassVar[Mapping[str, tuple[Any, ...]]] = {"steps": (5, 10, 20, 40), "lr": (0.005, 0.01, 0.02, 0.05)}

    steps: int = 12
    lr: float = 0.02
    shrink: float = 0.8

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        check_share("shrink", self.shrink)

    def _unlearn(self, problem: ModuleProblem, coalitions: NDArray[np.bool_], seed: int) -> Models:
        engine = problem.engine
        retained = problem.retained(coalitions)
        descent = Term(row_weights(retained, engine.dtype), problem.x, problem.y)
        share = 1 - retained.to(engine.dtype).mean(dim=1)
        start = shrunk(problem, self.shrink * share**2)
        theta = self._descended(engine, start, share, [descent], seed, centre(problem, retained))
        return StackedModels(engine, from_scratch(problem, theta, retained))
