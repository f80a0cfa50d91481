"""*accuracy*: how near Shapley values are to exact retrained ones, over the time that they took."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from harness.figures import draw_accuracy
from harness.groups import Grouped, opendataval_tmc, own_fits, pydvl_values
from harness.question import Question
from harness.report import Report, Row, Table, number, seeds_of
from harness.tasks import flipped
from harness.timing import alternate, checked
from unshap_plugin import UnlearningGame, shapley_values, tune

__all__ = ["ACCURACY"]

#: Seeds of retraining: those of the exact values, and that of a method which is compared with them.
TRUTH, ANOTHER = 1, 1000
UNLEARNERS = {
    "LogisticRegression": ("newton", "replay", "retrain"),
    "ClassifierMLP": ("influence", "finetune", "replay", "retrain"),
}
#: Whose settings are tuned as well.
TUNED = {"LogisticRegression": "newton", "ClassifierMLP": "finetune"}
TMC, PYDVL_TMC, PYDVL = "OpenDataVal, DataShapley (TMC)", "pyDVL, TMC", "pyDVL, permutations"
OWN = "OpenDataVal's fits, all coalitions"
GOALS = (0.3, 0.2, 0.1)


def measure(settings: dict[str, Any], seeds: Sequence[int]) -> Iterator[Row]:
    """Yield a row for each model, seed, method and budget; first one for what another retraining is off by."""
    for seed in seeds:
        for model in settings["models"]:
            grouped = providers(model, settings["rows"], settings["groups"], seed)
            truths = [retrained(grouped, TRUTH + number) for number in range(settings["truths"])]
            truth = np.mean(truths, axis=0)
            found = {"model": model, "seed": seed}
            yield {**found, "method": "truth", "deviation": deviation(truths)}
            runs = {(method, size): run for method, size, run in methods(grouped, model, settings, seed)}
            done = alternate({f"{method}|{size}": run for (method, size), run in runs.items()}, 1)
            for (method, size), timed in zip(runs, done.values(), strict=True):
                row = {**found, "method": method, "size": size}
                if timed.failure is not None:
                    yield {**row, "failure": timed.failure}
                else:
                    yield {**row, "seconds": timed.median_cpu, "wall": timed.median, **errors(timed.results[0], truth)}


def providers(model: str, rows: int, groups: int, seed: int) -> Grouped:
    """Return a task whose groups differ in size and in their share of wrong labels, from none to a half."""
    rng = np.random.default_rng(seed)
    sizes = rng.dirichlet(np.full(groups, 5.0))
    of = np.concatenate([np.arange(groups), rng.choice(groups, rows - groups, p=sizes)])
    share = np.linspace(0, 0.5, groups)[rng.permutation(groups)]
    return Grouped(flipped("breast_cancer", model, rows, seed, share[of]), of)


def retrained(grouped: Grouped, seed: int) -> NDArray[np.float64]:
    """Return exact values ``[n]`` of retraining all coalitions, many at once, with one seed."""
    game = UnlearningGame(grouped.task.problem(grouped.task.fit(seed=seed), grouped.groups), "retrain", seed=seed)
    return shapley_values(game, "exact").values


def ours(grouped: Grouped, unlearner: str, budget: int, seed: int, *, tuned: bool = False) -> NDArray[np.float64]:
    """Return values ``[n]`` by unlearning, training of the one model included, and tuning if asked for."""
    problem = grouped.task.problem(grouped.task.fit(seed=seed), grouped.groups)
    game = UnlearningGame(problem, unlearner, seed=ANOTHER + seed)
    if tuned:
        game = game.with_settings(**tune(game).settings)
    exact = budget >= 1 << grouped.n
    result = shapley_values(game, "exact" if exact else "permutation", None if exact else budget, seed)
    return checked(result.values, grouped.n)


def methods(
    grouped: Grouped, model: str, settings: dict[str, Any], seed: int
) -> Iterator[tuple[str, int, Callable[[], NDArray[np.float64]]]]:
    """Yield what is compared: its name, how many coalitions or permutations it takes, and how to run it."""
    every = 1 << grouped.n
    budgets = [*settings["budgets"], every]
    for unlearner in UNLEARNERS[model]:
        for budget in budgets:
            yield unlearner, budget, partial(ours, grouped, unlearner, budget, seed)
    yield f"{TUNED[model]}, tuned", every, partial(ours, grouped, TUNED[model], every, seed, tuned=True)
    for permutations in settings["permutations"]:
        yield TMC, permutations, partial(opendataval_tmc, grouped, permutations, seed)
        yield PYDVL_TMC, permutations, partial(pydvl_values, grouped, permutations, seed, "tmc")
        yield PYDVL, permutations, partial(pydvl_values, grouped, permutations, seed, "permutation")
    if settings["own"]:
        yield OWN, every, partial(own_fits, grouped, ANOTHER + seed)


def errors(values: NDArray[np.float64], truth: NDArray[np.float64]) -> Row:
    """Return the length of the error over that of the truth, and the rank correlation.

    Examples
    --------
    >>> errors(np.array([3.0, 5.0]), np.array([3.0, 4.0]))
    {'error': 0.2, 'spearman': 1.0}
    """
    error = float(np.linalg.norm(values - truth) / np.linalg.norm(truth))
    rank = float(spearmanr(values, truth)[0])
    return {"error": error, **({"spearman": round(rank, 12)} if np.isfinite(rank) else {})}


def deviation(truths: list[NDArray[np.float64]]) -> float:
    """Return how far one retraining is from the mean of the others, in the mean, as ``errors`` measures it."""
    total = np.sum(truths, axis=0)
    others = [(total - one) / (len(truths) - 1) for one in truths]
    return float(np.mean([errors(one, mean)["error"] for one, mean in zip(truths, others, strict=True)]))


def summary(report: Report, model: str) -> dict[str, list[Row]]:
    """Return for each method its failure, or medians over seeds by size: seconds, error and rank correlation."""
    lines: dict[str, list[Row]] = {}
    rows = [row for row in report.rows if row["model"] == model and row["method"] != "truth"]
    for method, size in dict.fromkeys((row["method"], row["size"]) for row in rows):
        same = [row for row in rows if (row["method"], row["size"]) == (method, size)]
        failed = [row["failure"] for row in same if "failure" in row]
        keys = ("seconds", "error", "spearman")
        medians = {key: float(np.median([row[key] for row in same if key in row] or [np.nan])) for key in keys}
        lines.setdefault(method, []).append({"size": size, **({"failure": failed[0]} if failed else medians)})
    return lines


def floors(report: Report) -> dict[str, float]:
    """Return how far one retraining is from others, by model, in the mean over seeds."""
    found: dict[str, list[float]] = {}
    for row in report.rows:
        if row["method"] == "truth":
            found.setdefault(row["model"], []).append(row["deviation"])
    return {model: float(np.mean(deviations)) for model, deviations in found.items()}


def draw(report: Report, path: Path) -> None:
    """Draw the report."""
    known = floors(report)
    draw_accuracy({model: summary(report, model) for model in known}, known, path)


def tables(report: Report) -> list[Table]:
    """Return a table for each model: the seconds until the error is small enough, and the best values."""
    made = []
    header = ["method", *(f"s to error {goal:g}" for goal in GOALS), "least error", "its Spearman", "its seconds"]
    for model, floor in floors(report).items():
        rows = []
        for method, points in summary(report, model).items():
            good = [point for point in points if "failure" not in point]
            if not good:
                rows.append([method, points[0]["failure"], *[""] * 5])
                continue
            times = [min((p["seconds"] for p in good if p["error"] <= goal), default=None) for goal in GOALS]
            best = min(good, key=lambda point: point["error"])
            cells = ["never" if seconds is None else f"{seconds:.2f}" for seconds in times]
            keys = ("error", "spearman", "seconds")
            rows.append([method, *cells, *(number(best, key, ".2f" if key == "seconds" else ".3f") for key in keys)])
        seeds = seeds_of([row for row in report.rows if row["model"] == model])
        caption = f"{model}, {seeds} (medians). One retraining is {floor:.3f} off the mean of the others."
        made.append(Table(caption, header, rows))
    return made


ACCURACY = Question(
    "accuracy",
    "Time to accuracy",
    "Shapley values of ten groups of breast_cancer (200 rows, unequal sizes, from no to half of the labels wrong) for "
    "OpenDataVal's models, against exact retrained values: the means over 12 retrainings of all 1,024 coalitions. "
    "Utility: log-likelihood of the validation rows. Error: length of the difference over length of the retrained "
    "values. Seconds are processor time (wall time, where the machine is idle), training of the given model and tuning "
    "included; never: not at the sizes that ran (ours up to all coalitions, peers up to 32 permutations). Peers "
    "retrain with OpenDataVal's own fit, empty coalitions included; pyDVL is given the same utility, and one job. "
    "`retrain` is ours, of many coalitions at once.",
    measure,
    tables,
    full={
        "models": ["LogisticRegression", "ClassifierMLP"],
        "rows": 200,
        "groups": 10,
        "truths": 12,
        "budgets": [38, 128, 512],
        "permutations": [2, 8, 32],
        "own": True,
    },
    quick={
        "models": ["LogisticRegression", "ClassifierMLP"],
        "rows": 100,
        "groups": 6,
        "truths": 4,
        "budgets": [22],
        "permutations": [2, 8],
        "own": False,
    },
    seeds=(3, 1),
    figure=draw,
)
