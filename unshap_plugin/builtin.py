"""The built-in unlearning methods, offered through the same hook as anybody else's."""

from __future__ import annotations

from collections.abc import Iterable

from unshap_plugin.hookspecs import UnlearnerSpec, hookimpl
from unshap_plugin.problem import Access, ValuationProblem
from unshap_plugin.unlearners import FineTune, GradientAscent, Newton, Retrain

__all__ = ["choose", "unshap_unlearners"]

#: Up to here Newton's batched Cholesky is faster than the steps of fine-tuning that would be as faithful.
FEW_PARAMETERS = 700


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
    """Return the name of the built-in method for this problem, by its parameters and access."""
    if problem.engine is None or not problem.engine.theta0:
        return "retrain"
    if Access.RETAIN not in problem.available:
        return "gradient_ascent"
    return "newton" if problem.engine.n_parameters <= FEW_PARAMETERS else "finetune"
