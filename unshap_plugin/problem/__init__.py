"""The problem that is asked about: data, players, a model, and what may be looked at.

``ValuationProblem`` returns a problem of one of the two kinds, which are therefore imported here.
"""

from unshap_plugin.problem import module_problem, object_problem

__all__ = ["module_problem", "object_problem"]
