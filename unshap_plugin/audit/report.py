"""The report of an audit: figures by coalition size, their effect on the values, and a verdict."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from unshap_plugin.audit.figures import Figures
from unshap_plugin.audit.verdict import sentence
from unshap_plugin.support.serialization import from_text, to_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FidelityReport"]

_FORMAT = "unshap-audit/1"
ALL_SIZES = "all sizes"


@dataclass(frozen=True, eq=False)
class FidelityReport(Figures):
    """Report of how far an unlearner is from retraining on one problem.

    The report holds the utilities; its figures are computed from them (see ``Figures``).

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
    >>> report.verdict
    'newton is next to equal to retraining (off by 0.000..., ...): its values can be trusted like retrained ones'
    >>> report.retrainings, report.cost_ratio > 0, FidelityReport.from_json(report.to_json()).verdict == report.verdict
    (16, True, True)
    >>> report.plot().get_ylabel()
    '...log_likelihood...'
    """

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
    def retrainings(self) -> int:
        """Number of retrained utilities, those of the coalition that keeps everybody included."""
        return len(self.retrain_seeds) * len(self.coalitions)

    @property
    def cost_ratio(self) -> float:
        """Number of coalitions that could be unlearned in the time of retraining one; NaN where none was."""
        unlearning = self.seconds_unlearned / self.evaluations if self.evaluations else math.nan
        return (self.seconds_retrained or math.nan) / len(self.retrain_seeds) / (len(self.coalitions) - 1) / unlearning

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
        metric
            One of ``metrics``.

        Raises
        ------
        UnknownNameError, InvalidValueError
            If there is no such metric, or none is named among several.
        """
        from unshap_plugin.plots.results import draw_audit

        return draw_audit(self, ax, self.metrics[self._column(metric)])
