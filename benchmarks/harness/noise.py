"""*noise*: wrong labels found by values of retraining, with as many evaluations by ``auto`` as by permutations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opendataval.metrics import Metrics
from sklearn.metrics import roc_auc_score
from unshap_opendataval.conventions import mediator_metric

from harness.question import Question
from harness.report import Report, Row, Table, seeds_of, spread
from harness.tasks import Task, flipped
from harness.timing import alternate, checked
from unshap_plugin import UnlearningGame, shapley_values

__all__ = ["NOISE"]

AUTO, PERMUTATION = "auto", "permutation"
#: Utilities by name; that of a task is the log-likelihood.
METRICS = {"log-likelihood": None, "accuracy": mediator_metric(Metrics.ACCURACY)}


def measure(settings: dict[str, Any], seeds: Sequence[int]) -> Iterator[Row]:
    """Yield a row for each seed, data set, utility and estimator."""
    for seed in seeds:
        for data, rows in settings["data"]:
            task = flipped(data, settings["model"], rows, seed)
            budget = settings["evaluations"] * rows
            for utility in settings["utilities"]:
                found = {"data": data, "rows": rows, "seed": seed, "utility": utility, "budget": budget}
                runs = {name: partial(retrained, task, utility, name, budget, seed) for name in (AUTO, PERMUTATION)}
                for method, timed in alternate(runs, 1).items():
                    if timed.failure is not None:
                        yield {**found, "method": method, "failure": timed.failure}
                    else:
                        auc = float(roc_auc_score(task.wrong, -timed.results[0]))
                        yield {
                            **found,
                            "method": method,
                            "auc": auc,
                            "seconds": timed.median_cpu,
                            "wall": timed.median,
                        }


def retrained(task: Task, utility: str, estimator: str, budget: int, seed: int) -> NDArray[np.float64]:
    """Return the values of the rows, ``[rows]``, from so many coalitions that are retrained."""
    problem = task.problem(task.fit(seed=seed), metric=METRICS[utility])
    game = UnlearningGame(problem, "retrain", seed=seed)
    return checked(shapley_values(game, estimator, budget, seed).values, len(task.y))


def tables(report: Report) -> list[Table]:
    """Return a table for each utility, with a line for each data set: means over seeds, with standard deviations."""
    header = ["data set", "rows", "evaluations", f"AUC, {AUTO}", f"AUC, {PERMUTATION}", f"{AUTO} is higher", "seconds"]
    made = []
    for utility in report.settings["utilities"]:
        of_utility = [row for row in report.rows if row["utility"] == utility]
        kinds = dict.fromkeys((row["data"], row["rows"]) for row in of_utility)
        lines = [_line([row for row in of_utility if (row["data"], row["rows"]) == kind]) for kind in kinds]
        caption = f"Utility: {utility} of the validation rows, {seeds_of(of_utility)}: mean ± standard deviation."
        made.append(Table(caption, header, lines))
    return made


def _line(same: Sequence[Row]) -> list[str]:
    """Return the cells for the rows of one data set."""
    by = {name: {row["seed"]: row for row in same if row["method"] == name} for name in (AUTO, PERMUTATION)}
    cells = [_auc(list(by[name].values())) for name in (AUTO, PERMUTATION)]
    pairs = [[by[name].get(seed, {}).get("auc") for name in (AUTO, PERMUTATION)] for seed in by[AUTO]]
    both = [(ours, theirs) for ours, theirs in pairs if ours is not None and theirs is not None]
    higher = f"{sum(ours > theirs for ours, theirs in both)} of {len(both)}"
    seconds = [row["seconds"] for row in by[AUTO].values() if "seconds" in row]
    time = f"{np.median(seconds):.1f}" if seconds else ""
    return [same[0]["data"], str(same[0]["rows"]), f"{same[0]['budget']:,}", *cells, higher, time]


def _auc(rows: Sequence[Row]) -> str:
    failed = [row["failure"] for row in rows if "failure" in row]
    return f"failed for {len(failed)} seeds: {failed[0]}" if failed else spread([row["auc"] for row in rows])


NOISE = Question(
    "noise",
    "Wrong labels by retraining",
    "A fifth of the training labels is wrong, validation labels are right. Shapley values of single rows for "
    "OpenDataVal's ClassifierMLP, every coalition of which is retrained by its recipe (`retrain`; ten epochs in "
    "batches of 32), with eight evaluations for each row: by the estimator `auto`, which is `stratified` there, and by "
    "antithetic permutations. AUC: how well low values find the wrong labels. Higher: for how many seeds. Seconds: "
    "medians of processor time with `auto`. Where both are near one half, as with the log-likelihood on digits, "
    "nothing is found.",
    measure,
    tables,
    full={
        "model": "ClassifierMLP",
        "data": [["breast_cancer", 100], ["breast_cancer", 200], ["wine", 100], ["digits", 100], ["digits", 200]],
        "utilities": list(METRICS),
        "evaluations": 8,
    },
    quick={
        "model": "ClassifierMLP",
        "data": [["breast_cancer", 60], ["wine", 60]],
        "utilities": list(METRICS),
        "evaluations": 8,
    },
    seeds=(10, 1),
)
