"""Conformance checks of data valuation against the Shapley axioms.

Nothing is imported before it is used: the pytest plugin of this package is loaded in every pytest run of its users, and
the names with ``evaluator`` need OpenDataVal.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unshap_conformance.estimators import EstimatorSubject, check_estimator, estimator_subject
    from unshap_conformance.evaluators import EvaluatorSubject, check_evaluator, evaluator_subject
    from unshap_conformance.games import GAMES, Game
    from unshap_conformance.parametrize import parametrize_with_checks
    from unshap_conformance.results import CheckResult, ConformanceError
    from unshap_conformance.runner import check, tasks_of
    from unshap_conformance.tables import table
    from unshap_conformance.unlearners import UnlearnerSubject, check_unlearner, unlearner_subject

__all__ = [
    "GAMES",
    "CheckResult",
    "ConformanceError",
    "EstimatorSubject",
    "EvaluatorSubject",
    "Game",
    "UnlearnerSubject",
    "check",
    "check_estimator",
    "check_evaluator",
    "check_unlearner",
    "estimator_subject",
    "evaluator_subject",
    "parametrize_with_checks",
    "table",
    "tasks_of",
    "unlearner_subject",
]

_MODULES = {
    "CheckResult": "results",
    "ConformanceError": "results",
    "EstimatorSubject": "estimators",
    "EvaluatorSubject": "evaluators",
    "GAMES": "games",
    "Game": "games",
    "UnlearnerSubject": "unlearners",
    "check": "runner",
    "check_estimator": "estimators",
    "check_evaluator": "evaluators",
    "check_unlearner": "unlearners",
    "estimator_subject": "estimators",
    "evaluator_subject": "evaluators",
    "parametrize_with_checks": "parametrize",
    "table": "tables",
    "tasks_of": "runner",
    "unlearner_subject": "unlearners",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
