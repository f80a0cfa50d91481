"""*noise*: wrong labels found by values of retraining, with as many evaluations by ``auto`` as by permutations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from harness.question import Question
from harness.report import Report, Row, Table, seeds_of, spread
from harness.tasks import Task, flipped
from harness.timing import alternate, checked
from unshap_plugin import UnlearningGame, shapley_values

__all__ = ["NOISE"]

AUTO, PERMUTATION = "auto", "permutation"


def measure(settings: dict[str, Any], seeds: Sequence[int]) -> Iterator[Row]:
    """Yield a row for each seed, data set and estimator."""
    for seed in seeds:
        for data, rows in settings["data"]:
            task = flipped(data, settings["model"], rows, seed)
            budget = settings["evaluations"] * rows
            runs = {name: partial(retrained, task, name, budget, seed) for name in (AUTO, PERMUTATION)}
            for method, timed in alternate(runs, 1).items():
                row = {"data": data, "rows": rows, "seed": seed, "method": method, "budget": budget}
                if timed.failure is not None:
                    yield {**row, "failure": timed.failure}
                else:
                    auc = float(roc_auc_score(task.wrong, -timed.results[0]))
                    yield {**row, "auc": auc, "seconds": timed.median_cpu, "wall": timed.median}


def retrained(task: Task, estimator: str, budget: int, seed: int) -> NDArray[np.float64]:
    """Return the values of the rows, ``[rows]``, from so many coalitions that are retrained."""
    game = UnlearningGame(task.problem(task.fit(seed=seed)), "retrain", seed=seed)
    return checked(shapley_values(game, estimator, budget, seed).values, len(task.y))


def tables(report: Report) -> list[Table]:
    """Return a table with a line for each data set: means over seeds, with standard deviations."""
    lines = []
    for data, rows in report.settings["data"]:
        same = [row for row in report.rows if (row["data"], row["rows"]) == (data, rows)]
        if not same:
            continue
        by = {name: {row["seed"]: row for row in same if row["method"] == name} for name in (AUTO, PERMUTATION)}
        cells = [_auc(list(by[name].values())) for name in (AUTO, PERMUTATION)]
        both = [
            (one["auc"], by[PERMUTATION][seed]["auc"])
            for seed, one in by[AUTO].items()
            if "auc" in one and "auc" in by[PERMUTATION].get(seed, {})
        ]
        higher = f"{sum(ours > theirs for ours, theirs in both)} of {len(both)}"
        seconds = [row["seconds"] for row in by[AUTO].values() if "seconds" in row]
        time = f"{np.median(seconds):.1f}" if seconds else ""
        lines.append([data, str(rows), f"{same[0]['budget']:,}", *cells, higher, time])
    header = ["data set", "rows", "evaluations", f"AUC, {AUTO}", f"AUC, {PERMUTATION}", f"{AUTO} is higher", "seconds"]
    return [Table(f"{seeds_of(report.rows)}: mean ± standard deviation.", header, lines)]


def _auc(rows: Sequence[Row]) -> str:
    failed = [row["failure"] for row in rows if "failure" in row]
    return f"failed for {len(failed)} seeds: {failed[0]}" if failed else spread([row["auc"] for row in rows])


NOISE = Question(
    "noise",
    "Wrong labels by retraining",
    "A fifth of the training labels is wrong, validation labels are right. Shapley values of single rows for "
    "OpenDataVal's ClassifierMLP, every coalition of which is retrained by its recipe (`retrain`; ten epochs in "
    "batches of 32), with eight evaluations for each row: by the estimator `auto`, which is `stratified` there, and by "
    "antithetic permutations. Utility: log-likelihood of the validation rows. AUC: how well low values find the wrong "
    "labels. Higher: for how many seeds. Seconds: medians of processor time with `auto`.",
    measure,
    tables,
    full={
        "model": "ClassifierMLP",
        "data": [["breast_cancer", 100], ["breast_cancer", 200], ["wine", 100], ["digits", 100], ["digits", 200]],
        "evaluations": 8,
    },
    quick={"model": "ClassifierMLP", "data": [["breast_cancer", 60], ["wine", 60]], "evaluations": 8},
    seeds=(10, 1),
)
