"""Data valuation by unlearning: the Shapley values of the data of a trained model, without retraining it."""

from unshap_plugin.errors import UnshapError
from unshap_plugin.fidelity import audit
from unshap_plugin.fidelity_report import FidelityReport
from unshap_plugin.game import UnlearningGame
from unshap_plugin.hookspecs import UnlearnerSpec, hookimpl
from unshap_plugin.metrics import Metric
from unshap_plugin.problem import Access, ValuationProblem
from unshap_plugin.recipe import Recipe
from unshap_plugin.result import ValuationResult
from unshap_plugin.tuning import Tuning, tune
from unshap_plugin.unlearners.base import Unlearner
from unshap_plugin.valuation import shapley_values

__all__ = [
    "Access",
    "FidelityReport",
    "Metric",
    "Recipe",
    "Tuning",
    "Unlearner",
    "UnlearnerSpec",
    "UnlearningGame",
    "UnshapError",
    "ValuationProblem",
    "ValuationResult",
    "audit",
    "hookimpl",
    "shapley_values",
    "tune",
]
