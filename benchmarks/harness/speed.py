"""*speed*: the time of a coalition, beside OpenDataVal's own fit of a random half of the rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.question import Question
from harness.report import Report, Row, Table
from harness.tasks import Task, flipped
from harness.timing import Timed, alternate
from unshap_plugin import UnlearningGame, ValuationProblem

__all__ = ["SPEED"]

METHODS = {
    "LogisticRegression": ("newton", "replay", "retrain"),
    "ClassifierMLP": ("influence", "finetune", "replay", "retrain"),
}
FITS = 7
OWN = "its own fit"


def measure(settings: dict[str, Any], seeds: Sequence[int]) -> Iterator[Row]:
    """Yield a row for each model, data set and method."""
    for data, rows, model, coalitions in settings["cases"]:
        task = flipped(data, model, rows, seeds[0], share=0.0)
        problem = task.problem(task.fit(seed=seeds[0]))
        rng = np.random.default_rng(seeds[0])
        halves = np.stack([rng.permutation(rows) < rows // 2 for _ in range(coalitions)])
        runs: dict[str, Callable[[], tuple[float, float]]] = {OWN: partial(fits, task, halves)}
        runs |= {method: partial(evaluate, problem, method, halves) for method in METHODS[model]}
        done = alternate(runs, settings["rounds"])
        own = done.pop(OWN)
        for method, timed in done.items():
            yield {"model": model, "data": data, "rows": rows, "method": method, **figures(timed, own)}


def fits(task: Task, halves: NDArray[np.bool_]) -> tuple[float, float]:
    """Return nothing done once, and the seconds of one of OpenDataVal's own fits."""
    begin = time.process_time()
    for half in halves[:FITS]:
        task.fit(half)
    return 0.0, (time.process_time() - begin) / min(FITS, len(halves))


def evaluate(problem: ValuationProblem, method: str, coalitions: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the seconds of the first coalition, with all that is done once, and of each of the others."""
    begin = time.process_time()
    game = UnlearningGame(problem, method)
    game(coalitions[:1])
    once = time.process_time() - begin
    begin = time.process_time()
    game(coalitions[1:])
    return once, (time.process_time() - begin) / (len(coalitions) - 1)


def figures(timed: Timed, own: Timed) -> Row:
    """Return medians and the ratio to OpenDataVal's own fits, or what failed."""
    for one in (timed, own):
        if one.failure is not None:
            return {"failure": one.failure}
    once, each = np.median(timed.results, axis=0)
    fit = np.median(own.results, axis=0)[1]
    return {"fit": float(fit), "once": float(once), "each": float(each), "faster": float(fit / each)}


def tables(report: Report) -> list[Table]:
    """Return one table."""
    rows = []
    for row in report.rows:
        numbers = [row.get("failure", ""), "", "", ""]
        if "each" in row:
            fit, once, each = 1e3 * row["fit"], 1e3 * row["once"], 1e6 * row["each"]
            numbers = [f"{fit:.1f}", f"{once:.0f}", f"{each:,.0f}", f"{row['faster']:,.0f}"]
        rows.append([f"{row['model']}, {row['data']} ({row['rows']} rows)", f"`{row['method']}`", *numbers])
    caption = f"Medians of {report.settings['rounds']} rounds."
    return [Table(caption, ["model", "method", "its own fit, ms", "once, ms", "a coalition, µs", "times faster"], rows)]


SPEED = Question(
    "speed",
    "Time of a coalition",
    "Utilities (log-likelihood of the validation rows) of coalitions that keep a random half of the rows, of which "
    "every one is a player, beside OpenDataVal's own fit of such a half: its LogisticRegression, and its ClassifierMLP "
    "of five layers, ten epochs in batches of 32. `retrain` is retraining too, of many coalitions at once. What a "
    "method does once is in the time of the first coalition. Processor time.",
    measure,
    tables,
    full={
        "rounds": 5,
        "cases": [
            ["breast_cancer", 200, "LogisticRegression", 1024],
            ["breast_cancer", 200, "ClassifierMLP", 256],
            ["digits", 500, "LogisticRegression", 256],
            ["digits", 500, "ClassifierMLP", 256],
        ],
    },
    quick={
        "rounds": 2,
        "cases": [["breast_cancer", 100, "LogisticRegression", 64], ["breast_cancer", 100, "ClassifierMLP", 32]],
    },
    seeds=(1, 1),
)
