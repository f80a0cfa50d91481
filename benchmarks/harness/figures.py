"""Figures of reports, in colours that are told apart by everybody (Okabe & Ito 2008)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

__all__ = ["draw_accuracy", "draw_budgets"]

FLOOR = "another retraining"
#: Colour and marker of a method; ours are drawn as lines, peers dashed. What is tuned has the colour of the method.
OURS = {
    "newton": ("#0072B2", "o"),
    "influence": ("#CC79A7", "v"),
    "finetune": ("#888888", "P"),
    "replay": ("#009E73", "s"),
    "retrain": ("#56B4E9", "D"),
    "permutation": ("#888888", "P"),
    "stratified, linear": ("#56B4E9", "v"),
    "stratified, gp": ("#009E73", "s"),
    "auto": ("#0072B2", "o"),
    "unlearned": ("#009E73", "s"),
    "retrained, many at once": ("#56B4E9", "D"),
    "corrected": ("#0072B2", "o"),
}
PEERS = {
    "OpenDataVal, DataShapley (TMC)": ("#D55E00", "^"),
    "OpenDataVal's fits, all coalitions": ("#D55E00", "*"),
    "pyDVL, TMC": ("#E69F00", "<"),
    "pyDVL, permutations": ("#000000", "X"),
    "shapiq, KernelSHAP": ("#D55E00", "^"),
    "shapiq, UnbiasedKernelSHAP": ("#E69F00", "<"),
    "shapiq, SVARM": ("#8C564B", "d"),
    "shapiq, StratifiedSamplingSV": ("#CC79A7", "*"),
    "pyDVL, antithetic permutations": ("#000000", "."),
}


def _style(name: str) -> dict[str, Any]:
    """Return how a method is drawn.

    Examples
    --------
    >>> _style("newton, tuned")["linestyle"], _style("pyDVL, TMC")["linestyle"], _style("another")["color"]
    ('-', '--', '#444444')
    """
    method = name.removesuffix(", tuned")
    is_tuned = method != name
    colour, marker = {**OURS, **PEERS}.get(method, ("#444444", "h"))
    return {
        "color": colour,
        "marker": "*" if is_tuned else marker,
        "markersize": 12 if is_tuned or marker == "*" else 6,
        "markerfacecolor": "none" if is_tuned else colour,
        "linestyle": "--" if method in PEERS else "-",
    }


def draw_accuracy(
    found: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]], floors: Mapping[str, float], path: Path
) -> None:
    """Draw error over seconds, one panel a model: our methods as lines, peers dashed.

    Parameters
    ----------
    found
        By model and method: points with ``seconds``, ``error`` and ``size``, or a ``failure``, which is not drawn.
    floors
        By model, the error of another retraining.
    path
        Where to write it, as PNG.
    """
    figure = Figure(figsize=(10.5, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for axis, (model, methods) in zip(axes, found.items(), strict=True):
        for name, points in methods.items():
            good = [point for point in points if "failure" not in point]
            seconds, errors = ([point[key] for point in good] for key in ("seconds", "error"))
            axis.plot(seconds, errors, label=name, **_style(name))
        axis.axhline(floors[model], color="#555555", linewidth=1, linestyle=":", label=FLOOR)
        axis.set(xscale="log", yscale="log", title=model, xlabel="seconds on one core")
        axis.grid(which="both", alpha=0.2)
        for one in (axis.xaxis, axis.yaxis):
            one.set_major_locator(LogLocator(subs=(1, 3)))
            one.set_major_formatter(StrMethodFormatter("{x:g}"))
            one.set_minor_formatter(NullFormatter())
    axes[0].set_ylabel("error of the Shapley values, relative")
    handles = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    order = sorted(handles, key=lambda label: (label in PEERS, label == FLOOR))
    figure.legend([handles[label] for label in order], order, loc="outside right center", fontsize=8, frameon=False)
    figure.savefig(path, dpi=130)


def draw_budgets(found: Mapping[str, Mapping[str, Mapping[int, float]]], path: Path) -> None:
    """Draw errors relative to those of permutations over the evaluations for each player, one panel a kind of games.

    Parameters
    ----------
    found
        By kind, method and evaluations for each player.
    path
        Where to write it, as PNG.
    """
    figure = Figure(figsize=(10.5, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for axis, (kind, methods) in zip(axes, found.items(), strict=True):
        for name, by_budget in methods.items():
            axis.plot(list(by_budget), list(by_budget.values()), label=name, **_style(name))
        axis.set(xscale="log", yscale="log", title=kind, xlabel="evaluations for each player")
        axis.grid(which="both", alpha=0.2)
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.xaxis.set_minor_formatter(NullFormatter())
    axes[0].set_ylabel("error over that of permutations")
    handles = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside right center", fontsize=8, frameon=False)
    figure.savefig(path, dpi=130)
