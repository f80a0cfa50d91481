"""A problem lent to foreign code: it comes back as it was, or an error says what was done to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from unshap_plugin.errors import ContractError
from unshap_plugin.model.guard import guard
from unshap_plugin.model.rows import leaves
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.problem.problem import ValuationProblem

__all__ = ["lending"]


@contextlib.contextmanager
def lending(problem: ValuationProblem) -> Iterator[None]:
    """See to it that a block of foreign code leaves alone a ``problem`` that it was lent, whatever ends the block.

    Raises
    ------
    ContractError
        If the block changed the model, the data or the global random generators (see ``guard``), or set something of
        the problem. All but the data is put back, and what was computed once is dropped: it may come from what was
        changed.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> x, y = [[0.0], [1.0], [2.0]], [0.0, 1.0, 3.0]
    >>> problem = ValuationProblem(Ridge().fit(x, y), train=(x, y), test=(x, y))
    >>> with lending(problem):
    ...     problem.loss = None
    Traceback (most recent call last):
    unshap_plugin.errors.ContractError: set loss of the problem to something else: keep that to itself
    """
    given, whole = dict(vars(problem)), problem.scoped()
    try:
        with guard(problem.trained, lambda: _data(whole)):
            yield
            other = [name for name, value in vars(problem).items() if value is not given.get(name)]
            if other:
                raise ContractError(f"set {other[0]} of the problem to something else: keep that to itself")
    except ContractError:
        problem.forget_computed()
        raise
    finally:
        vars(problem).update(given)


def _data(problem: ValuationProblem) -> list[Tensor]:
    """Return all tensors and arrays of a problem that nobody may change."""
    reference = [] if problem.reference is None else [*leaves(problem.reference[0]), problem.reference[1]]
    stored = [] if problem.stored is None else problem.stored.tensors().values()
    recipe = problem.recipe if isinstance(problem, ModuleProblem) else None
    initial = {} if recipe is None or recipe.init is None else recipe.init
    arrays = [torch.from_numpy(one) for one in (problem.player_of_row, problem.given_utility)]
    sets = [*leaves(problem.x), problem.y, *leaves(problem.x_test), problem.y_test]
    return [one for one in (*sets, *reference, *stored, *initial.values(), *arrays) if one is not None]
