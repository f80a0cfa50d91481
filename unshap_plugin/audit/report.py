"""The report of an audit: figures by coalition size, their effect on the values, and a verdict."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

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
from unshap_plugin.audit.verdict import sentence
from unshap_plugin.errors import InvalidValueError, UnknownNameError
from unshap_plugin.serialization import from_text, to_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FidelityReport"]

_FORMAT = "unshap-audit/1"
ALL_SIZES = "all sizes"


@dataclass(frozen=True, eq=False)
class FidelityReport:
    """Report of how far an unlearner is from retraining on one problem.

    The report holds the utilities; its figures are computed from them. All errors are in the units of the metric.

    The full coalition is the given model for every unlearner, retraining included: in the row ``all`` error and noise
    are 0 by definition, and say nothing. Figures over all sizes are means over the audited coalitions, of which every
    range of sizes has the same number where it has so many: no mean over all ``2**n`` coalitions, unless all were
    audited. Errors against *the mean* of the retrainings (bias, bounds, ``size_share``) have its noise in them.

    Methods take the name of a ``metric``, one of ``metrics``; it may be left out if there is one. They raise
    ``UnknownNameError`` if there is none of that name, and ``InvalidValueError`` if it is left out among several.

    Parameters
    ----------
    players
        The players, in the order of the columns of the coalitions.
    coalitions
        The audited coalitions, bool ``[m, n_players]``, sorted by size.
    unlearned
        Their utilities after unlearning, ``[m]``, or ``[m, t]`` for a metric that measures ``t`` things.
    retrained
        Utilities after retraining, ``[s, m]`` or ``[s, m, t]``, one row per seed.
    utility_all
        The utility of the given model, a scalar or ``[t]``.
    metric, columns
        The name of the metric, and of its ``t`` parts where they have names.
    unlearner, settings, seed, access, others
        What was audited, and other unlearners that would work; the seed is that of the unlearner and of the coalitions.
    retrain_seeds
        The seeds of the retrainings.
    evaluations
        How many of the coalitions were unlearned for the audit: the utilities of the others were known.
    seconds_unlearned, seconds_retrained
        Wall time of unlearning these, and of retraining all coalitions with all seeds, whenever that was.
    seconds
        Wall time in all.
    versions
        Versions of the packages involved.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.preprocessing import scale
    >>> from unshap_plugin import UnlearningGame, ValuationProblem, audit
    >>> x, y = load_breast_cancer(return_X_y=True)
    >>> train, test = (scale(x)[:60], y[:60]), (scale(x)[60:], y[60:])
    >>> model = LogisticRegression().fit(*train)
    >>> problem = ValuationProblem(model, train, test, groups=["acme", "bolt", "cairn"] * 20)
    >>> report = audit(UnlearningGame(problem))
    >>> report.to_frame()[["kept", "coalitions", "error", "nothing_error"]].round(3)
            kept  coalitions  error  nothing_error
    0       none           1    0.0          0.396
    1          1           3    0.0          0.065
    2          2           3    0.0          0.058
    3        all           1    0.0          0.000
    4  all sizes           8    0.0          0.096
    """

    players: tuple[Any, ...]
    coalitions: NDArray[np.bool_]
    unlearned: NDArray[np.float64]
    retrained: NDArray[np.float64]
    utility_all: NDArray[np.float64]
    metric: str
    columns: tuple[str, ...]
    unlearner: str
    settings: Mapping[str, Any]
    seed: int
    access: str
    others: tuple[str, ...]
    retrain_seeds: tuple[int, ...]
    evaluations: int
    seconds_unlearned: float
    seconds_retrained: float
    seconds: float
    versions: Mapping[str, str]

    def __repr__(self) -> str:
        """Return the verdict, for how many players and coalitions."""
        return f"FidelityReport({len(self.players)} players, {len(self.coalitions)} coalitions; {self.verdict})"

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

    @property
    def retrainings(self) -> int:
        """Number of retrained utilities, those of the coalition that keeps everybody included."""
        return len(self.retrain_seeds) * len(self.coalitions)

    @property
    def cost_ratio(self) -> float:
        """Number of coalitions that could be unlearned in the time of retraining one; NaN where none was unlearned."""
        unlearning = self.seconds_unlearned / self.evaluations if self.evaluations else math.nan
        return self.seconds_retrained / len(self.retrain_seeds) / (len(self.coalitions) - 1) / unlearning

    def agreement(self, metric: str | None = None) -> Agreement:
        """Return the figures over all audited coalitions."""
        return self._agreement(self._column(metric), np.ones(len(self.coalitions), dtype=bool), 2 ** len(self.players))

    def bounds(self, metric: str | None = None) -> Bounds:
        """Return what the errors can do to the values: bounds if ``complete``, else estimates (see ``Bounds``)."""
        return self._bounds[self._column(metric)]

    def values(self, metric: str | None = None) -> pd.DataFrame | None:
        """Return exact Shapley values from the utilities, or ``None`` if not all coalitions were audited.

        The table has the columns ``player``, ``unlearned``, ``retrained`` (the mean over the seeds) and ``spread`` (the
        standard deviation between them).
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
        """Return how well these values agree, or ``None`` if not all coalitions were audited."""
        column = self._column(metric)
        if self._values is None:
            return None
        unlearned, retrained = self._values[0][:, column], self._values[1][:, :, column]
        return value_agreement(unlearned, retrained)

    @property
    def verdict(self) -> str:
        """One line in words; ``unshap_plugin.audit.verdict.judge`` says from which figures it follows, and how.

        As good as retraining; good for the ranking but not for the amounts; rough; no better than doing nothing; or
        undecided, where two retrainings differ by as much as removing data changes.
        """
        figures = {name: (self.agreement(name), self.bounds(name)) for name in self.metrics}
        return sentence(self.unlearner, figures, self.others, bool(self.settings))

    def to_frame(self) -> pd.DataFrame:
        """Return a table with a row per range of sizes, and a last row ``all sizes``.

        The columns are ``kept`` (how many players), ``coalitions``, ``error``, ``error_se``, ``noise_error``,
        ``nothing_error``, ``bias``, ``spearman`` and ``noise_spearman`` (see ``Agreement``; NaN where not defined). A
        metric that measures several things gives such rows for each, and a column ``metric``.
        """
        rows = []
        for name in self.metrics:
            named = {} if self.unlearned.ndim == 1 else {"metric": name}
            for kept, one in [*((kept, one) for kept, _, one in self.sizes(name)), (ALL_SIZES, self.agreement(name))]:
                figures = dataclasses.asdict(one)
                rows.append({"kept": kept, **named, "coalitions": figures.pop("count"), **figures})
        return pd.DataFrame(rows)

    def to_json(self) -> str:
        """Return everything as JSON, from which ``from_json`` makes an equal report.

        For other readers the figures are there too, under ``figures``; what is not defined is null.
        """
        figures = {}
        for name in self.metrics:
            values, table = self.value_agreement(name), self.values(name)
            figures[name] = {
                "sizes": {kept: dataclasses.asdict(one) for kept, _, one in self.sizes(name)},
                "all": dataclasses.asdict(self.agreement(name)),
                "bounds": dataclasses.asdict(self.bounds(name)),
                "values": None if table is None else table.to_dict("records"),
                "value_agreement": None if values is None else dataclasses.asdict(values),
            }
        overall = {"complete": self.complete, "retrainings": self.retrainings, "cost_ratio": self.cost_ratio}
        kept = ["".join("01"[keep] for keep in row) for row in self.coalitions.astype(int).tolist()]
        return to_text(self, _FORMAT, coalitions=kept, verdict=self.verdict, **overall, figures=figures)

    @classmethod
    def from_json(cls, text: str) -> FidelityReport:
        """Return the report that ``to_json`` wrote.

        Parameters
        ----------
        text
            What it wrote.

        Raises
        ------
        InvalidValueError
            If the text is no such report.
        """
        data = from_text(text, _FORMAT, cls, "verdict", "complete", "retrainings", "cost_ratio", "figures")
        data["coalitions"] = np.array([[keep == "1" for keep in row] for row in data["coalitions"]], dtype=bool)
        for name in ("unlearned", "retrained", "utility_all"):
            data[name] = np.array(data[name], dtype=np.float64)
        for name in ("players", "columns", "others", "retrain_seeds"):
            data[name] = tuple(data[name])
        return cls(**data)

    def plot(self, ax: Axes | None = None, metric: str | None = None) -> Axes:
        """Draw the error by size on a logarithmic axis, with that of doing nothing and the noise of retraining.

        Parameters
        ----------
        ax
            Where to draw; a new figure by default.
        """
        from unshap_plugin.plots import draw_audit

        return draw_audit(self, ax, self.metrics[self._column(metric)])

    def sizes(self, metric: str | None = None) -> Iterator[tuple[str, NDArray[np.bool_], Agreement]]:
        """Yield for each range of sizes its name, its coalitions as a mask ``[m]``, and their figures."""
        sizes, n = self.coalitions.sum(axis=1), len(self.players)
        for one in size_ranges(n):
            mask = (sizes >= one.first) & (sizes <= one.last)
            yield one.name, mask, self._agreement(self._column(metric), mask, one.count(n))

    def utilities(self, metric: str | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """Return the utilities of one metric: unlearned ``[m]``, retrained ``[s, m]``, and that of the given model."""
        column = self._column(metric)
        m = len(self.coalitions)
        unlearned, retrained = self.unlearned.reshape(m, -1), self.retrained.reshape(len(self.retrain_seeds), m, -1)
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
