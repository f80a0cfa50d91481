"""Data valuation by unlearning: the Shapley values of the data of a trained model, without retraining it."""

from unshap_plugin.audit.audit import audit
from unshap_plugin.audit.report import FidelityReport
from unshap_plugin.audit.tuning import Tuning, tune
from unshap_plugin.corrected import corrected_values
from unshap_plugin.errors import UnshapError
from unshap_plugin.game import UnlearningGame
from unshap_plugin.metrics import Metric
from unshap_plugin.model.recipe import Recipe
from unshap_plugin.problem.problem import ValuationProblem
from unshap_plugin.results.result import ValuationResult
from unshap_plugin.semivalues import semivalues
from unshap_plugin.unlearners.stored import compute_artifacts
from unshap_plugin.valuation import shapley_values, value

__all__ = [
    "FidelityReport",
    "Metric",
    "Recipe",
    "Tuning",
    "UnlearningGame",
    "UnshapError",
    "ValuationProblem",
    "ValuationResult",
    "audit",
    "compute_artifacts",
    "corrected_values",
    "semivalues",
    "shapley_values",
    "tune",
    "value",
]
