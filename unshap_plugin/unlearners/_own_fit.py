"""Retraining by somebody else: a function from rows to a model, which may fail."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from unshap_plugin.errors import ContractError
from unshap_plugin.model.fit_predict import Relabelled, constant
from unshap_plugin.model.generators import coalition_seed, seeded
from unshap_plugin.problem.access import Access, ModelKind
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.problem.problem import ValuationProblem
from unshap_plugin.unlearners._refits import parameters_of
from unshap_plugin.unlearners.base import Unlearner
from unshap_plugin.unlearners.function import checked_model
from unshap_plugin.unlearners.models import ModelList, Models, StackedModels

__all__ = ["Fit", "OwnFit"]

_log = logging.getLogger(__name__)

#: From the numbers of the rows that are retained, int64 ``[rows]``, to a model of the kind that was given.
Fit = Callable[[NDArray[np.int64]], Any]


@dataclass(frozen=True)
class OwnFit(Unlearner):
    """Train by a function, again where it fails.

    An exception is logged with its traceback, and the last one is raised. An object with ``fit`` and ``predict`` is
    asked for no model of no row, or of one class, which most cannot fit: these are what ``retrain`` takes them for.

    Parameters
    ----------
    fit
        The function. What it draws from the global generators is seeded by the coalition.
    retries
        How many times more it is asked where it fails.

    Examples
    --------
    >>> from sklearn.neighbors import KNeighborsRegressor
    >>> x, y = np.arange(8.0)[:, None], np.arange(8.0)
    >>> problem = ValuationProblem(KNeighborsRegressor(1).fit(x, y), (x, y), (x, y), groups=list("ab") * 4)
    >>> models = OwnFit(lambda rows: KNeighborsRegressor(1).fit(x[rows], y[rows])).unlearn(
    ...     problem, np.array([[True, False]]), seed=0
    ... )
    >>> models.models[0].predict([[5.2]])
    array([6.])
    """

    name: ClassVar[str] = "fit"
    summary: ClassVar[str] = "Trains by a function from rows to a model."
    source: ClassVar[str] = "the definition"
    needs: ClassVar[Access] = Access.RETAIN
    takes: ClassVar[ModelKind] = ModelKind.PARAMETERS | ModelKind.FIT_PREDICT
    exact: ClassVar[bool] = True
    batched: ClassVar[bool] = False
    advice: ClassVar[str] = "a fit that succeeds (what it raised was logged), or more retries"
    fit: Fit
    retries: int = 2

    @property
    def settings(self) -> dict[str, Any]:
        """What it is called, and how many times it is asked again."""
        return {"fit": getattr(self.fit, "__qualname__", type(self.fit).__name__), "retries": self.retries}

    def _unlearn(self, problem: ValuationProblem, coalitions: NDArray[np.bool_], seed: int) -> Models:
        # A module says itself what it is without a row, and with rows of one class.
        module = isinstance(problem, ModuleProblem) and problem.linear is None
        given = problem.model if module else problem.given_model
        models: list[Any] = []
        for keeps, coalition in zip(problem.retained(coalitions).cpu().numpy(), coalitions, strict=True):
            y = problem.y.cpu().numpy()[keeps]
            model = None if module else constant(given, y, problem.classes, problem.output_shape)
            if model is None and coalition.all():
                model = given
            elif model is None:
                model = self._checked(problem, self._fitted(np.flatnonzero(keeps), coalition_seed(seed, coalition)), y)
            models.append(model)
        if not isinstance(problem, ModuleProblem):
            return ModelList(problem, models)
        if problem.linear is not None:
            return StackedModels(problem.engine, parameters_of(problem, problem.linear, models))
        return StackedModels.of(problem.engine, models)

    def _fitted(self, rows: NDArray[np.int64], seed: int) -> Any:
        """Return what the function gives, or raise what it raised at the last try."""
        for left in range(self.retries, -1, -1):
            try:
                with seeded(seed), torch.enable_grad():
                    return self.fit(rows.copy())
            except Exception:
                _log.warning("fit failed for %d rows, tries left: %d", len(rows), left, exc_info=True)
                if not left:
                    raise
        raise AssertionError("a function is tried at least once")

    def _checked(self, problem: ValuationProblem, model: Any, y: NDArray[Any]) -> Any:
        """Return a model of the kind of the given one, which says what the classes of its answers are."""
        if isinstance(problem, ModuleProblem) and problem.linear is not None:
            if type(model) is not type(problem.given_model):
                raise ContractError(
                    f"returned a {type(model).__name__} instead of the retrained model: return a fitted "
                    f"{problem.model_name}, as the given one is"
                )
            if not hasattr(model, "coef_"):
                raise ContractError(f"returned a {problem.model_name} that is not fitted: return a fitted one")
            known = [*getattr(problem.given_model, "classes_", [])]
            # Of two classes there is one row of weights, which does not say which of them it is for.
            other = [one for one in getattr(model, "classes_", []) if one not in known]
            if other:
                raise ContractError(
                    f"returned a {problem.model_name} whose classes_ has class {str(other[0])!r}, which the given one "
                    f"lacks (it has {', '.join(map(str, known[:10]))}): fit it on the labels of the given one"
                )
            return model
        checked_model(problem, model)
        if problem.classes is None or isinstance(problem, ModuleProblem) or hasattr(model, "classes_"):
            return model
        return Relabelled(model, problem.classes.decode(np.unique(y)), encoded=False)
