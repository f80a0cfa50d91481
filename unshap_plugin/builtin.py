"""The built-in unlearning methods, offered through the same hook as anybody else's."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from sklearn.linear_model import SGDClassifier

from unshap_plugin.curvature import LinearHead
from unshap_plugin.engine import Engine
from unshap_plugin.errors import AccessError
from unshap_plugin.hookspecs import UnlearnerSpec, hookimpl
from unshap_plugin.problem import Access, ValuationProblem
from unshap_plugin.unlearners import (
    NPO,
    SSD,
    Anchored,
    FineTune,
    GradDiff,
    GradientAscent,
    Influence,
    LinearExact,
    Newton,
    RandomLabel,
    ReferenceTeacher,
    Replay,
    Retrain,
    TaskVector,
    Unlearner,
)
from unshap_plugin.unlearners.newton import expansion
from unshap_plugin.unlearners.retrain import trains_differently

__all__ = ["choose", "unshap_unlearners"]

#: Beyond this many, a head takes tens of milliseconds a coalition, and its spectrum minutes.
FEW_PARAMETERS = 1024


@hookimpl
def unshap_unlearners() -> Iterable[UnlearnerSpec]:
    """Yield the built-in methods."""
    yield UnlearnerSpec(
        "retrain",
        Retrain,
        "Trains from scratch on the retained rows: what the others approximate.",
        "the definition",
    )
    yield UnlearnerSpec(
        "linear_exact",
        LinearExact,
        "Solves the normal equations of the retained rows, for linear regression with or without a penalty.",
        "Cook & Weisberg 1982, Residuals and Influence in Regression",
    )
    yield UnlearnerSpec(
        "newton",
        Newton,
        "Newton steps on the retained loss, for models with few parameters.",
        "Guo, Goldstein, Hannun & van der Maaten 2020, arXiv 1911.03030",
    )
    yield UnlearnerSpec(
        "influence",
        Influence,
        "Adds up the influence functions of the forgotten players: a matrix product, for any number of coalitions.",
        "Koh & Liang 2017, arXiv 1703.04730; for groups Koh et al. 2019, arXiv 1905.13289",
    )
    yield UnlearnerSpec(
        "replay",
        Replay,
        "Follows Adam on the retained rows in a few large steps, for networks whose training is known.",
        "this project",
    )
    yield UnlearnerSpec(
        "finetune",
        FineTune,
        "Descends the retained loss from the given model, shrunk by the forgotten share.",
        "Golatkar, Achille & Soatto 2020, arXiv 1911.04933",
    )
    yield UnlearnerSpec(
        "graddiff",
        GradDiff,
        "Descends the retained loss and ascends the bounded loss of the forget rows.",
        "Liu, Liu & Stone 2022, arXiv 2203.12817",
    )
    yield UnlearnerSpec(
        "gradient_ascent",
        GradientAscent,
        "Ascends the bounded loss of the forget rows; needs no retained rows.",
        "Jang et al. 2023, arXiv 2210.01504",
    )
    yield UnlearnerSpec(
        "anchored",
        Anchored,
        "Ascends the loss of the forget rows and stays near the given model on a reference set.",
        "Ma et al. 2025, arXiv 2505.16147",
    )
    yield UnlearnerSpec(
        "reference_teacher",
        ReferenceTeacher,
        "Anchored ascent in which forget rows learn what the given model says of similar reference rows.",
        "this project",
    )
    yield UnlearnerSpec(
        "npo",
        NPO,
        "Ascends the loss of the forget rows, more slowly where one has been forgotten.",
        "Zhang, Lin, Bai & Mei 2024, arXiv 2404.05868",
    )
    yield UnlearnerSpec(
        "random_label",
        RandomLabel,
        "Trains the forget rows on random labels.",
        "Graves, Nagisetty & Ganesh 2021, arXiv 2010.10981",
    )
    yield UnlearnerSpec(
        "ssd",
        SSD,
        "Dampens the parameters that matter more to the forget rows than to the retained ones; trains nothing.",
        "Foster, Schoepf & Brintrup 2024, arXiv 2308.07707",
    )
    yield UnlearnerSpec(
        "task_vector",
        TaskVector,
        "Subtracts what each forgotten player's rows teach: a matrix product, for any number of coalitions.",
        "Ilharco et al. 2023, arXiv 2212.04089",
    )


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
