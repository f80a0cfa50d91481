"""How a result is looked at: as a series, a table, a picture, and a page."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from unshap_plugin.plots.results import draw_values
from unshap_plugin.reports.page import html_report, html_table
from unshap_plugin.reports.saving import save_report
from unshap_plugin.results.tables import frame_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from unshap_plugin.audit.report import FidelityReport
    from unshap_plugin.results.payments import Payouts

__all__ = ["Views"]


class Views:
    """What a ``ValuationResult`` can be shown as.

    Examples
    --------
    >>> from unshap_plugin import shapley_values
    >>> class Bridge:
    ...     n_players, players = 3, ("acme", "bolt", "cairn")
    ...     def __call__(self, coalitions):
    ...         return coalitions @ [3.0, 1.0, -2.0]
    >>> result = shapley_values(Bridge())
    >>> float(result.to_series()["bolt"]), list(result.to_frame()["player"]), "bolt" in result._repr_html_()
    (1.0, ['acme', 'bolt', 'cairn'], True)
    >>> len(result.plot(highlight=["acme"]).get_yticklabels())
    3
    >>> result.to_html("/dev/null/report.html", paid=result.payouts(100))
    Traceback (most recent call last):
    ...
    unshap_plugin.errors.InvalidValueError: the report cannot be written to '/dev/null/report.html' (...
    """

    def _repr_html_(self: Any) -> str:
        """Return the table that notebooks show."""
        return html_table(self)

    def to_series(self: Any) -> pd.Series:
        """Return the values by player, or ``[n_players, t]`` as one series by player and part of the metric."""
        frame = self.to_frame()
        index = ["player"] if self.values.ndim == 1 else ["player", "metric"]
        series: pd.Series = frame.set_index(index)["value"]
        return series

    def to_frame(self: Any) -> pd.DataFrame:
        """Return a table with a row per player: values with errors and 95% intervals, and ranks (1 = best) with theirs.

        Its columns are player, value, std_error, ci_low, ci_high, rank, rank_low and rank_high, and of corrected values
        those that each unlearner has without retrainings. A metric that measures several things gives one row per
        player and column ``metric``; other values than Shapley's have a column ``semivalue`` that says which they are.
        """
        return frame_of(self)

    def plot(self: Any, ax: Axes | None = None, *, highlight: Collection[Any] = (), label: str = "highlighted") -> Axes:
        """Draw the values: sorted bars with 95% intervals up to 100 players, a histogram for more.

        Parameters
        ----------
        ax
            Where to draw; a new figure by default.
        highlight
            Players to draw in another colour.
        label
            What the highlighted players are called in the legend.

        Raises
        ------
        InvalidValueError
            If the values are vectors: draw one metric at a time.
        InvalidTypeError
            If the highlighted players are no list.
        UnknownNameError
            If a highlighted player is none of the players.
        """
        return draw_values(self, ax, highlight, label)

    def to_html(
        self: Any,
        path: str | os.PathLike[str],
        *,
        audit: FidelityReport | None = None,
        paid: Payouts | None = None,
    ) -> None:
        """Write a report that can be sent: one file, which opens offline, prints, and says how far to trust the values.

        Parameters
        ----------
        path
            The file, such as ``"report.html"``; what is there is replaced once all is written.
        audit
            What ``audit`` found of the unlearner.
        paid
            What ``payouts`` gave of these values.

        Raises
        ------
        InvalidValueError
            If the file cannot be written, the metric measures more than twelve things, or audit or payments are of
            other players or values.
        """
        save_report(Path(path), html_report(self, audit, paid))
