"""The built-in unlearning methods, offered through the same hook as anybody else's."""

from __future__ import annotations

from collections.abc import Iterable

from unshap_plugin.curvature import LinearHead
from unshap_plugin.hookspecs import UnlearnerSpec, hookimpl
from unshap_plugin.problem import Access, ValuationProblem
from unshap_plugin.unlearners import FineTune, GradientAscent, Newton, Retrain

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
        "newton",
        Newton,
        "Newton steps on the retained loss, for models with few parameters.",
        "Guo, Goldstein, Hannun & van der Maaten 2020, arXiv 1911.03030",
    )
    yield UnlearnerSpec(
        "finetune",
        FineTune,
        "Descends the retained loss from the given model.",
        "Golatkar, Achille & Soatto 2020, arXiv 1911.04933",
    )
    yield UnlearnerSpec(
        "gradient_ascent",
        GradientAscent,
        "Ascends the bounded loss of the forget rows; needs no retained rows.",
        "Jang et al. 2023, arXiv 2210.01504",
    )


def choose(problem: ValuationProblem) -> str:
    """Return the name of the built-in method for this problem.

    Newton for a linear head with few parameters, which it is exact enough for; fine-tuning for other modules;
    gradient ascent where no retained rows are at hand; retraining for models without parameters.
    """
    if problem.engine is None or not problem.engine.theta0:
        return "retrain"
    if Access.RETAIN not in problem.available:
        return "gradient_ascent"
    few = problem.engine.n_parameters <= FEW_PARAMETERS
    convex = few and LinearHead.of(problem.engine, problem.x, problem.y) is not None
    return "newton" if convex else "finetune"
