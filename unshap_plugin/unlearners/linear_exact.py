"""``linear_exact``: linear regression without the forgotten rows, from the normal equations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from unshap_plugin.errors import AccessError
from unshap_plugin.model.penalties import penalties
from unshap_plugin.problem.access import Access
from unshap_plugin.problem.artifacts import Artifacts
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.second_order.normal_equations import NormalEquations
from unshap_plugin.unlearners.base import Unlearner
from unshap_plugin.unlearners.models import Models, StackedModels

__all__ = ["LinearExact"]

#: By which share of their spread the outputs of the given model may differ from those at the optimum of all rows.
_AT_OPTIMUM = 1e-3


@dataclass(frozen=True)
class LinearExact(Unlearner):
    """Solve the normal equations of the retained rows: ridge regression, and linear regression without a penalty.

    ``theta(R) = (2/c sum_R z_i z_i^T + diag(l2))^+ (2/c sum_R z_i y_i^T)`` for the features ``z_i`` (with a one for the
    bias) of a linear layer with ``c`` outputs, and the penalty of the recipe. The sums over the retained rows are one
    matrix product with the outer products of all rows: solved anew for every coalition, since a chain of downdates
    (Cook & Weisberg 1982, section 3.4) loses definiteness. Where rows do not determine the parameters, those nearest to
    the initial ones are taken, to which gradient methods converge too.

    For modules whose only parameters are those of a linear layer whose outputs are the module's, trained with the
    squared error to an optimum; others are refused. Access: forget and retain rows, or forget rows and the stored Gram
    matrix, from which the sums over the forget rows are then taken away. Cost per coalition: ``rows d^2 + d^3 / 3``
    multiplications for ``d`` features. Error: round-off.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from unshap_plugin import value
    >>> x, wrong = np.linspace(-3, 3, 12)[:, None], np.arange(12) % 3 == 2  # the labels of provider c
    >>> train, test = (x, np.where(wrong, -x[:, 0], x[:, 0])), (x, x[:, 0])
    >>> model = Ridge().fit(*train)
    >>> value(model, train, test, groups=["a", "b", "c"] * 4, unlearner=LinearExact()).to_series().idxmin()
    'c'
    """

    name: ClassVar[str] = "linear_exact"
    summary: ClassVar[str] = (
        "Solves the normal equations of the retained rows, for linear regression with or without a penalty."
    )
    source: ClassVar[str] = "Cook & Weisberg 1982, Residuals and Influence in Regression"
    needs: ClassVar[Access] = Access.RETAIN
    stored: ClassVar[str | None] = "gram"
    exact: ClassVar[bool] = True

    def _check(self, problem: ModuleProblem) -> None:
        kind, stored = problem.model_name, self.stand_in(problem)
        equations = problem.once(_equations, stored is not None)
        if equations is None:
            raise AccessError(
                f"unlearner 'linear_exact' needs a linear layer trained with loss='mse', but {kind} is another model "
                f"or has another loss"
            )
        everybody = np.ones((1, problem.n_players), dtype=bool)
        sums = _sums(problem, stored, equations, everybody)
        distance, spread = equations.distance(sums[0][0], equations.solve(*sums)[0], problem.trained_rows)
        if not distance <= _AT_OPTIMUM * spread:
            # Only of a torch module it is not known; artefacts are of the recipe that it was given with.
            unsaid = problem.linear is None and stored is None and (problem.recipe is None or not problem.recipe.l2)
            raise AccessError(
                f"unlearner 'linear_exact' needs a model at the optimum of its training loss, but the outputs of "
                f"{kind} are {distance:.3g} away from it, where they spread over {spread:.3g}"
                f"{'; if it was trained with a penalty, say so with fit=Recipe(l2=...)' if unsaid else ''}"
            )

    def _storable(self, problem: ModuleProblem) -> bool:
        return problem.once(_equations, False) is not None

    def bytes_per_coalition(self, problem: ModuleProblem) -> int:
        """Add the matrix and its factor."""
        return super().bytes_per_coalition(problem) + 24 * problem.engine.n_parameters**2

    def _unlearn(self, problem: ModuleProblem, coalitions: NDArray[np.bool_], seed: int) -> Models:  # noqa: ARG002
        stored = self.stand_in(problem)
        equations = problem.once(_equations, stored is not None)
        assert equations is not None
        theta = equations.solve(*_sums(problem, stored, equations, coalitions))
        if len(problem.y) == problem.trained_rows:  # without a row: as before the training, penalised or not
            theta[~problem.retained(coalitions).any(dim=1)] = equations.initial
        return StackedModels(problem.engine, equations.parameters(theta, problem.engine))


def _equations(problem: ModuleProblem, from_stored: bool) -> NormalEquations | None:
    """Return the equations of the rows at hand, with the penalty of all, or ``None`` for no linear regression."""
    engine, stored = problem.engine, problem.stored if from_stored else None
    pair = penalties(engine, problem.recipe) if stored is None else (stored.l2, stored.init)
    l2, init = (flat.to(problem.y.device) for flat in pair)
    free = problem.linear is not None and "linear.bias" in engine.theta0
    return NormalEquations.of(engine, problem.x, problem.y, l2, init, free)


def _sums(
    problem: ModuleProblem, stored: Artifacts | None, equations: NormalEquations, coalitions: NDArray[np.bool_]
) -> tuple[Tensor, ...]:
    """Return the sums over the retained rows; of stored ones also what their round-off is relative to."""
    retained = problem.retained(coalitions)
    if stored is None:
        return equations.sums(retained)
    assert stored.gram is not None
    assert stored.moments is not None
    squares, moments = equations.sums(~retained)
    gram, all_moments = equations.centred(stored.gram.to(squares.device), stored.moments.to(moments.device))
    return gram - squares, all_moments - moments, gram
