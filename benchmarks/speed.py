"""Time of a coalition against OpenDataVal's own fit of a random half of the rows, in one run, on one thread.

    python benchmarks/speed.py

Standardised breast_cancer (200 rows) and digits (500 rows), OpenDataVal's LogisticRegression and ClassifierMLP (five
layers), ten epochs, batches of 32 rows. Coalitions keep a random half of the rows, of which every row is a player; the
utility is the log-likelihood on 200 other rows. Medians of the repeats, in which fits and coalitions alternate. What
a method does once is in the time of the first coalition, which stands by itself. Needs OpenDataVal.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from opendataval.model import ClassifierMLP, LogisticRegression, Model
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.preprocessing import StandardScaler
from torch.nn import functional as F
from unshap_opendataval.conventions import log_likelihood, recipe_of, training_loss

from unshap_plugin import UnlearningGame, ValuationProblem

TRAINING = {"epochs": 10, "batch_size": 32, "lr": 0.01}
TESTS = 200


@dataclass(frozen=True)
class Case:
    """A model on a data set, and the methods that are timed on it."""

    name: str
    problem: ValuationProblem
    start: Model
    methods: tuple[str, ...]
    coalitions: int

    def fit(self, rows: np.ndarray) -> float:
        """Return how long OpenDataVal's own fit of some rows takes."""
        model, x, y = copy.deepcopy(self.start), self.problem.x[rows], self.problem.y[rows]
        begin = time.perf_counter()
        model.fit(x, y, **TRAINING)
        return time.perf_counter() - begin


def cases() -> Iterator[Case]:
    """Yield the models, trained."""
    for name, load, rows in (("breast_cancer", load_breast_cancer, 200), ("digits", load_digits, 500)):
        x, y = load(return_X_y=True)
        order = np.random.default_rng(0).permutation(len(y))[: rows + TESTS]
        rows_x = torch.as_tensor(StandardScaler().fit_transform(x[order]), dtype=torch.float32)
        labels = F.one_hot(torch.as_tensor(y[order])).float()
        for kind in (LogisticRegression, ClassifierMLP):
            linear = kind is LogisticRegression
            torch.manual_seed(0)
            start = kind(rows_x.shape[1], labels.shape[1])
            model = copy.deepcopy(start).fit(rows_x[:rows], labels[:rows], **TRAINING)
            problem = ValuationProblem(
                model,
                (rows_x[:rows], labels[:rows]),
                (rows_x[rows:], labels[rows:]),
                loss=training_loss(model, labels),
                metric=log_likelihood(model, labels),
                fit=recipe_of(model, TRAINING, start.state_dict()),
            )
            methods = ("newton", "replay") if linear else ("influence", "finetune", "replay")
            yield Case(
                f"{kind.__name__}, {name}",
                problem,
                start,
                (*methods, "retrain"),
                1024 if linear and rows < 500 else 256,
            )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'model':<34} {'method':<10} {'fit ms':>7} {'once ms':>8} {'us':>8} {'times faster':>12}")
    for case in cases():
        n, rng = len(case.problem.y), np.random.default_rng(0)
        halves = np.stack([rng.permutation(n) < n // 2 for _ in range(case.coalitions)])
        fits: list[float] = []
        times: dict[str, list[tuple[float, float]]] = {method: [] for method in case.methods}
        for repeat in range(options.repeats):
            fits += [case.fit(half) for half in halves[7 * repeat : 7 * repeat + 7]]
            for method in case.methods:
                game = UnlearningGame(case.problem, method)
                begin = time.perf_counter()
                game(halves[:1])
                once = time.perf_counter() - begin
                begin = time.perf_counter()
                game(halves[1:])
                times[method].append((once, (time.perf_counter() - begin) / (len(halves) - 1)))
        fit = float(np.median(fits))
        for method, runs in times.items():
            once, each = np.median(runs, axis=0)
            print(
                f"{case.name:<34} {method:<10} {fit * 1e3:7.1f} {once * 1e3:8.0f} {each * 1e6:8.1f} {fit / each:12.0f}"
            )


if __name__ == "__main__":
    main()
