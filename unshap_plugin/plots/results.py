"""Pictures of a result."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.errors import InvalidTypeError, InvalidValueError
from unshap_plugin.plots.style import COLOURS, name_of, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from unshap_plugin.audit.report import FidelityReport
    from unshap_plugin.results.result import ValuationResult

__all__ = ["draw_audit", "draw_bars", "draw_histogram", "draw_values"]

_PLAIN, _MARKED = COLOURS[:2]
_NAMED = 5
_MAX_BARS = 100
#: With more bars than this they stand closer.
_SPACIOUS = 40
#: Half the length of a 95% interval, in standard errors that are known well.
_NORMAL = 1.96


def draw_values(result: ValuationResult, ax: Axes | None, highlight: Collection[Any], label: str) -> Axes:
    """Draw values as bars with 95% intervals up to 100 players, as a histogram for more.

    Raises
    ------
    InvalidValueError, InvalidTypeError, UnknownNameError
        If the values are vectors, or the highlighted players are no list of players.
    """
    if result.values.ndim > 1:
        raise InvalidValueError(
            "plot draws one value per player, but the metric measures several things: pass one of them as metric to "
            "value, or draw to_frame()."
        )
    if isinstance(highlight, str) or not isinstance(highlight, Iterable):
        raise InvalidTypeError(f"highlight is {highlight!r}, but a list of players is needed: give [{highlight!r}].")
    for player in highlight:
        result[player]
    draw = draw_bars if len(result.players) <= _MAX_BARS else draw_histogram
    return draw(result, ax, frozenset(highlight), label)


def draw_bars(result: ValuationResult, ax: Axes | None, highlight: frozenset[Any], label: str) -> Axes:
    """Draw one bar per player, the most valuable on top, with 95% intervals."""
    order = np.argsort(result.values, kind="stable")
    low, high = result.interval()
    ax = ax or _axes(height=max(2.5, (0.28 if len(order) <= _SPACIOUS else 0.18) * len(order) + 1.3))
    marked = np.array([result.players[i] in highlight for i in order])
    values = result.values[order]
    whiskers = np.stack([values - low[order], high[order] - values])
    plain = "other" if marked.any() else "corrected"
    for which, colour, name in ((~marked, _PLAIN, plain), (marked, _MARKED, label)):
        where = np.flatnonzero(which)
        if len(where):
            ax.barh(where, values[where], color=colour, label=name)
            if np.nanmax(result.std_errors, initial=0.0) > 0:
                ax.errorbar(values[where], where, xerr=whiskers[:, where], fmt="none", ecolor="black", capsize=2, lw=1)
    _draw_unlearned(result, ax, order)
    names = [name_of(result.players[i]) for i in order]
    ax.set_yticks(np.arange(len(order)), names, fontsize=None if len(order) <= _SPACIOUS else 7)
    ax.set_ylim(-0.7, len(order) - 0.3)
    ax.set_ylabel("player")
    legend = bool(marked.any() or result.unlearned)
    return _finish(result, ax, legend, _errors(result, "whiskers: 95% intervals"))


def _draw_unlearned(result: ValuationResult, ax: Axes, order: NDArray[np.int64]) -> None:
    """Draw what each unlearner says without retrainings, with 95% intervals where it is not known exactly."""
    for (name, (values, errors)), marker in zip(result.unlearned.items(), itertools.cycle("Ds^v")):
        ax.errorbar(
            values[order],
            np.arange(len(order)),
            xerr=_NORMAL * errors[order] if errors.any() else None,
            fmt=marker,
            color="black",
            markerfacecolor="white",
            ms=5,
            lw=1,
            capsize=2,
            label=f"{name_of(name)} without retrainings",
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
    worst = "\n".join(name_of(result.players[i]) for i in order[:_NAMED])
    best = "\n".join(name_of(result.players[i]) for i in order[::-1][:_NAMED])
    ax.set_ylabel("number of players")
    top = ax.get_ylim()[1]
    ax.set_ylim(0, top * 1.45)
    ax.annotate(f"least valuable:\n{worst}", (0.01, 0.98), xycoords="axes fraction", va="top", fontsize=8)
    ax.annotate(f"most valuable:\n{best}", (0.99, 0.98), xycoords="axes fraction", va="top", ha="right", fontsize=8)
    known = result.std_errors[~np.isnan(result.std_errors)]
    drawn = f"standard errors up to {known.max():.2g}, median {np.median(known):.2g}" if len(known) else ""
    return _finish(result, ax, bool(marked.any()), _errors(result, drawn))


def draw_audit(report: FidelityReport, ax: Axes | None, metric: str) -> Axes:
    """Draw the error at each size above the noise of retraining, with one small point per coalition."""
    ax = ax or _axes(height=4.5)
    ranges = list(report.sizes(metric))[:-1]  # with everybody kept, nothing differs
    unlearned, retrained, _ = report.utilities(metric)
    each = np.abs(unlearned - retrained).mean(axis=0)
    place = np.arange(len(ranges))
    mean, noise, nothing, spread = np.array(
        [(one.error, one.noise_error, one.nothing_error, np.nan_to_num(one.error_se)) for _, _, one in ranges]
    ).T
    drawn = np.concatenate([mean, noise, nothing, each])
    top = float(drawn.max())
    # Errors span orders of magnitude. Zeros have no place on such an axis, nor has what is round-off beside the rest.
    bottom = max(float(drawn[drawn > 0].min(initial=top)) / 2, 1e-4 * top)
    mean, nothing = (np.where(one > bottom, one, np.nan) for one in (mean, nothing))
    for k, (_, mask, _) in enumerate(ranges):
        across = k + np.linspace(-0.25, 0.25, int(mask.sum()) + 2)[1:-1]
        ax.scatter(across, each[mask], color=_PLAIN, alpha=0.35, s=8, lw=0)
    ax.bar(place, noise, width=0.9, color="lightgrey", zorder=0, label="between two retrainings (floor)")
    ax.plot(place, nothing, color=_MARKED, marker="_", ms=14, ls="--", lw=1, label="doing nothing (the given model)")
    ax.errorbar(
        place, mean, yerr=spread, color=_PLAIN, marker="o", ms=5, lw=1.5, capsize=3, label=f"{report.unlearner}, mean"
    )
    ax.scatter([], [], color=_PLAIN, alpha=0.35, s=8, lw=0, label=f"{report.unlearner}, each coalition")
    if top > 0:
        ax.set_yscale("log")
        ax.set_ylim(bottom, 2 * top)
    ax.set_xticks(place, [name for name, _, _ in ranges])
    ax.set_xlabel(f"players kept, of {len(report.players)}")
    ax.set_ylabel(f"absolute error ({plain(metric)})")
    overall, within = report.agreement(metric), report.bounds(metric)
    ax.set_title(
        f"{report.unlearner} against retraining, {overall.count} coalitions; Spearman at equal size "
        f"{within.spearman_within:.2f} (two retrainings: {within.noise_spearman_within:.2f})",
        fontsize=9,
    )
    ax.legend(loc="upper right", fontsize=8)
    return ax


def _errors(result: ValuationResult, drawn: str) -> str:
    """Say what is drawn of the errors, or that there are none, or none are known."""
    unknown = int(np.isnan(result.std_errors).sum())
    if unknown == len(result.players):
        return "standard errors unknown"
    if not result.std_errors.any():
        return "no sampling error"
    return f"{drawn}, unknown for {unknown}" if unknown else drawn


def _axes(height: float) -> Axes:
    from matplotlib.figure import Figure

    # A figure of its own, outside pyplot: no global state, no backend, nothing to close.
    return Figure(figsize=(7.5, height), layout="constrained").add_subplot()


def _finish(result: ValuationResult, ax: Axes, legend: bool, note: str) -> Axes:
    ax.axvline(0, color="black", lw=0.8)
    ax.set_xlabel(f"{result.semivalue[:1].upper()}{result.semivalue[1:]} ({plain(result.metric)})")
    spent = f"{result.evaluations} evaluations"
    if result.retrainings:
        spent = f"{result.retrainings} retrainings (variance ratio {result.variance_ratio:.2g})"
    ax.set_title(f"{len(result.players)} players, {result.unlearner}, {spent}; {note}", fontsize=9)
    if legend:
        ax.legend(loc="center right" if ax.get_ylabel() == "number of players" else "lower right", fontsize=8)
    return ax
