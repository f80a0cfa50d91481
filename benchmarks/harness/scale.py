"""*scale*: time and memory as coalitions, rows and players grow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from harness.memory import apart
from harness.question import Question
from harness.report import Report, Row, Table
from harness.tasks import Task, fresh
from harness.timing import alternate
from unshap_plugin import UnlearningGame

__all__ = ["SCALE"]

FEATURES, VALID = 30, 200
OWN = "its own fit"
METHODS = ("newton", "retrain")


def measure(settings: dict[str, Any], seeds: Sequence[int]) -> Iterator[Row]:
    """Yield a row for each size and method."""
    for axis, sizes in settings["sizes"].items():
        for rows, players, coalitions in sizes:
            case = {"axis": axis, "rows": rows, "players": players, "coalitions": coalitions}
            runs: dict[str, Callable[[], Any]] = {
                name: partial(apart, prepare, name, rows, players, coalitions, seeds[0]) for name in (OWN, *METHODS)
            }
            done = alternate(runs, settings["rounds"])
            for name, timed in done.items():
                if timed.failure is not None:
                    yield {**case, "method": name, "failure": timed.failure}
                    continue
                rises = [one["bytes"] for one in timed.results if one["bytes"] is not None]
                found = {key: float(np.median([one[key] for one in timed.results])) for key in ("seconds", "wall")}
                memory = {"bytes": float(np.median(rises))} if rises else {}
                yield {**case, "method": name, **found, **memory, "count": timed.results[0]["result"]}


def prepare(name: str, rows: int, players: int, coalitions: int, seed: int) -> Callable[[], int]:
    """Return what is measured: some fits by OpenDataVal, or all coalitions by a method. It returns how many."""
    task = gaussians(rows, seed)
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.arange(rows) % players)
    keep = rng.random((coalitions, players)) < rng.random((coalitions, 1))
    if name == OWN:
        return partial(own_fits, task, keep[: max(1, min(10, coalitions))][:, groups])
    problem = task.problem(task.fit(seed=seed), groups)

    def run() -> int:
        return len(UnlearningGame(problem, name, seed=seed)(keep))

    return run


def own_fits(task: Task, keep: NDArray[np.bool_]) -> int:
    """Fit the rows of each coalition, and return how many coalitions there were."""
    for rows in keep:
        task.likelihood(task.fit(np.flatnonzero(rows)))
    return len(keep)


def gaussians(rows: int, seed: int) -> Task:
    """Return a task of two classes, whose logit is a linear function of normal features, plus noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows + 2 * VALID, FEATURES))
    labels = x @ rng.normal(size=FEATURES) + 2 * rng.normal(size=len(x)) > 0
    features = torch.as_tensor(x, dtype=torch.float32)
    y = F.one_hot(torch.as_tensor(labels).long(), 2).float()
    parts = [slice(0, rows), slice(rows, rows + VALID), slice(rows + VALID, None)]
    (x1, x2, x3), (y1, y2, y3) = ([one[part] for part in parts] for one in (features, y))
    return Task(x1, y1, x2, y2, x3, y3, np.zeros(rows, dtype=bool), fresh("LogisticRegression", FEATURES, 2, seed))


def tables(report: Report) -> list[Table]:
    """Return a table for each thing that grows."""
    made = []
    header = ["rows", "players", "coalitions", "method", "seconds", "a coalition, µs", "times faster", "memory, MB"]
    for axis in report.settings["sizes"]:
        lines = []
        own: float | None = None
        for row in (row for row in report.rows if row["axis"] == axis):
            sizes = [f"{row[key]:,}" for key in ("rows", "players", "coalitions")]
            if row["method"] == OWN:
                own = row["seconds"] / row["count"] if "failure" not in row else None
                sizes[2] = f"{row['count']:,}" if "failure" not in row else sizes[2]
            if "failure" in row:
                lines.append([*sizes, row["method"], row["failure"], "", "", ""])
                continue
            each = row["seconds"] / row["count"]
            memory = f"{row['bytes'] / 2**20:,.0f}" if "bytes" in row else ""
            ratio = f"{own / each:,.0f}" if own is not None else ""
            lines.append([*sizes, row["method"], f"{row['seconds']:.2f}", f"{1e6 * each:,.0f}", ratio, memory])
        if lines:
            made.append(Table(f"More {axis}.", header, lines))
    return made


SCALE = Question(
    "scale",
    "Scale",
    "Two classes of 30 normal features, OpenDataVal's LogisticRegression, ten epochs in batches of 32; coalitions of "
    "all sizes, log-likelihood of 200 validation rows. Each call runs in a process of its own, alternating: seconds "
    "are its processor time, with all that is done once; memory is how far it rose during the call. Times faster is "
    "against OpenDataVal's own fit and prediction, of ten of the coalitions.",
    measure,
    tables,
    full={
        "rounds": 1,
        "sizes": {
            "coalitions": [[200, 200, 1_000], [200, 200, 10_000], [200, 200, 100_000]],
            "rows": [[100, 10, 1_000], [1_000, 10, 1_000], [10_000, 10, 1_000]],
            "players": [[1_000, 10, 1_000], [1_000, 100, 1_000], [1_000, 1_000, 1_000]],
        },
    },
    quick={"rounds": 1, "sizes": {"coalitions": [[100, 100, 1_000]]}},
    seeds=(1, 1),
)
