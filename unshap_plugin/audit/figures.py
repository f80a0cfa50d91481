"""The figures of an audit: how far unlearned utilities are from retrained ones, and what that does to the values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unshap_plugin.audit.agreement import (
    Agreement,
    Bounds,
    ValueAgreement,
    agreement,
    bounds,
    exact_values,
    value_agreement,
)
from unshap_plugin.audit.sizes import size_ranges
from unshap_plugin.errors import InvalidValueError, UnknownNameError

__all__ = ["Figures"]


@dataclass(frozen=True, eq=False)
class Figures:
    """Utilities of coalitions after unlearning and after retraining, and the figures that follow from them.

    All errors are in the units of the metric.

    The full coalition is the given model for every unlearner, retraining included: there error and noise are 0 by
    definition, and say nothing. Figures over all sizes are means over the audited coalitions, of which every
    range of sizes has the same number where it has so many: no mean over all ``2**n`` coalitions, unless all were
    audited. Errors against *the mean* of the retrainings (bias, bounds, ``size_share``) have its noise in them.

    Methods take the name of a ``metric``, one of ``metrics``; it may be left out if there is one.

    Parameters
    ----------
    players, coalitions, unlearned, retrained, utility_all, metric, columns
        See ``FidelityReport``.

    Examples
    --------
    >>> every = np.array([[False, False], [True, False], [False, True], [True, True]])
    >>> retrained = np.array([[0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0]])  # [s, m]
    >>> figures = Figures(("a", "b"), every, np.array([0.5, 1.0, 2.0, 3.0]), retrained, np.float64(3), "accuracy", ())
    >>> figures.metrics, figures.complete, figures.agreement().error, figures.bounds().values
    (('accuracy',), True, 0.125, 1.0)
    >>> figures.values()
      player  unlearned  retrained  spread
    0      a       0.75        1.0     0.0
    1      b       1.75        2.0     0.0
    >>> figures.value_agreement().error
    0.25
    >>> [(name, mask.tolist(), one.error) for name, mask, one in figures.sizes()][1]
    ('1', [False, True, True, False], 0.0)
    >>> figures.utilities("accuracy")[2]
    3.0
    """

    players: tuple[Any, ...]
    coalitions: NDArray[np.bool_]
    unlearned: NDArray[np.float64]
    retrained: NDArray[np.float64]
    utility_all: NDArray[np.float64]
    metric: str
    columns: tuple[str, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of what the metric measures: its own, or those of its parts."""
        if self.unlearned.ndim == 1:
            return (self.metric,)
        return self.columns or tuple(f"{self.metric}[{k}]" for k in range(self.unlearned.shape[1]))

    @property
    def complete(self) -> bool:
        """Tell whether all ``2**n`` coalitions were audited: then bounds are bounds, and there are values."""
        return len(self.coalitions) == 2 ** len(self.players)

    def agreement(self, metric: str | None = None) -> Agreement:
        """Return the figures over all audited coalitions of a ``metric``.

        Raises
        ------
        UnknownNameError, InvalidValueError
            If there is no such metric, or none is named among several.
        """
        return self._agreement(self._column(metric), np.ones(len(self.coalitions), dtype=bool), 2 ** len(self.players))

    def bounds(self, metric: str | None = None) -> Bounds:
        """Return what the errors of a ``metric`` can do to the values: bounds if ``complete``, else estimates.

        Raises
        ------
        UnknownNameError, InvalidValueError
            If there is no such metric, or none is named among several.
        """
        return self._bounds[self._column(metric)]

    def values(self, metric: str | None = None) -> pd.DataFrame | None:
        """Return exact Shapley values from the utilities, or ``None`` if not all coalitions were audited.

        The table has the columns ``player``, ``unlearned``, ``retrained`` (the mean over the seeds) and ``spread`` (the
        standard deviation between them), all of them of a ``metric``.

        Raises
        ------
        UnknownNameError, InvalidValueError
            If there is no such metric, or none is named among several.
        """
        column = self._column(metric)
        if self._values is None:
            return None
        unlearned, retrained = self._values
        return pd.DataFrame(
            {
                "player": self.players,
                "unlearned": unlearned[:, column],
                "retrained": retrained[:, :, column].mean(axis=0),
                "spread": retrained[:, :, column].std(axis=0, ddof=1),
            }
        )

    def value_agreement(self, metric: str | None = None) -> ValueAgreement | None:
        """Return how well these values of a ``metric`` agree, or ``None`` if not all coalitions were audited.

        Raises
        ------
        UnknownNameError, InvalidValueError
            If there is no such metric, or none is named among several.
        """
        column = self._column(metric)
        if self._values is None:
            return None
        unlearned, retrained = self._values[0][:, column], self._values[1][:, :, column]
        return value_agreement(unlearned, retrained)

    def sizes(self, metric: str | None = None) -> Iterator[tuple[str, NDArray[np.bool_], Agreement]]:
        """Yield for each range of sizes its name, its coalitions as a mask ``[m]``, and their figures of a ``metric``.

        Raises
        ------
        UnknownNameError, InvalidValueError
            If there is no such metric, or none is named among several.
        """
        sizes, n = self.coalitions.sum(axis=1), len(self.players)
        for one in size_ranges(n):
            mask = (sizes >= one.first) & (sizes <= one.last)
            yield one.name, mask, self._agreement(self._column(metric), mask, one.count(n))

    def utilities(self, metric: str | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """Return the utilities of a ``metric``: unlearned ``[m]``, retrained ``[s, m]``, and that of the given model.

        Raises
        ------
        UnknownNameError, InvalidValueError
            If there is no such metric, or none is named among several.
        """
        column = self._column(metric)
        m = len(self.coalitions)
        unlearned, retrained = self.unlearned.reshape(m, -1), self.retrained.reshape(len(self.retrained), m, -1)
        return unlearned[:, column], retrained[:, :, column], float(self.utility_all.reshape(-1)[column])

    def _column(self, metric: str | None) -> int:
        names = self.metrics
        if metric is None and len(names) > 1:
            raise InvalidValueError(
                f"the report is about {len(names)} metrics, but none was named: give one of {', '.join(names[:5])}"
                f"{', ...' if len(names) > 5 else ''}."
            )
        if metric is not None and metric not in names:
            raise UnknownNameError("metric", metric, names)
        return 0 if metric is None else names.index(metric)

    def _agreement(self, column: int, mask: NDArray[np.bool_], population: int) -> Agreement:
        unlearned, retrained, given = self.utilities(self.metrics[column])
        return agreement(unlearned[mask], retrained[:, mask], given, population)

    @cached_property
    def _bounds(self) -> list[Bounds]:
        return [bounds(self.coalitions, *self.utilities(name)[:2]) for name in self.metrics]

    @cached_property
    def _values(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Return the values of the unlearned game, ``[n_players, t]``, and of the retrained, ``[s, n_players, t]``."""
        if not self.complete:
            return None
        m = len(self.coalitions)
        every = [self.unlearned, *self.retrained]
        unlearned, *each = (exact_values(self.coalitions, one.reshape(m, -1)) for one in every)
        return unlearned, np.stack(each)
