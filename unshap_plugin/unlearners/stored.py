"""Computation of the artefacts: what methods need of the full data, while it is at hand."""

from __future__ import annotations

import torch
from torch import Tensor

from unshap_plugin.errors import InvalidTypeError, InvalidValueError
from unshap_plugin.model.penalties import penalties
from unshap_plugin.model.rows import row_hashes
from unshap_plugin.problem.artifacts import Artifacts, fingerprint
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.problem.problem import ValuationProblem
from unshap_plugin.second_order.curvature import second_order
from unshap_plugin.second_order.linear_head import LinearHead
from unshap_plugin.second_order.normal_equations import NormalEquations
from unshap_plugin.second_order.objective import MAX_PARAMETERS, Objective
from unshap_plugin.second_order.proximal import floored, floored_alone, lowest, raised
from unshap_plugin.second_order.quadratic import Quadratic
from unshap_plugin.support.versions import versions

__all__ = ["compute_artifacts", "quadratic_of"]


def compute_artifacts(problem: ValuationProblem) -> Artifacts:
    """Compute what methods need of the full data, to be saved for when not all of it is at hand.

    For networks with thousands of parameters the matrix takes minutes.

    Parameters
    ----------
    problem
        The problem with all rows that the model was trained on.

    Raises
    ------
    InvalidTypeError
        If it is no problem.
    InvalidValueError
        If access is partial, where not all data is at hand, or the model has no parameters that gradients could change.

    Examples
    --------
    >>> from unshap_plugin import ValuationProblem
    >>> x, y = torch.randn(6, 2), torch.tensor([0, 1, 0, 1, 0, 1])
    >>> problem = ValuationProblem(torch.nn.Linear(2, 2), train=(x, y), test=(x, y))
    >>> artifacts = compute_artifacts(problem)
    >>> len(artifacts), artifacts.hessian.shape
    (6, torch.Size([6, 6]))
    """
    if not isinstance(problem, ValuationProblem):
        raise InvalidTypeError(f"problem is a {type(problem).__name__}, but a ValuationProblem is needed.")
    if problem.access != "full":
        raise InvalidValueError(
            f"artefacts are computed from all rows that the model was trained on, but access is {problem.access!r}: "
            f"compute them for the problem with all of them and access='full'."
        )
    if not isinstance(problem, ModuleProblem) or not problem.engine.theta0:
        raise InvalidValueError(
            f"artefacts are of torch modules with trainable parameters, but {type(problem.model).__name__} is not one "
            f"of these."
        )
    engine, x, y, recipe = problem.engine, problem.x, problem.y, problem.recipe
    l2, init = penalties(engine, recipe)
    gradient, fisher = torch.zeros_like(l2), torch.zeros_like(l2)
    for block in engine.row_gradients(x, y):
        gradient += block.sum(dim=0)
        fisher += block.square().sum(dim=0)
    matrices: dict[str, Tensor] = {}
    if engine.n_parameters <= MAX_PARAMETERS:
        losses = second_order(engine, x, y)
        objective = Objective(engine, x, y, losses, recipe)
        matrices["hessian"] = objective.centre(None).matrix
        matrices["proximal"] = objective.proximal
        hessian = matrices["hessian"] if isinstance(losses, LinearHead) else objective.hessian()
        matrices["lowest"] = lowest(hessian + torch.diag(l2))
        equations = NormalEquations.of(engine, x, y, l2, init)
        if equations is not None:
            sums = equations.sums(torch.ones(1, len(y), device=y.device))
            matrices["gram"], matrices["moments"] = (part[0] for part in sums)
    whole, rows = problem.trained.whole or (engine, x)  # a model that is the end of another is known by the whole
    with torch.no_grad():
        row_losses = engine.loss(engine.call(engine.theta0, x), y)
    hashes = row_hashes(rows, y)
    return Artifacts(fingerprint(whole), versions(), hashes, row_losses, gradient, fisher, l2, init, **matrices)


def quadratic_of(stored: Artifacts, given: Tensor, proximal: float | None, *, linear: bool) -> Quadratic:
    """Return the expansion that ``Objective.centre`` computes from all rows, for parameters ``given [p]``.

    ``linear`` says whether they are those of a linear head.
    """
    assert stored.hessian is not None
    assert stored.proximal is not None
    assert stored.lowest is not None
    l2, init, matrix = stored.l2.to(given), stored.init.to(given), stored.hessian.to(given)
    if proximal is None:
        strengths = stored.proximal.to(given)
    else:
        strengths = torch.full_like(given, proximal)
        if linear:
            strengths = floored_alone(strengths, matrix, l2, len(stored))
        else:
            strengths = floored(strengths, matrix.diagonal().mean(), len(stored))
        strengths = raised(strengths, stored.lowest.to(given) + strengths[0])
    correction = stored.gradient.to(given) + l2 * given + strengths * (given - init)
    return Quadratic(len(stored), matrix, l2 + strengths, correction, init)
