"""Many rows as players: how long until their ranking is that of a ten times longer run of another seed.

    python benchmarks/rows.py [--cases digits:1000:60000 made:1000:60000 made:10000:100000] [--longer 10] [--jobs 2]

A case is a data set (``made``: drawn by scikit-learn, 50 features, two classes), a number of rows, of which a fifth
have wrong labels, and a number of evaluations. The model is OpenDataVal's LogisticRegression, the utility the
log-likelihood of the validation rows, the unlearner ``newton``, and the estimator that ``auto`` takes. Seconds are
those of the clock, everything included; the peak is that of the process that asks, above what it held when the
problem was made. The last columns are the rank correlation of the values with those of the longer run (``--longer 0``
leaves it out), and how well low values find the wrong labels (AUC), of both runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from harness.memory import apart
from harness.tasks import Task, flipped
from numpy.typing import NDArray
from scipy import stats

from unshap_plugin import UnlearningGame, shapley_values

CASES = ("digits:1000:60000", "made:1000:60000", "made:10000:100000")


def main() -> None:
    """Print a row for each case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", default=CASES)
    parser.add_argument("--longer", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    print("| rows | evaluations | seconds | peak, MB | rank correlation | AUC | AUC of the longer run |")
    print("|---|---|---|---|---|---|---|")
    for case in given.cases:
        data, rows, budget = case.split(":")
        wrong = task_of(data, int(rows)).wrong
        found = apart(valuation, data, int(rows), int(budget), 0, given.jobs)
        values, estimator = found["result"]
        columns = ["", ""]
        if given.longer:
            longer = apart(valuation, data, int(rows), given.longer * int(budget), 1, given.jobs)["result"][0]
            columns = [f"{stats.spearmanr(values, longer)[0]:.3f}", f"{auc(longer, wrong):.3f}"]
        peak = "" if found["bytes"] is None else f"{found['bytes'] / 1e6:.0f}"
        print(
            f"| {data}, {int(rows):,} | {int(budget):,} ({estimator}) | {found['wall']:.0f} | {peak} | {columns[0]} | "
            f"{auc(values, wrong):.3f} | {columns[1]} |",
            flush=True,
        )


def task_of(data: str, rows: int) -> Task:
    """Return a task of so many rows, a fifth of them with wrong labels."""
    return flipped(data, "LogisticRegression", rows, 0)


def valuation(data: str, rows: int, budget: int, seed: int, jobs: int) -> Callable[[], Any]:
    """Return what is measured: a game of its own, and its values, with the name of the estimator."""
    task = task_of(data, rows)
    problem = task.problem(task.fit(seed=0))

    def run() -> tuple[NDArray[np.float64], str]:
        result = shapley_values(UnlearningGame(problem, "newton", n_jobs=jobs), budget=budget, seed=seed)
        return result.values, result.estimator

    return run


def auc(values: NDArray[np.float64], wrong: NDArray[np.bool_]) -> float:
    """Return how well low values find the wrong labels."""
    above = stats.mannwhitneyu(-values[wrong], -values[~wrong]).statistic
    return float(above / wrong.sum() / (~wrong).sum())


if __name__ == "__main__":
    main()
