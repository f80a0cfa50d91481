"""Error against values of retraining, over the processor time that it took.

    OMP_NUM_THREADS=1 python benchmarks/time_to_truth.py [--seeds 0 1 2] [--out docs/time_to_truth.png] [--quick]

The providers of the question *accuracy* (``benchmarks/run.py accuracy``), and its truth: ten groups of breast_cancer,
200 rows, from no to half of the labels wrong, log-likelihood; the mean of the exact values of 12 retrainings of all
coalitions. Compared are OpenDataVal's DataShapley and pyDVL's permutations, which retrain with OpenDataVal's own
``fit``; retraining many coalitions at once, and stratified values of these; unlearning alone, of all coalitions
(``newton`` for the linear model, ``replay`` for the network); and values that few retrainings correct. Seconds contain
the training of the given model. No setting of corrected values was chosen on these games.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from harness.accuracy import ANOTHER, PYDVL, TMC, TRUTH, deviation, errors, providers, retrained
from harness.figures import draw_accuracy
from harness.groups import Grouped, opendataval_tmc, pydvl_values
from harness.report import Row, Table
from harness.timing import alternate
from numpy.typing import NDArray

from unshap_plugin import UnlearningGame, corrected_values, shapley_values

UNLEARNERS = {"LogisticRegression": "newton", "ClassifierMLP": "replay"}
UNLEARNED, RETRAINED, CORRECTED = "unlearned", "retrained, many at once", "corrected"
#: A relative squared error of .01.
GOAL = 0.1

Values = NDArray[np.float64]


def main() -> None:
    """Measure, draw the figure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("docs/time_to_truth.png"))
    parser.add_argument("--quick", action="store_true", help="fewer players and permutations, to see that it runs")
    given = parser.parse_args()
    found: dict[str, dict[str, list[Row]]] = {}
    floors = {}
    for model in UNLEARNERS:
        runs = [measured(model, seed, quick=given.quick) for seed in given.seeds]
        floors[model] = float(np.mean([floor for floor, _ in runs]))
        found[model] = medians([rows for _, rows in runs])
        print(table(model, floors[model], found[model]).markdown(), flush=True)
    draw_accuracy(found, floors, given.out)


def measured(model: str, seed: int, *, quick: bool = False) -> tuple[float, list[Row]]:
    """Return what another retraining is off by, and a row for each method and size: error and seconds."""
    grouped = providers(model, 100, 6, seed) if quick else providers(model, 200, 10, seed)
    truths = [retrained(grouped, TRUTH + number) for number in range(3 if quick else 12)]
    runs = {(name, size): run for name, size, run in methods(grouped, UNLEARNERS[model], seed, quick)}
    done = alternate({f"{name}|{size}": run for (name, size), run in runs.items()}, 1)
    rows: list[Row] = []
    for (name, size), timed in zip(runs, done.values(), strict=True):
        if timed.failure is not None:
            rows.append({"method": name, "size": size, "failure": timed.failure})
        else:
            error = errors(timed.results[0], np.mean(truths, axis=0))["error"]
            rows.append({"method": name, "size": size, "seconds": timed.median_cpu, "error": error})
    return deviation(truths), rows


def methods(
    grouped: Grouped, unlearner: str, seed: int, quick: bool
) -> Iterator[tuple[str, int, Callable[[], Values]]]:
    """Yield name, number of utilities or permutations, and how to run it."""
    n = grouped.n
    for permutations in (2, 4) if quick else (2, 8, 32):
        yield TMC, permutations, partial(opendataval_tmc, grouped, permutations, seed)
    for permutations in (2, 4) if quick else (2, 8, 32, 128):
        yield PYDVL, permutations, partial(pydvl_values, grouped, permutations, seed, "permutation")
    for times in (3, 5, 10, 20, 40):
        if times * n < 1 << n:
            yield RETRAINED, times * n, partial(ours, grouped, "retrain", seed, budget=times * n)
            yield CORRECTED, times * n, partial(ours, grouped, unlearner, seed, retrainings=times * n)
    yield RETRAINED, 1 << n, partial(ours, grouped, "retrain", seed)
    yield UNLEARNED, 1 << n, partial(ours, grouped, unlearner, seed)


def ours(
    grouped: Grouped, unlearner: str, seed: int, budget: int | None = None, retrainings: int | None = None
) -> Values:
    """Return values of all coalitions, of a number of them, or corrected ones."""
    problem = grouped.task.problem(grouped.task.fit(seed=seed), grouped.groups)
    game = UnlearningGame(problem, unlearner, seed=ANOTHER + seed)
    if retrainings is not None:
        return corrected_values(game, retrainings, seed).values
    return shapley_values(game, "exact" if budget is None else "stratified", budget, seed).values


def medians(runs: list[list[Row]]) -> dict[str, list[Row]]:
    """Return by method the rows of each size, their seconds and errors being medians over runs."""
    found: dict[str, list[Row]] = {}
    for same in zip(*runs, strict=True):
        row = {**same[0]}
        if not any("failure" in one for one in same):
            row |= {key: float(np.median([one[key] for one in same])) for key in ("seconds", "error")}
        found.setdefault(row.pop("method"), []).append(row)
    return found


def table(model: str, floor: float, found: dict[str, list[Row]]) -> Table:
    """Return a line for each method and size."""
    lines = []
    for method, rows in found.items():
        for row in rows:
            cells = [row["failure"], ""] if "failure" in row else [f"{row['error']:.3f}", f"{row['seconds']:.2f}"]
            lines.append([method, str(row["size"]), *cells])
        good = [row["seconds"] for row in rows if row.get("error", np.inf) <= GOAL]
        lines.append([method, f"to error {GOAL}", "", f"{min(good):.2f}" if good else "never"])
    caption = f"{model}. One retraining is {floor:.3f} off the mean of the others."
    return Table(caption, ["method", "utilities or permutations", "error", "seconds"], lines)


if __name__ == "__main__":
    main()
