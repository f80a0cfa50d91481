"""*quality*: wrong labels found, and what models are worth without the rows of lowest and of highest value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opendataval.experiment.exper_methods import noisy_detection
from sklearn.metrics import roc_auc_score

from harness.evaluators import OURS, row_values
from harness.question import Question
from harness.report import Report, Row, Table, seeds_of, spread
from harness.tasks import Task, flipped
from harness.timing import alternate

__all__ = ["QUALITY"]

REMOVED = 0.2
FIGURES = ("auc", "f1", "without_lowest", "without_highest", "seconds")


def measure(settings: dict[str, Any], seeds: Sequence[int]) -> Iterator[Row]:
    """Yield a row for each seed, data set and evaluator, and one for removing rows at random."""
    for seed in seeds:
        for data, rows in settings["data"]:
            task = flipped(data, settings["model"], rows, seed)
            found = {"data": data, "rows": rows, "seed": seed}
            order = np.random.default_rng(seed).permutation(rows)
            yield {**found, "method": "at random", **removal(task, order, settings["fits"])}
            runs = row_values(task, seed, settings)
            if seed == seeds[0]:
                runs[OURS]()  # what is done at the first call of all is nobody's time
            for method, timed in alternate(runs, 1).items():
                if timed.failure is not None:
                    yield {**found, "method": method, "failure": timed.failure}
                else:
                    quality = judged(timed.results[0], task, seed, settings["fits"])
                    yield {**found, "method": method, "seconds": timed.median_cpu, "wall": timed.median, **quality}


def judged(values: NDArray[np.float64], task: Task, seed: int, fits: int) -> Row:
    """Return AUC and F1 of finding wrong labels by low values, and the accuracies without some rows.

    Ties are broken at random; F1 is OpenDataVal's own: 2-means, in one dimension.
    """
    wrong = np.flatnonzero(task.wrong)
    np.random.seed(seed)  # noqa: NPY002 - 2-means begins with numpy's global generator
    f1 = noisy_detection(SimpleNamespace(data_values=values), indices=wrong)["kmeans_f1"]
    ties = np.random.default_rng(seed).random(len(values))
    order = np.lexsort((ties, values))
    return {"auc": float(roc_auc_score(task.wrong, -values)), "f1": float(f1), **removal(task, order, fits)}


def removal(task: Task, order: NDArray[np.int64], fits: int) -> Row:
    """Return the test accuracy of models trained without the first and without the last fifth of an order of rows."""
    count = round(REMOVED * len(order))
    return {
        "without_lowest": accuracy(task, order[count:], fits),
        "without_highest": accuracy(task, order[:-count], fits),
    }


def accuracy(task: Task, rows: NDArray[np.int64], fits: int) -> float:
    """Return the test accuracy of models trained on some rows, the mean over seeds of the training."""
    labels = task.y_test.argmax(dim=1)
    models = [task.fit(rows, seed=seed) for seed in range(fits)]
    return float(np.mean([(model.predict(task.x_test).argmax(dim=1) == labels).float().mean() for model in models]))


def tables(report: Report) -> list[Table]:
    """Return a table for each data set: means over seeds, with standard deviations."""
    made = []
    header = ["evaluator", "AUC", "F1", "accuracy without lowest fifth", "without highest fifth", "seconds", "of ours"]
    for data, rows in report.settings["data"]:
        lines = []
        same = [row for row in report.rows if row["data"] == data]
        ours = _column(same, OURS, "seconds")
        for method in dict.fromkeys(row["method"] for row in same):
            failed = [row["failure"] for row in same if row["method"] == method and "failure" in row]
            if failed:
                lines.append([method, f"failed for {len(failed)} seeds: {failed[0]}", *[""] * 5])
                continue
            columns = [_column(same, method, key) for key in FIGURES]
            cells = [spread(one) for one in columns[:-1]]
            seconds = columns[-1]
            ratio = f"{np.median(seconds) / np.median(ours):,.2f}" if seconds and ours else ""
            lines.append([method, *cells, f"{np.median(seconds):.2f}" if seconds else "", ratio])
        if same:
            made.append(Table(f"{data}, {rows} rows, {seeds_of(same)}: mean ± standard deviation.", header, lines))
    return made


def _column(rows: Sequence[Row], method: str, key: str) -> list[float]:
    return [row[key] for row in rows if row["method"] == method and key in row]


QUALITY = Question(
    "quality",
    "Wrong labels and removed rows",
    "A fifth of the training labels is wrong, validation and test labels are right; OpenDataVal's LogisticRegression, "
    "ten epochs. AUC and F1 (OpenDataVal's, of 2-means): how well low values find the wrong labels. Accuracy on test "
    "rows of models trained without the fifth of lowest values (higher is better) and without that of highest values "
    "(lower is better), three trainings each. Seconds: medians of processor time, and as multiples of the first. "
    "Semivalues of OpenDataVal are those of the accuracy, as they come; ours are those of the log-likelihood, as they "
    "come.",
    measure,
    tables,
    full={
        "model": "LogisticRegression",
        "data": [["breast_cancer", 200], ["wine", 90], ["digits", 200]],
        "fits": 3,
        "models": 200,
        "permutations": 5,
        "budget": 20_000,
    },
    quick={
        "model": "LogisticRegression",
        "data": [["breast_cancer", 60], ["wine", 60]],
        "fits": 1,
        "models": 20,
        "permutations": 1,
        "budget": 1_000,
    },
    seeds=(10, 1),
)
