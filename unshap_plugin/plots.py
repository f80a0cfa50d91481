"""Pictures of a result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from unshap_plugin.fidelity_report import FidelityReport
    from unshap_plugin.result import ValuationResult

__all__ = ["draw_audit", "draw_bars", "draw_histogram"]

_PLAIN, _MARKED = "#4878a8", "#d1603d"
_NAMED = 5


def draw_bars(result: ValuationResult, ax: Axes | None, highlight: frozenset[Any], label: str) -> Axes:
    """Draw one bar per player, the most valuable on top, with 95% intervals."""
    order = np.argsort(result.values, kind="stable")
    low, high = result.interval()
    ax = ax or _axes(height=max(2.5, 0.28 * len(order) + 1.3))
    marked = np.array([result.players[i] in highlight for i in order])
    values = result.values[order]
    whiskers = np.stack([values - low[order], high[order] - values])
    for which, colour, name in ((~marked, _PLAIN, "other"), (marked, _MARKED, label)):
        where = np.flatnonzero(which)
        if len(where):
            ax.barh(where, values[where], color=colour, label=name)
            if result.std_errors.any():
                ax.errorbar(values[where], where, xerr=whiskers[:, where], fmt="none", ecolor="black", capsize=2, lw=1)
    ax.set_yticks(np.arange(len(order)), [_text(result.players[i]) for i in order])
    ax.set_ylabel("player")
    return _finish(
        result, ax, bool(marked.any()), "whiskers: 95% intervals" if result.std_errors.any() else "no sampling error"
    )


def draw_histogram(result: ValuationResult, ax: Axes | None, highlight: frozenset[Any], label: str) -> Axes:
    """Draw how the values are distributed, and name the most and the least valuable players."""
    ax = ax or _axes(height=4.5)
    marked = np.array([player in highlight for player in result.players])
    edges = np.histogram_bin_edges(result.values, bins=min(60, max(20, len(result.values) // 10)))
    groups = [(result.values[~marked], _PLAIN, "other"), (result.values[marked], _MARKED, label)]
    groups = [group for group in groups if len(group[0])]
    ax.hist(
        [group[0] for group in groups],
        bins=list(edges),
        stacked=True,
        color=[group[1] for group in groups],
        label=[group[2] for group in groups],
    )
    order = np.argsort(result.values, kind="stable")
    worst = ", ".join(_text(result.players[i], 10) for i in order[:_NAMED])
    best = ", ".join(_text(result.players[i], 10) for i in order[::-1][:_NAMED])
    ax.set_ylabel("number of players")
    top = ax.get_ylim()[1]
    ax.set_ylim(0, top * 1.3)
    ax.annotate(f"least valuable:\n{worst}", (0.01, 0.98), xycoords="axes fraction", va="top", fontsize=8)
    ax.annotate(f"most valuable:\n{best}", (0.99, 0.98), xycoords="axes fraction", va="top", ha="right", fontsize=8)
    typical = float(np.median(result.std_errors))
    return _finish(result, ax, bool(marked.any()), f"median standard error {typical:.2g}")


def draw_audit(report: FidelityReport, ax: Axes | None, metric: str) -> Axes:
    """Draw one point per coalition, unlearned against retrained utility, coloured by the number of players kept."""
    ax = ax or _axes(height=5.5)
    unlearned, retrained, given = report.utilities(metric)
    agreement = report.agreement(metric)
    mean = retrained.mean(axis=0)
    ends = np.array([min(mean.min(), unlearned.min()), max(mean.max(), unlearned.max())])
    ends += np.array([-0.03, 0.03]) * max(float(np.ptp(ends)), 1e-12)
    noise = agreement.noise_error
    ax.fill_between(
        ends, ends - noise, ends + noise, color="lightgrey", lw=0, label=f"noise of retraining: {noise:.2g} on average"
    )
    ax.plot(ends, ends, color="black", lw=0.8, label="equal to retraining")
    ax.axhline(given, color=_MARKED, lw=1, ls="--", label=f"doing nothing: off by {agreement.nothing_error:.2g}")
    sizes = report.coalitions.sum(axis=1)
    points = ax.scatter(
        mean, unlearned, c=sizes, cmap="viridis", s=18, label=f"{report.unlearner}: off by {agreement.error:.2g}"
    )
    figure: Any = ax.figure
    figure.colorbar(points, ax=ax, label="players kept")
    ax.set_xlim(*ends)
    ax.set_xlabel(f"{metric} after retraining (mean of {len(retrained)} seeds)")
    ax.set_ylabel(f"{metric} after unlearning")
    within = report.bounds(metric)
    ax.set_title(
        f"{report.unlearner}, {agreement.count} coalitions of {len(report.players)} players; Spearman "
        f"{agreement.spearman:.2f} (two retrainings: {agreement.noise_spearman:.2f}), within sizes "
        f"{within.spearman_within:.2f} ({within.noise_spearman_within:.2f})",
        fontsize=9,
    )
    ax.legend(loc="upper left", fontsize=8)
    return ax


def _text(player: Any, longest: int = 24) -> str:
    """Return a name as plain text of bounded length: matplotlib reads what stands between dollars as mathematics."""
    name = str(player)
    return (name if len(name) <= longest else name[: longest - 3] + "...").replace("$", r"\$")


def _axes(height: float) -> Axes:
    from matplotlib.figure import Figure

    # A figure of its own, outside pyplot: no global state, no backend, nothing to close.
    return Figure(figsize=(7.5, height), layout="constrained").add_subplot()


def _finish(result: ValuationResult, ax: Axes, legend: bool, note: str) -> Axes:
    ax.axvline(0, color="black", lw=0.8)
    ax.set_xlabel(f"Shapley value ({result.metric})")
    ax.set_title(
        f"{len(result.players)} players, {result.unlearner}, {result.evaluations} evaluations; {note}", fontsize=9
    )
    if legend:
        ax.legend(loc="center right" if ax.get_ylabel() == "number of players" else "lower right", fontsize=8)
    return ax
