"""``newton``: Newton's method on the retained loss, from the given parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unshap_plugin.errors import AccessError, check_integer, check_number
from unshap_plugin.model.engine import Theta
from unshap_plugin.problem.access import Access
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.second_order.curvature import SecondOrder, second_order
from unshap_plugin.second_order.head_newton import HeadNewton
from unshap_plugin.second_order.linear_head import LinearHead, linear_layer
from unshap_plugin.second_order.objective import MAX_PARAMETERS, Objective
from unshap_plugin.second_order.quadratic import Quadratic
from unshap_plugin.second_order.solvers import solve_damped
from unshap_plugin.unlearners._refits import lacks_a_class, parameters_of, refits
from unshap_plugin.unlearners.base import Unlearner
from unshap_plugin.unlearners.models import Models, StackedModels
from unshap_plugin.unlearners.stored import quadratic_of

__all__ = ["FEW_PARAMETERS", "Newton", "centred", "expansion", "minimum", "newton_steps", "refitted", "stopped_short"]

#: Numbers by row and score that a step on a linear head holds at once.
_ARRAYS = 12
#: Beyond this many parameters, a head takes tens of milliseconds a coalition, and its eigenvalues minutes.
FEW_PARAMETERS = 1024
#: Steps where no number is given: of modules, whose training may have stopped early, where more would lead away from
#: what it reaches, and of linear models of scikit-learn, which are fitted to the end.
_STEPS, _STEPS_TO_THE_END = 5, 50
#: A fit that a step would improve by more than this share of the loss of a row has not arrived.
_SHORT = 0.01


@dataclass(frozen=True)
class Newton(Unlearner):
    """Newton steps towards the optimum of the retained loss (Guo et al. 2020, arXiv 1911.03030, eq. 1, iterated).

    For a coalition that retains the rows ``R`` of ``n``, the steps minimise

    ``sum_R loss_i(theta) + l2/2 |theta|^2 + 1/2 (theta - init)^T Lambda (theta - init) - |R|/n correction^T theta``

    with the l2 strength and the initial parameters of the recipe (zero where not known). The gradient ``correction`` is
    the gradient of the first three terms for all rows at the given parameters: it centres the objective, so that
    removing nothing changes nothing even if training was stopped before an optimum. The third is a proximal term, whose
    strengths ``Lambda`` stand for what else kept training from the optimum: a penalty that the recipe does not mention,
    or early stopping, which acts like a proximal term around the initial parameters (Ali, Kolter & Tibshirani 2019).
    They are estimated from the full data: where some strength per parameter tensor makes the given parameters
    stationary, it is that (for an L2-regularised optimum it is the regulariser); else all have the one strength whose
    optimum lies as far from the initial parameters as the given ones do. Where the loss is not convex they are raised
    until the given parameters are a minimum for all rows.

    The matrix is Gauss-Newton's (for a linear head the Hessian), solved by batched Cholesky and damped where it is not
    definite; a step that does not lower the objective enough (Armijo's rule) is halved.

    From stored artefacts one step from the given parameters is all there is, without halving: gradient and matrix of
    the retained rows are those of all rows less those of the forget rows, which is known at these parameters alone.

    Where a group of rows is a player, coalitions without a row of some class have no optimum: the bias of that class
    would go down for ever. A linear classifier of scikit-learn is fitted again for these, as ``retrain`` does it.

    Access: forget and retain rows, or forget rows and the stored Hessian. Cost per coalition and step:
    ``rows p^2 + p^3 / 3`` multiplications for ``p`` parameters (for a linear head with ``c`` outputs ``rows p^2 / 2``).
    Error: below 0.01 in accuracy for models at an optimum; for models stopped early, about the noise of the training
    seed (``benchmarks/fidelity.py``).

    Parameters
    ----------
    steps
        Number of Newton steps at most, fewer where a step promises next to nothing; from stored artefacts it is one.
        ``None`` are 5, and for linear models of scikit-learn, which are fitted to the end, 50.
    proximal
        Strength of the proximal term, one ``Lambda`` for all parameters; ``None`` estimates it.

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
    >>> value(model, train, test, groups=["a", "b", "c"] * 4, unlearner=Newton()).to_series().idxmin()
    'c'
    >>> from unshap_plugin import ValuationProblem
    >>> problem = ValuationProblem(model, train, test, groups=["a", "b", "c"] * 4)
    >>> int(Newton().marginals(problem, np.array([[True, True, True]])).argmin())
    2
    """

    name: ClassVar[str] = "newton"
    summary: ClassVar[str] = "Newton steps on the retained loss, for models with few parameters."
    source: ClassVar[str] = "Guo, Goldstein, Hannun & van der Maaten 2020, arXiv 1911.03030"
    needs: ClassVar[Access] = Access.RETAIN
    stored: ClassVar[str | None] = "hessian"
    tunable: ClassVar[Mapping[str, tuple[Any, ...]]] = {"steps": (1, 2)}

    steps: int | None = None
    proximal: float | None = None

    def __post_init__(self) -> None:
        """Check the settings."""
        if self.steps is not None:
            check_integer("steps", self.steps, 1)
        if self.proximal is not None:
            check_number("proximal", self.proximal, zero=True)

    def _check(self, problem: ModuleProblem) -> None:
        # Matrices of more parameters do not fit into memory.
        if problem.engine.n_parameters > MAX_PARAMETERS:
            raise AccessError(
                f"unlearner 'newton' solves systems in all parameters, at most {MAX_PARAMETERS}, but "
                f"{problem.model_name} has {problem.engine.n_parameters}"
            )

    def bytes_per_coalition(self, problem: ModuleProblem) -> int:
        """Add the matrix, its factor and a copy; or, for a large head, the Hessians of its rows."""
        engine = problem.engine
        head = None if self.stand_in(problem) is not None else problem.once(expansion)
        if isinstance(head, LinearHead):
            return _head_bytes(head, len(problem.y), engine.n_parameters)
        return super().bytes_per_coalition(problem) + 24 * engine.n_parameters**2

    def _unlearn(self, problem: ModuleProblem, coalitions: NDArray[np.bool_], seed: int) -> Models:
        engine = problem.engine
        if self.stand_in(problem) is not None:
            return StackedModels(engine, engine.unflatten(_one_step(problem, coalitions, self.proximal)))
        retained = problem.retained(coalitions)
        theta, settled = self._minimum(problem, retained)
        if _to_the_end(problem) and not settled and self.steps is None:
            engine.announce(_unsettled(problem.model_name))
        state = refitted(problem, engine.unflatten(theta), retained, coalitions, seed)
        return StackedModels(engine, state)

    def marginals(self, problem: ModuleProblem, coalitions: NDArray[np.bool_]) -> NDArray[np.float64] | None:
        """Return what each player adds to each coalition, float64 ``[m, n_players]``, of a linear head: see the base.

        That of a group is the sum over its rows.

        Raises
        ------
        Exception
            Whatever the loss raises.
        """
        if self.stand_in(problem) is not None or Access.RETAIN not in problem.available:
            return None
        _, heads = problem.once(_centred, self.proximal)
        if heads is None:
            return None
        engine, retained = problem.engine, problem.retained(coalitions)
        theta, _ = self._minimum(problem, retained)
        test = torch.full((len(theta), len(problem.y_test)), -1 / len(problem.y_test)).to(theta)
        slopes = engine.gradients(engine.unflatten(theta), test, problem.x_test, problem.y_test)
        by_row = heads.marginals(theta, retained.to(theta.dtype), engine.flatten(slopes)).double().cpu().numpy()
        total = np.zeros((len(theta), problem.n_players + 1))
        np.add.at(total.T, problem.player_of_row, by_row.T)
        return total[:, :-1]

    def _minimum(self, problem: ModuleProblem, retained: Tensor) -> tuple[Tensor, bool]:
        """Return where the steps end, ``[m, p]``, for retained rows, ``[m, rows]``, and whether a head settled."""
        start, heads = problem.once(_centred, self.proximal)
        return minimum(start, heads, retained.to(start.given.dtype), self.steps or newton_steps(problem))


def minimum(start: Objective, heads: HeadNewton | None, weights: Tensor, steps: int) -> tuple[Tensor, bool]:
    """Return where steps on a centred objective end, ``[m, p]``, for weights ``[m, rows]``, and whether all settled."""
    theta, settled = (start.descend(weights, steps), True) if heads is None else heads.minimise(weights, steps)
    theta[~weights.any(dim=1)] = start.init  # nothing retained: as before the training
    return theta, settled


def newton_steps(problem: ModuleProblem) -> int:
    """Return how many steps are taken at most where no number is given."""
    return _STEPS_TO_THE_END if _to_the_end(problem) else _STEPS


def _to_the_end(problem: ModuleProblem) -> bool:
    return problem.linear is not None and problem.linear.to_the_end


def _unsettled(kind: str) -> str:
    return (
        f"newton did not settle in {_STEPS_TO_THE_END} steps for some coalitions of {kind}: where a plane separates "
        f"the classes of their rows and no penalty, or a weak one, holds the weights, the loss has its minimum far out "
        f"or nowhere, and likelihoods depend on where a fit stops; use metric='accuracy', or a model with a stronger "
        f"penalty."
    )


def refitted(problem: ModuleProblem, state: Theta, retained: Tensor, coalitions: NDArray[np.bool_], seed: int) -> Theta:
    """Put the fits of the given classifier where a coalition lacks a class: the loss has no minimum to step to there.

    Not where every row is a player: coalitions lack a class only where they are tiny then, and the smallest probability
    that a fit gives to such a class would drown the values of all rows.
    """
    if problem.linear is None or problem.n_players == len(problem.y):
        return state
    lacking = lacks_a_class(problem, retained)
    if not lacking.any():
        return state
    fits = refits(problem, retained[lacking], coalitions[lacking.cpu().numpy()], seed)
    given = problem.engine.state
    for name, value in parameters_of(problem, problem.linear, fits).items():
        if name not in state:
            state[name] = given[name].expand(len(retained), *given[name].shape).clone()
        state[name][lacking] = value
    return state


def _centred(problem: ModuleProblem, proximal: float | None) -> tuple[Objective, HeadNewton | None]:
    """Return the objective of the problem, centred at the given parameters, and its solver for a linear head."""
    return centred(
        problem, Objective(problem.engine, problem.x, problem.y, problem.once(expansion), problem.recipe), proximal
    )


def minimum_bytes(objective: Objective, heads: HeadNewton | None) -> int:
    """Estimate the memory of a coalition in ``minimum``."""
    engine = objective.engine
    if heads is not None:
        assert isinstance(objective.losses, LinearHead)
        return _head_bytes(objective.losses, len(objective.y), engine.n_parameters)
    return engine.bytes_per_coalition(objective.x) + 24 * engine.n_parameters**2


def _head_bytes(head: LinearHead, rows: int, parameters: int) -> int:
    return head.features.element_size() * (_ARRAYS * rows * head.n_outputs + 12 * parameters)


def centred(
    problem: ModuleProblem, objective: Objective, proximal: float | None = None
) -> tuple[Objective, HeadNewton | None]:
    """Centre an objective at the given parameters, and return it with its solver for a linear head."""
    if proximal is None and problem.linear is not None and problem.linear.to_the_end:
        objective.leave_uncentred()
    else:
        objective.centre(proximal)
    return objective, HeadNewton(objective) if isinstance(objective.losses, LinearHead) else None


def stopped_short(problem: ModuleProblem) -> bool:
    """Tell whether a linear classifier of scikit-learn that is fitted to the end is not at the optimum of its loss.

    It had too few iterations, or columns so different in scale that it cannot come near. Of many parameters that is not
    known, since it takes their matrix.
    """
    linear = problem.linear
    if linear is None or not linear.to_the_end or linear.classes is None or Access.RETAIN not in problem.available:
        return False
    if problem.engine.n_parameters > FEW_PARAMETERS:
        return False
    objective = Objective(problem.engine, problem.x, problem.y, problem.once(expansion), problem.recipe)
    return objective.short_of_optimum() > _SHORT


def _stored_quadratic(problem: ModuleProblem, proximal: float | None) -> Quadratic:
    """Return the expansion of the objective of all rows, from the stored artefacts."""
    assert problem.stored is not None
    given = problem.engine.flatten(problem.engine.stack(1))[0]
    return quadratic_of(problem.stored, given, proximal, linear=linear_layer(problem.engine, problem.x) is not None)


def _one_step(problem: ModuleProblem, coalitions: NDArray[np.bool_], proximal: float | None) -> Tensor:
    """Return the parameters ``[m, p]`` after one step, from the sums over all rows less those over the forget rows."""
    engine, everything = problem.engine, problem.once(_stored_quadratic, proximal)
    given = engine.flatten(engine.stack(1))[0]
    forget = (~problem.retained(coalitions)).to(given.dtype)
    _, gradient, matrix = problem.once(expansion)(engine.stack(1), forget)
    count = forget.sum(dim=1, keepdim=True)
    gradient = count / everything.n * everything.correction - gradient
    matrix = everything.matrix - matrix
    matrix.diagonal(dim1=1, dim2=2).add_(everything.diagonal)
    theta = given - solve_damped(matrix, gradient)
    theta[count[:, 0] == everything.n] = everything.init
    return theta


def expansion(problem: ModuleProblem) -> SecondOrder:
    """Return value, gradient and curvature of the training losses."""
    return second_order(problem.engine, problem.x, problem.y)
