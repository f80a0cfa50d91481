"""Objects with ``fit`` that are fitted again on the rows that coalitions retain."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unshap_plugin.model.engine import Theta
from unshap_plugin.model.fit_predict import refit
from unshap_plugin.model.generators import coalition_seed
from unshap_plugin.model.rows import take
from unshap_plugin.model.sklearn_linear import LinearModel
from unshap_plugin.model.trained import as_input
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.problem.problem import ValuationProblem
from unshap_plugin.support.announcing import announce

__all__ = ["lacks_a_class", "parameters_of", "refits"]


def refits(problem: ValuationProblem, retained: Tensor, coalitions: NDArray[np.bool_], seed: int) -> list[Any]:
    """Return what the object that was given is, fitted on the retained rows, bool ``[m, rows]``, of each coalition."""
    model, classes, shape = problem.given_model, problem.classes, problem.output_shape
    fits = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for keeps, coalition in zip(retained, coalitions, strict=True):
            index = keeps.nonzero()[:, 0]
            x, y = as_input(take(problem.x, index)), problem.y[index].cpu().numpy()
            fits.append(refit(model, x, y, classes, shape, coalition_seed(seed, coalition)))
    told = problem.once(_warned)
    for kind in {one.category.__name__: one for one in caught if one.category.__name__ not in told}.values():
        # As it was, so that what filters ignore stays ignored.
        where = f"(in the fit of {type(model).__name__} for some coalitions; said once)"
        announce(told, kind.category.__name__, f"{kind.message} {where}", kind.category)
    return fits


def _warned(problem: ValuationProblem) -> set[str]:  # noqa: ARG001
    """Return a memory for the kinds of warnings that were passed on."""
    return set()


def parameters_of(problem: ModuleProblem, linear: LinearModel, fits: list[Any]) -> Theta:
    """Return fits of a linear model of scikit-learn as parameters of its module, ``[m, *shape]`` each."""
    each = [linear.parameters_of(fitted) for fitted in fits]
    given = problem.engine.state
    return {name: torch.stack([one[name] for one in each]).to(given[name]) for name in each[0]}


def lacks_a_class(problem: ValuationProblem, retained: Tensor) -> Tensor:
    """Return which coalitions retain rows, but none of some class, bool ``[m]``."""
    if problem.classes is None:
        return torch.zeros(len(retained), dtype=torch.bool, device=retained.device)
    own = torch.nn.functional.one_hot(problem.y, len(problem.classes)).to(torch.float64)
    counts = retained.to(torch.float64) @ own
    trained = own.any(dim=0)  # a model may have been fitted on more
    return retained.any(dim=1) & (counts[:, trained] == 0).any(dim=1)
