"""All that the author of a plugin needs; see ``docs/plugins.md``."""

from unshap_plugin.errors import AccessError, BudgetError
from unshap_plugin.estimators.base import Estimate, Estimator
from unshap_plugin.metrics import Metric
from unshap_plugin.model.generators import coalition_seed
from unshap_plugin.numerics.filling import batch_invariant_matmul
from unshap_plugin.plugins.hookspecs import hookimpl
from unshap_plugin.plugins.spec import UnlearnerSpec
from unshap_plugin.problem.access import Access, ModelKind
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.problem.problem import ValuationProblem
from unshap_plugin.unlearners.base import Unlearner
from unshap_plugin.unlearners.models import ModelList, StackedModels

__all__ = [
    "Access",
    "AccessError",
    "BudgetError",
    "Estimate",
    "Estimator",
    "Metric",
    "ModelKind",
    "ModelList",
    "ModuleProblem",
    "StackedModels",
    "Unlearner",
    "UnlearnerSpec",
    "ValuationProblem",
    "batch_invariant_matmul",
    "coalition_seed",
    "hookimpl",
]
