"""What a plugin may offer."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from unshap_plugin.estimators.base import Estimator
from unshap_plugin.metrics import Metric
from unshap_plugin.plugins.spec import UnlearnerSpec

__all__ = ["PROJECT", "hookimpl", "hookspec", "unshap_estimators", "unshap_metrics", "unshap_unlearners"]

#: The name of the hooks' project, and of the group of entry points under which plugins are found.
PROJECT = "unshap_plugin"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def unshap_unlearners() -> Iterable[UnlearnerSpec]:  # type: ignore[empty-body]
    """Yield the unlearning methods that this plugin offers.

    Examples
    --------
    >>> import copy, torch
    >>> from unshap_plugin.plugin import UnlearnerSpec, hookimpl
    >>> def shrink(model, forget, *, factor=0.9):
    ...     "Shrinks all parameters, whatever is forgotten."
    ...     model = copy.deepcopy(model)
    ...     with torch.no_grad():
    ...         for parameter in model.parameters():
    ...             parameter *= factor
    ...     return model
    >>> @hookimpl
    ... def unshap_unlearners():
    ...     yield UnlearnerSpec.from_function(shrink, source="an example")
    >>> [spec] = unshap_unlearners()
    >>> spec.name, spec.settings, spec.access.names()
    ('shrink', {'factor': 0.9}, 'FORGET')
    """


@hookspec
def unshap_estimators() -> Iterable[type[Estimator]]:  # type: ignore[empty-body]
    """Yield the classes of the estimators that this plugin offers, with ``name``, ``summary`` and ``source``.

    Examples
    --------
    >>> import numpy as np
    >>> from unshap_plugin import shapley_values
    >>> from unshap_plugin.plugin import Estimate, Estimator, hookimpl
    >>> class Alone(Estimator):
    ...     "What every player is worth without the others."
    ...     name, summary, source = "alone", "The utility of each player alone.", "an example"
    ...     total = property(lambda self: self.n_players + 1)
    ...     utilities = None
    ...     def ask(self):
    ...         one_or_none = np.eye(self.n_players + 1, self.n_players, dtype=bool)
    ...         return one_or_none if self.utilities is None else one_or_none[:0]
    ...     def tell(self, coalitions, utilities):
    ...         self.utilities = utilities
    ...     def estimate(self):
    ...         values = self.utilities[:-1] - self.utilities[-1]
    ...         return Estimate(values, 0 * values, np.inf + 0 * values)
    >>> @hookimpl
    ... def unshap_estimators():
    ...     yield Alone
    >>> [estimator] = unshap_estimators()
    >>> estimator(2, None, 0).run(lambda coalitions: coalitions @ [3.0, 5.0]).values
    array([3., 5.])
    """


@hookspec
def unshap_metrics() -> Iterable[Metric]:  # type: ignore[empty-body]
    """Yield the metrics that this plugin offers.

    Examples
    --------
    >>> from unshap_plugin.plugin import Metric, hookimpl
    >>> def neg_mean_absolute_error(outputs, targets):  # of m models at once, [m, rows, ...]
    ...     return -(outputs - targets.reshape(outputs.shape[1:])).abs().flatten(1).mean(dim=1)
    >>> @hookimpl
    ... def unshap_metrics():
    ...     yield Metric("neg_mean_absolute_error", neg_mean_absolute_error, task="regression")
    >>> [metric] = unshap_metrics()
    >>> metric.name
    'neg_mean_absolute_error'
    """
