"""``auto``: which built-in method a problem gets."""

from __future__ import annotations

import torch
from sklearn.linear_model import SGDClassifier

from unshap_plugin.errors import AccessError
from unshap_plugin.model.engine import Engine
from unshap_plugin.problem.problem import Access, ValuationProblem
from unshap_plugin.second_order.curvature import LinearHead
from unshap_plugin.unlearners.base import Unlearner
from unshap_plugin.unlearners.linear_exact import LinearExact
from unshap_plugin.unlearners.newton import Newton, expansion
from unshap_plugin.unlearners.replay import Replay
from unshap_plugin.unlearners.retrain import trains_differently

__all__ = ["choose"]

#: Beyond this many, a head takes tens of milliseconds a coalition, and its spectrum minutes.
FEW_PARAMETERS = 1024


def choose(problem: ValuationProblem) -> tuple[str, str]:
    """Return the name of the built-in method for this problem, and why it is that one.

    What measured best (``docs/unlearners.md``). The exact solution for a linear regression; Newton for another linear
    head; for other modules the replay of their training, or fine-tuning where that is not known. Where no retained rows
    are at hand, the first two from stored artefacts, otherwise ``reference_teacher`` with a reference set, and
    ``gradient_ascent`` without. Retraining for models without parameters, and for scikit-learn's
    ``SGDClassifier``.
    """
    engine, kind = problem.engine, type(problem.estimator).__name__
    if engine is None or not engine.theta0:
        return "retrain", f"{kind} has no parameters that gradients could change"
    partial = Access.RETAIN not in problem.available
    source = ", and stored artefacts stand in for the rows that are not at hand" if partial else ""
    if _works(LinearExact(), problem):
        return "linear_exact", f"{kind} is a linear regression at its optimum, which has an exact solution{source}"
    size = f"{engine.n_parameters:,} parameters"
    if engine.n_parameters > FEW_PARAMETERS:
        why = f"a model of {size} is too large for Newton steps"
    elif not isinstance(expansion(problem, engine), LinearHead):
        why = f"{kind} is not a linear model, which Newton steps are best for"
    elif isinstance(problem.estimator, SGDClassifier):
        why = f"{kind} stops far from the optimum that Newton steps assume"
        if not partial:
            return "retrain", f"{why}, and it is fitted quickly"
    elif not _curved(problem, engine):
        why = f"the loss of {kind} has no curvature, which Newton steps follow"
    elif _works(Newton(), problem):
        return "newton", f"a linear model of {size} is what Newton steps are best for{source}"
    else:
        why = f"{kind} has no stored Hessian for Newton steps"
    if not partial:
        # Layers that train differently from how they predict would be replayed as they predict.
        replayed = _works(Replay(), problem) and not trains_differently(engine, problem.x)
        return ("replay" if replayed else "finetune"), why
    if Access.REFERENCE in problem.available:
        return "reference_teacher", "no retained rows are at hand, but a reference set is"
    return "gradient_ascent", "no retained rows are at hand, and no reference set"


def _curved(problem: ValuationProblem, engine: Engine) -> bool:
    everything = torch.ones(1, len(problem.y), dtype=engine.dtype, device=problem.y.device)
    return bool((expansion(problem, engine)(engine.stack(1), everything)[2] != 0).any())


def _works(unlearner: Unlearner, problem: ValuationProblem) -> bool:
    try:
        unlearner.check(problem)
    except AccessError:
        return False
    return True
