"""Estimators: from a game and a budget to values with standard errors. One method a file.

To add one: its file, and a line here.
"""

from unshap_plugin.estimators.base import Estimator
from unshap_plugin.estimators.composite import Composite as Composite
from unshap_plugin.estimators.exact import Exact as Exact
from unshap_plugin.estimators.permutation import Permutation as Permutation
from unshap_plugin.estimators.stratified import Stratified as Stratified

#: The classes that are imported above, in that order.
METHODS: tuple[type[Estimator], ...] = tuple(
    one for one in vars().values() if isinstance(one, type) and issubclass(one, Estimator) and one is not Estimator
)

__all__ = ["METHODS", *(method.__name__ for method in METHODS)]
