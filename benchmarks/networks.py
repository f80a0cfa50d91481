"""The distance of the unlearners from retraining for a small network, on the data that ships with scikit-learn.

    python benchmarks/networks.py

A network with one hidden layer of 32 units, 30 epochs of Adam, 200 training rows (fewer for the smaller sets), 300
coalitions of all sizes. The utility is the log-likelihood, for diabetes the share of variance explained. Rank
correlation (Spearman) with retraining, mean absolute error, and microseconds per coalition; means over seeds. Two
retrainings differ in the order of the batches; "nothing" is the utility of the given model for every coalition.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from scipy.stats import spearmanr

from unshap_plugin import UnlearningGame, ValuationProblem
from unshap_plugin.cli._examples import example
from unshap_plugin.cli._models import train_model

COALITIONS = 300
METHODS = ("replay", "newton", "finetune", "graddiff", "gradient_ascent", "influence", "ssd")


def main() -> None:
    """Run all examples."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'example':<14} {'method':<16} {'Spearman':>8} {'error':>7} {'us':>6}")
    for name in ("breast_cancer", "iris", "wine", "diabetes"):
        rows: dict[str, list[tuple[float, float, float]]] = {}
        for seed in range(options.seeds):
            table = example(name, seed=seed)
            trained = train_model("mlp", table, seed)
            problem = ValuationProblem(
                trained.model,
                (table.x, table.y),
                (table.x_test, table.y_test),
                loss=trained.loss,
                metric="log_likelihood" if table.classes else "r2",
                fit=trained.recipe,
            )
            rng, n = np.random.default_rng(seed), len(table.y)
            coalitions = np.array([rng.permutation(n) < rng.integers(0, n + 1) for _ in range(COALITIONS)])
            begin = time.perf_counter()
            first = UnlearningGame(problem, "retrain", seed=1)(coalitions)
            cost = (time.perf_counter() - begin) / COALITIONS * 1e6
            second = UnlearningGame(problem, "retrain", seed=2)(coalitions)
            rows.setdefault("retrain", []).append(
                (float(spearmanr(first, second)[0]), float(np.abs(first - second).mean()), cost)
            )
            for method in METHODS:
                begin = time.perf_counter()
                values = UnlearningGame(problem, method)(coalitions)
                cost = (time.perf_counter() - begin) / COALITIONS * 1e6
                error = float(np.abs(values - first).mean())
                rows.setdefault(method, []).append((float(spearmanr(values, first)[0]), error, cost))
            nothing = float(np.abs(problem.given_utility - first).mean())
            rows.setdefault("nothing", []).append((float("nan"), nothing, 0.0))
        for method, runs in rows.items():
            rank, error, cost = np.mean(runs, axis=0)
            print(f"{name:<14} {method:<16} {rank:8.3f} {error:7.3f} {cost:6.0f}")


if __name__ == "__main__":
    main()
