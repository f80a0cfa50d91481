"""``task_vector``: what each player's rows teach, subtracted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unshap_plugin.errors import check_number
from unshap_plugin.model.stacks import row_weights
from unshap_plugin.numerics.filling import batch_invariant_matmul
from unshap_plugin.problem.access import Access
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.unlearners._displacement import Displaced, descend_displaced
from unshap_plugin.unlearners._players import forgotten
from unshap_plugin.unlearners._terms import Term
from unshap_plugin.unlearners.models import Models, StackedModels

__all__ = ["TaskVector"]

_PLAYERS = 64


@dataclass(frozen=True)
class TaskVector(Displaced):
    """Negation of task vectors (Ilharco et al. 2023, arXiv 2212.04089), one per player.

    ``theta(S) = theta_0 - lambda sum_j tau_j`` over the forgotten players, where ``tau_j`` is how far the parameters
    move when training goes on with the rows of player ``j`` alone: by Adam on a displacement that is scaled by the
    player's share of the rows, ``n_j / n``, so that two halves of a player move about as far as the whole.

    Access: forget rows only. Cost: once, ``steps`` gradients of the rows of each player; per coalition ``n_players p``
    multiplications. Error: it adds up what players teach as if none of it were the same, and so forgets too much of
    large forget sets (``docs/unlearners.md``).

    Parameters
    ----------
    steps
        Steps of Adam for each player.
    lr
        Learning rate, at which the displacement of a player that has all rows would move.
    batch_size
        Rows of a step of a player; ``None`` takes all of them.
    lam
        What the task vectors are multiplied with, ``lambda``.

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
    >>> value(model, train, test, groups=["a", "b", "c"] * 4, unlearner=TaskVector()).to_series().idxmin()
    'c'
    """

    name: ClassVar[str] = "task_vector"
    summary: ClassVar[str] = (
        "Subtracts what each forgotten player's rows teach: a matrix product, for any number of coalitions."
    )
    source: ClassVar[str] = "Ilharco et al. 2023, arXiv 2212.04089"
    needs: ClassVar[Access] = Access.FORGET
    advice: ClassVar[str] = "a smaller lam or lr"
    tunable: ClassVar[Mapping[str, tuple[Any, ...]]] = {"lr": (0.001, 0.003, 0.01), "lam": (0.5, 1.0, 2.0)}

    steps: int = 10
    lr: float = 0.003
    lam: float = 1.0

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        check_number("lam", self.lam, zero=True)

    def _unlearn(self, problem: ModuleProblem, coalitions: NDArray[np.bool_], seed: int) -> Models:
        engine = problem.engine
        vectors = problem.once(_vectors, self.steps, self.lr, self.batch_size, seed)
        given = engine.flatten(engine.stack(1))
        return StackedModels(
            engine, engine.unflatten(given - self.lam * batch_invariant_matmul(forgotten(coalitions, given), vectors))
        )


def _vectors(problem: ModuleProblem, steps: int, lr: float, batch_size: int | None, seed: int) -> Tensor:
    """Return the task vectors ``[n_players, p]``."""
    engine = problem.engine
    mine = ~problem.retained(~np.eye(problem.n_players, dtype=bool))  # [n_players, rows]
    sizes = mine.sum(dim=1)
    vectors = []
    for part in torch.arange(problem.n_players, device=mine.device).split(_PLAYERS):
        start = engine.stack(len(part))
        descent = Term(row_weights(mine[part], engine.dtype), problem.x, problem.y)
        most = int(sizes[part].max())  # each takes its own rows, also where it takes all of them
        batches = descent.batches(min(batch_size or most, most), steps, seed)
        share = sizes[part].to(engine.dtype) / problem.trained_rows
        theta = descend_displaced(engine, start, share, zip(batches), lr)
        vectors.append(engine.flatten(theta) - engine.flatten(start))
    return torch.cat(vectors)
