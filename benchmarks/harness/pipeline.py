"""*pipeline*: our evaluator in OpenDataVal's pipeline, from data to values, beside its DataShapley."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from opendataval.dataval import DataShapley
from sklearn.metrics import roc_auc_score
from unshap_opendataval import UnlearningShapley

from harness.evaluators import OURS, of_permutations, run_evaluator
from harness.question import Question
from harness.report import Report, Row, Table, seeds_of, spread
from harness.tasks import flipped
from harness.timing import alternate

__all__ = ["PIPELINE"]


def measure(settings: dict[str, Any], seeds: Sequence[int]) -> Iterator[Row]:
    """Yield a row for each seed, model, data set and evaluator."""
    permutations, evaluations = settings["permutations"], settings["evaluations"]
    for seed in seeds:
        for model in settings["models"]:
            for data, rows in settings["data"]:
                task = flipped(data, model, rows, seed)
                makers = {
                    OURS: partial(UnlearningShapley, random_state=seed),
                    f"{OURS}(budget={evaluations} for each row)": partial(
                        UnlearningShapley, budget=evaluations * rows, random_state=seed
                    ),
                    f"DataShapley({permutations} permutations)": partial(
                        of_permutations, DataShapley, permutations, seed
                    ),
                }
                runs = {name: partial(run_evaluator, make, task, seed) for name, make in makers.items()}
                if seed == seeds[0]:
                    runs[OURS]()  # what is done at the first call of all is nobody's time
                for method, timed in alternate(runs, 1).items():
                    row = {"model": model, "data": data, "rows": rows, "seed": seed, "method": method}
                    if timed.failure is not None:
                        yield {**row, "failure": timed.failure}
                    else:
                        auc = float(roc_auc_score(task.wrong, -timed.results[0]))
                        yield {**row, "auc": auc, "seconds": timed.median_cpu, "wall": timed.median}


def tables(report: Report) -> list[Table]:
    """Return a table for each model: AUC, seconds, and how many times faster than DataShapley each is."""
    made = []
    header = ["data set", "rows", "evaluator", "AUC", "seconds", "times faster than DataShapley"]
    for model in report.settings["models"]:
        lines = []
        of_model = [row for row in report.rows if row["model"] == model]
        for data, rows in report.settings["data"]:
            same = [row for row in of_model if (row["data"], row["rows"]) == (data, rows)]
            theirs = _seconds(same, f"DataShapley({report.settings['permutations']} permutations)")
            for method in dict.fromkeys(row["method"] for row in same):
                failed = [row["failure"] for row in same if row["method"] == method and "failure" in row]
                if failed:
                    lines.append([data, str(rows), method, f"failed for {len(failed)} seeds: {failed[0]}", "", ""])
                    continue
                seconds = _seconds(same, method)
                ratio = f"{theirs / seconds:.1f}" if theirs is not None and seconds is not None else ""
                aucs = [row["auc"] for row in same if row["method"] == method]
                lines.append([data, str(rows), method, spread(aucs), f"{seconds:.2f}", ratio])
        if lines:
            made.append(Table(f"{model}, {seeds_of(of_model)}: mean ± standard deviation of AUC.", header, lines))
    return made


def _seconds(rows: Sequence[Row], method: str) -> float | None:
    found = [row["seconds"] for row in rows if row["method"] == method and "seconds" in row]
    return float(np.median(found)) if found else None


PIPELINE = Question(
    "pipeline",
    "In OpenDataVal's pipeline",
    "A fifth of the training labels is wrong, validation labels are right. From data to values with what "
    "`UnlearningShapley` does by default (the model trained once, then `newton` for LogisticRegression, and retraining "
    "of many coalitions at once for ClassifierMLP; 5,000 evaluations), with eight evaluations for each row instead, "
    "and by OpenDataVal's DataShapley of 20 truncated permutations. AUC: how well low values find the wrong labels. "
    "Seconds: medians of processor time.",
    measure,
    tables,
    full={
        "models": ["LogisticRegression", "ClassifierMLP"],
        "data": [["breast_cancer", 200], ["wine", 90], ["digits", 200]],
        "evaluations": 8,
        "permutations": 20,
    },
    quick={
        "models": ["LogisticRegression", "ClassifierMLP"],
        "data": [["wine", 60]],
        "evaluations": 8,
        "permutations": 1,
    },
    seeds=(5, 1),
)
