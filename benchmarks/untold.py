"""Networks whose training is not told: `finetune` and `graddiff` against retraining, on data set aside for the choice.

    python benchmarks/untold.py

Seven networks of one hidden layer, with data of the seeds 20 to 22 (those of ``benchmarks/run.py auto`` are 10 and 11):
what ``auto`` takes for them was chosen on these figures. Rank correlation (Spearman) with two retrainings of 96
coalitions of single rows, and of all 64 coalitions of six providers with unequal shares of wrong labels; for the
latter also the correlation (Pearson) of utilities and of exact Shapley values; milliseconds of the processor for a
coalition of rows. ``retrain`` is held against its other seed. Means over seeds, about four minutes.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Collection

import numpy as np
import torch
from harness.choice import FIGURES, agreement, utilities
from harness.classes import network, trained

NETWORKS = {
    "breast_cancer, 30 epochs": trained(network(30, 32, 2), "breast_cancer", 200, "adam", 30, 32, 0.01),
    "digits, 15 epochs": trained(network(64, 32, 10), "digits", 300, "adam", 15, 32, 0.01),
    "digits, 100 epochs": trained(network(64, 32, 10), "digits", 300, "adam", 100, 32, 0.01),
    "digits, 150 steps with all rows": trained(network(64, 32, 10), "digits", 300, "adam", 150, None, 0.01),
    "breast_cancer, 100 steps with all rows": trained(
        network(30, 32, 2), "breast_cancer", 200, "adam", 100, None, 0.01
    ),
    "wine, 60 epochs": trained(network(13, 16, 3), "wine", 90, "adam", 60, 16, 0.01),
    "digits, 60 epochs of gradient descent": trained(network(64, 32, 10), "digits", 300, "sgd", 60, 32, 0.1),
}
METHODS = ("finetune", "graddiff")


def main() -> None:
    """Print a row for each network and method."""
    given = options(__doc__, NETWORKS)
    print(f"| network | method | {' | '.join(FIGURES)} | ms |\n" + "|---" * (len(FIGURES) + 3) + "|")
    for name in given.networks:
        for method, figures in measured(name, given.seeds).items():
            print(f"| {name} | `{method}` | " + " | ".join(f"{one:.3f}" for one in figures) + " |", flush=True)


def options(text: str | None, networks: Collection[str]) -> argparse.Namespace:
    """Return which networks and seeds are asked for, and keep to one thread, without warnings."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=networks, default=list(networks))
    parser.add_argument("--seeds", type=int, nargs="+", default=[20, 21, 22])
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    return parser.parse_args()


def measured(name: str, seeds: list[int]) -> dict[str, list[float]]:
    """Return by method the means of its figures and of its milliseconds."""
    found: dict[str, list[list[float]]] = {}
    for seed in seeds:
        given, rng = NETWORKS[name](seed), np.random.default_rng(seed)
        rows = len(given.provider)
        keep = rng.random((96, rows)) < rng.random((96, 1))
        (first, _, each), (second, _, _) = (utilities(given, "all", "retrain", keep, seed=one) for one in (1, 2))
        found.setdefault("retrain", []).append([*agreement(first, [second]).values(), 1e3 * each])
        for method in METHODS:
            ours, _, each = utilities(given, "rows", method, keep, seed=0)
            found.setdefault(method, []).append([*agreement(ours, [first, second]).values(), 1e3 * each])
    return {method: [float(one) for one in np.mean(figures, axis=0)] for method, figures in found.items()}


if __name__ == "__main__":
    main()
