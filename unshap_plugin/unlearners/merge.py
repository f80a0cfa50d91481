"""``merge``: models that were trained on each player alone, averaged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unshap_plugin.errors import AccessError
from unshap_plugin.model.stacks import Theta, per_copy
from unshap_plugin.numerics.filling import batch_invariant_matmul
from unshap_plugin.problem.access import Access
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.unlearners.base import Unlearner
from unshap_plugin.unlearners.models import Models, StackedModels
from unshap_plugin.unlearners.retrain import trained

__all__ = ["Merge"]

_PLAYERS = 64


@dataclass(frozen=True)
class Merge(Unlearner):
    """Average models that were trained on each player alone (Wortsman et al. 2022, arXiv 2203.05482, "model soups").

    ``theta(S) = theta_init + sum_{p in S} (n_p / n_S) (theta_p - theta_init) + s (theta_0 - theta(N))``. ``theta_p`` is
    trained by the recipe on the ``n_p`` rows of player ``p`` alone, from the same initial parameters; ``n_S`` are the
    rows of the coalition, ``s`` their share of all rows, and ``theta(N)`` is the sum of the first two terms for all
    players. The background is a player that is always in. Without a retained row the result is the initial model. What
    batch norm has counted is averaged too, and with the share ``s`` is that of the given model. Merging adapters of a
    language model, one for each source (arXiv 2505.16066), is the same average.

    The last term makes all players give the given model, and the removal of little change little. The average alone,
    and the term with ``s^2``, were measured beside it on eight problems of six providers (networks and logistic
    regressions on digits and breast_cancer, trained from scratch or fine-tuned, providers alike or with classes of
    their own), three to eight seeds each: rank correlation of the utilities with retraining .73 alone, .82 with ``s``,
    .79 with ``s^2``; mean absolute error .152, .126, .137; correlation of the values .919, .921, .928.

    Access: forget and retain rows, and a recipe with the initial parameters. Cost: once, the trainings on each player
    alone, together as many rows as those of two coalitions; per coalition ``n_players p`` multiplications. Error: an
    average of models is near a model of all their rows where they stay near each other, as in short fine-tuning, and
    players of few rows or of one class learn what no coalition does (``docs/unlearners.md``).

    Examples
    --------
    >>> from unshap_plugin import Recipe, value
    >>> from unshap_plugin.losses import cross_entropy
    >>> x, wrong = torch.linspace(-3, 3, 12)[:, None], torch.arange(12) % 3 == 2  # the labels of provider c
    >>> train, test = (x, ((x[:, 0] > 0) ^ wrong).long()), (x, (x[:, 0] > 0).long())
    >>> start = torch.nn.Linear(1, 2)
    >>> recipe = Recipe("adam", lr=0.1, epochs=50, batch_size=4, init=start)
    >>> model = recipe.train(start, cross_entropy, *train)
    >>> value(model, train, test, groups=["a", "b", "c"] * 4, fit=recipe, unlearner=Merge()).to_series().idxmin()
    'c'
    """

    name: ClassVar[str] = "merge"
    summary: ClassVar[str] = "Averages models that were trained on each player alone: one training for each player."
    source: ClassVar[str] = "Wortsman et al. 2022, arXiv 2203.05482"
    needs: ClassVar[Access] = Access.RETAIN

    def _check(self, problem: ModuleProblem) -> None:
        if problem.linear is not None or problem.recipe is None or problem.recipe.init is None:
            remedy = (
                ": pass fit=Recipe(..., init=...) to the problem"
                if problem.linear is None
                else f", but {problem.model_name} is fitted otherwise"
            )
            raise AccessError(
                f"unlearner 'merge' needs to know how the model was trained, and from which parameters{remedy}"
            )

    def _unlearn(self, problem: ModuleProblem, coalitions: NDArray[np.bool_], seed: int) -> Models:
        engine, sizes = problem.engine, problem.once(_sizes)
        everybody = np.concatenate([coalitions, np.ones((len(coalitions), 1), dtype=bool)], axis=1)
        rows = torch.as_tensor(everybody, device=sizes.device) * sizes  # [m, n_players + 1]
        share = rows.sum(dim=1).to(engine.dtype) / sizes.sum()
        initial, learned = problem.once(_alone, seed)
        state = {}
        for name, vectors in learned.items():
            merged, given = initial[name] + _averages(rows, vectors), engine.state[name]
            # Statistics lie between those of the average and the given ones, since no variance may be negative.
            whole = initial[name] + _averages(sizes[None], vectors) if name in engine.theta0 else merged
            state[name] = merged + per_copy(share.to(merged), merged) * (given - whole)
        return StackedModels(engine, state)


def _averages(rows: Tensor, vectors: Tensor) -> Tensor:
    """Return the averages of ``[n_players + 1, *shape]``, weighted by ``rows [m, n_players + 1]``: ``[m, *shape]``."""
    weights = rows.to(vectors) / rows.sum(dim=1, keepdim=True).clamp(min=1)
    return batch_invariant_matmul(weights, vectors.flatten(1)).unflatten(1, vectors.shape[1:])


def _sizes(problem: ModuleProblem) -> Tensor:
    """Return how many rows the players have, and at last the background, ``[n_players + 1]``."""
    return _own(problem).sum(dim=1)


def _own(problem: ModuleProblem) -> Tensor:
    """Return whose each row is, bool ``[n_players + 1, rows]``; at last of the background."""
    everybody = torch.arange(problem.n_players + 1, device=problem.y.device)
    player = torch.as_tensor(problem.player_of_row, device=problem.y.device) % len(everybody)  # the background has -1
    return everybody[:, None] == player


def _alone(problem: ModuleProblem, seed: int) -> tuple[Theta, Theta]:
    """Return the initial parameters, and how far training on the rows of each player alone moves them.

    The latter are ``[n_players + 1, *shape]``; the last is of the background. Statistics are among both.
    """
    recipe, engine = problem.recipe, problem.engine
    assert recipe is not None
    initial = recipe.initial_state(engine.module, seed)
    parts = [trained(problem, part, seed) for part in _own(problem).split(_PLAYERS)]
    moved = [name for name, p in parts[0].items() if p.is_floating_point()]
    return initial, {name: torch.cat([part[name] for part in parts]) - initial[name] for name in moved}
