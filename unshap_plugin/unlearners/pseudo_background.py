"""``pseudo_background``: reference rows, labelled by the given model, stand in for the rows that are not at hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unshap_plugin.errors import check_share
from unshap_plugin.losses import cross_entropy, nll_loss
from unshap_plugin.model.rows import Rows, leaves, n_rows, take
from unshap_plugin.model.stacks import Theta
from unshap_plugin.problem.access import Access
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.scoring.predictive import soft_loss
from unshap_plugin.second_order.curvature import second_order
from unshap_plugin.second_order.head_newton import HeadNewton
from unshap_plugin.second_order.linear_head import linear_layer
from unshap_plugin.second_order.objective import MAX_PARAMETERS, Objective
from unshap_plugin.unlearners._displacement import Displaced, from_scratch, shrunk
from unshap_plugin.unlearners._reference import predicted_means
from unshap_plugin.unlearners._terms import Term
from unshap_plugin.unlearners.models import Models, StackedModels
from unshap_plugin.unlearners.newton import centred, minimum, minimum_bytes, newton_steps, refitted

__all__ = ["PseudoBackground"]


@dataclass(frozen=True)
class PseudoBackground(Displaced):
    """Train on the retained rows at hand, and on reference rows in the place of all others.

    With ``n`` rows that the model was trained on, ``h`` of them at hand, of which a coalition retains ``R``, and a
    reference set ``T`` that the given model labels with its own predictions ``q_j``, the loss is

    ``L(R) = 1 / (n - h + |R|) (sum_R loss_i(theta) + (n - h) / |T| sum_T CE(q_j, f_theta(x_j)))``

    The result is ``theta_0 + path(R) - path(N)``, where ``path`` takes some steps of Adam on the loss, from the given
    parameters that are shrunk by a constant share (towards the initial parameters where the recipe knows them, see
    ``finetune``), the same for all coalitions. What these few steps miss of the given parameters is so taken from all
    of them alike, and removing nothing changes nothing. For a linear layer under a usual loss the path ends at the
    minimum of the loss, by the steps and with the penalties of ``newton``.

    Training a model on the answers of another is distillation (Hinton, Vinyals & Dean 2015, arXiv 1503.02531), and
    shrinking before it that of Ash & Adams 2020 (arXiv 1910.08475). What the forget rows taught the given model is in
    its answers too, which is why it forgets too little where they are most of the rows. Where all rows are at hand
    there is nothing to stand in for, and the reference set is not used.

    Access: the rows at hand and a reference set, whose labels are not looked at. It is taken for a sample of the
    distribution of the rows that are not at hand, whose number ``trained_rows`` has to tell. Cost per coalition:
    ``steps`` gradients of the retained rows and of the reference set; of a linear layer, some ten products with both.
    Error: ``docs/results.md``, "Partial access".

    Parameters
    ----------
    steps
        Steps of Adam.
    lr
        Learning rate.
    batch_size
        Retained rows of a step, and rows of the reference set, the next in orders that all coalitions share; ``None``
        takes all of them.
    shrink
        Share of the way to the initial parameters (or zero) at which the steps start, from 0 to 1.

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
    >>> mine = x[:9], train[1][:9]
    >>> result = value(
    ...     model, mine, test, groups=["a", "b", "c"] * 3, access="partial", trained_rows=12, reference=x + 0.1,
    ...     unlearner=PseudoBackground(),
    ... )
    >>> result.to_series().idxmin()
    'c'
    """

    name: ClassVar[str] = "pseudo_background"
    summary: ClassVar[str] = (
        "Trains on what is retained at hand, and on reference rows as the given model labels them for all else."
    )
    source: ClassVar[str] = "this project"
    needs: ClassVar[Access] = Access.FORGET | Access.REFERENCE
    tunable: ClassVar[Mapping[str, tuple[Any, ...]]] = {"steps": (10, 15, 30), "shrink": (0.2, 0.4, 0.6)}

    steps: int = 15
    lr: float = 0.005
    shrink: float = 0.4

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        check_share("shrink", self.shrink)

    def bytes_per_coalition(self, problem: ModuleProblem) -> int:
        """Count the rows of a batch, and reference rows beside it; of a linear layer, what ``newton`` takes."""
        linear, absent = problem.once(_of_linear_layer), _absent(problem)
        if linear is not None:
            return minimum_bytes(*linear)
        own = super().bytes_per_coalition(problem)
        if not absent:
            return own
        assert problem.reference is not None
        reference = problem.reference[0]
        some = torch.arange(min(self.batch_size or n_rows(reference), n_rows(reference)))
        return own + problem.engine.bytes_per_coalition(take(reference, some.to(leaves(reference)[0].device)))

    def _unlearn(self, problem: ModuleProblem, coalitions: NDArray[np.bool_], seed: int) -> Models:
        engine, retained = problem.engine, problem.retained(coalitions)
        linear = problem.once(_of_linear_layer)
        if linear is not None:
            ends = _minimum(problem, *linear, retained)
            if _absent(problem):
                return StackedModels(engine, engine.unflatten(ends + problem.once(_short_of_given)))
            return StackedModels(engine, refitted(problem, engine.unflatten(ends), retained, coalitions, seed))
        whole = problem.once(_whole_path, self, seed)
        theta = {
            name: p + (engine.theta0[name] - whole[name]) for name, p in self._path(problem, retained, seed).items()
        }
        return StackedModels(engine, theta if _absent(problem) else from_scratch(problem, theta, retained))

    def _path(self, problem: ModuleProblem, retained: Tensor, seed: int) -> Theta:
        """Return where the path of each coalition ends, ``[m, *shape]`` each, for retained rows ``[m, rows]``."""
        engine, absent = problem.engine, _absent(problem)
        chosen = retained.to(engine.dtype)
        total = (absent + retained.sum(dim=1, keepdim=True)).clamp(min=1).to(engine.dtype)
        terms = [Term(chosen / total, problem.x, problem.y)]
        if absent:
            assert problem.reference is not None
            means = problem.once(predicted_means)
            each = (absent / len(means) / total).expand(-1, len(means))
            terms.append(Term(each, problem.reference[0], means, loss=soft_loss(problem.loss), whole=True))
        start = shrunk(problem, torch.full_like(total[:, 0], self.shrink))
        return self._descended(engine, start, torch.ones_like(total[:, 0]), terms, seed)


def _whole_path(problem: ModuleProblem, method: PseudoBackground, seed: int) -> Theta:
    """Return where the path of all rows ends, ``[1, *shape]``."""
    return method._path(problem, torch.ones(1, len(problem.y), dtype=torch.bool, device=problem.y.device), seed)


def _minimum(problem: ModuleProblem, objective: Objective, heads: HeadNewton | None, retained: Tensor) -> Tensor:
    """Return the minimum of the loss of each coalition, ``[m, p]``, for retained rows ``[m, rows]``."""
    weights = objective.all.repeat(len(retained), 1)
    weights[:, : retained.shape[1]] *= retained
    return minimum(objective, heads, weights, newton_steps(problem))[0]


def _short_of_given(problem: ModuleProblem) -> Tensor:
    """Return what the minimum of the loss of all rows lacks of the given parameters, ``[1, p]``.

    With the model's own answers for labels, reference rows do not pull at the given parameters, and the others do. To
    correct that by a force of their size would go far where few reference rows hold the parameters.
    """
    linear = problem.once(_of_linear_layer)
    assert linear is not None
    everybody = torch.ones(1, len(problem.y), dtype=torch.bool, device=problem.y.device)
    return linear[0].given - _minimum(problem, *linear, everybody)


def _absent(problem: ModuleProblem) -> int:
    """Return how many of the rows that the model was trained on are not at hand."""
    return problem.trained_rows - len(problem.y)


def _of_linear_layer(problem: ModuleProblem) -> tuple[Objective, HeadNewton | None] | None:
    """Return the objective of rows at hand and reference rows, centred, where one linear layer has all parameters.

    Beside it stands its solver for a linear head.

    ``None`` for other modules, and where the loss of a prediction is another function than that of a label.
    """
    engine, loss = problem.engine, problem.loss
    if soft_loss(loss) is not loss or engine.n_parameters > MAX_PARAMETERS or linear_layer(engine, problem.x) is None:
        return None
    assert problem.reference is not None
    means, absent = problem.once(predicted_means), _absent(problem)
    x, y = _joined(problem.x, problem.reference[0]), torch.cat([_labels(problem, means), means])
    weights = torch.ones(len(y), dtype=engine.dtype, device=y.device)
    weights[len(problem.y) :] = absent / len(means)
    return centred(problem, Objective(engine, x, y, second_order(engine, x, y), problem.recipe, weights))


def _labels(problem: ModuleProblem, means: Tensor) -> Tensor:
    """Return the labels of the rows at hand in the form of predictions, ``[rows, ...]``."""
    y = problem.y
    if problem.loss in (cross_entropy, nll_loss) and not y.is_floating_point():
        return torch.nn.functional.one_hot(y, means.shape[1]).to(means)
    return y.to(means).reshape(len(y), *means.shape[1:])


def _joined(x: Rows, more: Rows) -> Rows:
    """Return rows and more of their kind, one after the other."""
    parts = [torch.cat(pair) for pair in zip(leaves(x), leaves(more), strict=True)]
    if isinstance(x, dict):
        return dict(zip(x, parts, strict=True))
    return tuple(parts) if isinstance(x, tuple) else parts[0]
