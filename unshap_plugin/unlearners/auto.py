"""``auto``: which built-in method a problem gets."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch

from unshap_plugin.errors import AccessError
from unshap_plugin.model.penalties import strengths
from unshap_plugin.model.recipe import Recipe
from unshap_plugin.problem.access import Access
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.problem.problem import ValuationProblem
from unshap_plugin.second_order.linear_head import LinearHead
from unshap_plugin.unlearners.base import Unlearner
from unshap_plugin.unlearners.finetune import FineTune
from unshap_plugin.unlearners.graddiff import GradDiff
from unshap_plugin.unlearners.gradient_ascent import GradientAscent
from unshap_plugin.unlearners.linear_exact import LinearExact
from unshap_plugin.unlearners.merge import Merge
from unshap_plugin.unlearners.newton import FEW_PARAMETERS, Newton, expansion, stopped_short
from unshap_plugin.unlearners.pseudo_background import PseudoBackground
from unshap_plugin.unlearners.replay import Replay
from unshap_plugin.unlearners.retrain import Retrain, obstacle_to_batches, trains_differently

__all__ = ["MEASURED_IN_PARTIAL", "choose"]

U = TypeVar("U", bound=Unlearner)

#: Up to so many parameters Newton steps cost less than a fit of scikit-learn's classifiers (docs/decisions.md).
FEWER_THAN_A_FIT = 100

#: By the share of the training rows that is at hand, how values of six providers by ``pseudo_background`` correlated
#: with those of retraining (log-likelihood, 400 reference rows, five kinds of models, of a tenth and three quarters
#: fewer): the least and the most of the means over ten seeds, and the least of all (docs/results.md, "Partial access").
MEASURED_IN_PARTIAL = {
    0.1: (0.72, 0.93, -0.32),
    0.25: (0.68, 0.96, 0.07),
    0.5: (0.86, 0.97, 0.45),
    0.75: (0.92, 0.99, 0.82),
    1.0: (0.95, 1.0, 0.82),
}


def choose(problem: ValuationProblem) -> tuple[Unlearner, str]:
    """Return the built-in method for this problem, which it can work on, and why it is that one.

    What measured best of what costs no more than retraining (``docs/results.md``, "What auto takes"). The exact
    solution for a linear regression; Newton for another linear head; for other modules the replay of their training,
    gradient difference where that is not known or cannot be followed, fine-tuning for single rows of a training by
    gradient descent, or retraining where training is so short that unlearning would cost more; with batch norm the
    average of models of each player. Where no retained rows are at hand, the first two from stored artefacts, otherwise
    ``pseudo_background`` with a reference set, and ``gradient_ascent`` without. Retraining for models without
    parameters, and for linear models of scikit-learn that are fitted to no optimum or have none, or in less time than
    Newton steps take.

    Raises
    ------
    AccessError
        If no built-in method can work on it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from unshap_plugin import ValuationProblem
    >>> x, y = np.arange(12.0).reshape(6, 2) ** 2, np.arange(6.0)
    >>> problem = ValuationProblem(Ridge().fit(x, y), train=(x, y), test=(x, y))
    >>> choose(problem)
    (LinearExact(), 'Ridge is a linear regression at its optimum, which has an exact solution')
    """
    kind = problem.model_name
    if not isinstance(problem, ModuleProblem) or not problem.engine.theta0:
        return _checked(Retrain(), problem), f"{kind} has no parameters that gradients could change"
    partial = Access.RETAIN not in problem.available
    source = ", and stored artefacts stand in for the rows that are not at hand" if partial else ""
    engine, exact = problem.engine, LinearExact()
    if _works(exact, problem):
        return exact, f"{kind} is a linear regression at its optimum, which has an exact solution{source}"
    size = f"{engine.n_parameters:,} parameters"
    if engine.n_parameters > FEW_PARAMETERS:
        why = f"a model of {size} is too large for Newton steps"
    elif not isinstance(problem.once(expansion), LinearHead):
        why = f"{kind} is not a linear model, which Newton steps are best for"
    elif problem.linear is not None and not problem.linear.to_the_end:
        why = f"{kind} stops far from the optimum that Newton steps assume"
        if not partial:
            return _checked(Retrain(), problem), f"{why}, and it is fitted quickly"
    elif problem.linear is not None and problem.linear.classes is None and not partial:
        # scikit-learn leaves out columns that are tiny beside others; Newton steps would not.
        why = f"{kind} is not at the optimum of its loss, perhaps since its columns differ by many orders of magnitude"
        return _checked(Retrain(), problem), f"{why}, and it is fitted quickly"
    elif _unpenalised(problem) and not partial:
        why = f"{kind} has no penalty: where a plane separates classes, values go by where each fit stops"
        return _checked(Retrain(), problem), why
    elif problem.linear is not None and engine.n_parameters > FEWER_THAN_A_FIT and not partial:
        return _checked(Retrain(), problem), f"{kind} of {size} is fitted in less time than Newton steps take, exactly"
    elif problem.once(stopped_short):
        why = f"{kind} stopped before the optimum of its loss (too few iterations, or columns that are not scaled)"
        return _checked(Retrain(), problem), f"{why}, from which Newton steps set out"
    elif not _curved(problem):
        why = f"the loss of {kind} has no curvature, which Newton steps follow"
    elif _works(Newton(), problem):
        return Newton(), f"a linear model of {size} is what Newton steps are best for{source}"
    else:
        why = f"{kind} has no stored Hessian for Newton steps"
    if not partial:
        # Layers that train differently from how they predict would be replayed as they predict.
        layer = trains_differently(engine, problem.x)
        if _works(Replay(), problem) and layer is None:
            method: Replay | FineTune | GradDiff = Replay()
        elif problem.recipe is not None and problem.recipe.optimizer == "sgd" and _single_rows(problem):
            method = _checked(FineTune(), problem)
        else:
            method = _checked(GradDiff(), problem)
        recipe = _at_once(problem)
        # A pass of a training takes more steps of the optimiser than one of an unlearner, but only over the rows that
        # are retained, half of them for most coalitions: it costs .6 (convolutions) to 1.0 (small layers in batches of
        # 32) of a pass over all rows. Exactness is worth about twice what the unlearner costs.
        if recipe is not None and recipe.epochs <= 2 * method.steps:
            return Retrain(), (
                f"{why}, and its training is {recipe.epochs} pass{'' if recipe.epochs == 1 else 'es'} over the "
                f"retained rows: retraining costs at most about twice the {method.steps} passes of {method.name}, "
                f"and is exact"
            )
        if recipe is not None and layer is not None:
            why = f"{why}, and steps from the given model do not follow how {layer} trains"
            return _checked(Merge(), problem), f"{why}: models of each player alone are trained, and averaged"
        return method, why
    if Access.REFERENCE in problem.available:
        why = "no retained rows are at hand, but a reference set is"
        if problem.trained_rows_told and problem.metric.name == "log_likelihood":
            why += f"; {_to_expect(len(problem.y) / problem.trained_rows)}"
        return _checked(PseudoBackground(), problem), why
    return _checked(GradientAscent(), problem), "no retained rows are at hand, and no reference set"


def _to_expect(share: float) -> str:
    """Return what was measured of values where about this share of the rows was at hand."""
    near = min(MEASURED_IN_PARTIAL, key=lambda known: abs(known - share))
    least, most, worst = MEASURED_IN_PARTIAL[near]
    return (
        f"with {near:.0%} of the rows at hand, values of providers correlated with those of retraining at {least} to "
        f"{most} on average, and at {worst} at worst, where that was measured"
    )


def _single_rows(problem: ModuleProblem) -> bool:
    """Tell whether each player has one row."""
    return int(np.bincount(problem.player_of_row[problem.player_of_row >= 0]).max()) == 1


def _at_once(problem: ModuleProblem) -> Recipe | None:
    """Return the recipe if many models can be trained by it at once.

    Where the initial parameters are not known, retraining would start elsewhere than the given model did.
    """
    recipe = problem.recipe
    if recipe is None or recipe.init is None:
        return None
    return recipe if problem.once(obstacle_to_batches) is None else None


def _unpenalised(problem: ModuleProblem) -> bool:
    """Tell whether nothing holds the weights of a linear classifier of scikit-learn."""
    if problem.linear is None or problem.linear.classes is None:
        return False
    return not strengths(problem.engine, problem.recipe).any()


def _curved(problem: ModuleProblem) -> bool:
    engine = problem.engine
    everything = torch.ones(1, len(problem.y), dtype=engine.dtype, device=problem.y.device)
    return bool((problem.once(expansion)(engine.stack(1), everything)[2] != 0).any())


def _checked(unlearner: U, problem: ValuationProblem) -> U:
    unlearner.check(problem)
    return unlearner


def _works(unlearner: Unlearner, problem: ModuleProblem) -> bool:
    try:
        unlearner.check(problem)
    except AccessError:
        return False
    return True
