"""Eight providers of handwritten digits: the Shapley values by every unlearner against exact retrained ones.

    python benchmarks/providers.py

A 64-32-10 network on scikit-learn's digits, 500 training rows of eight providers of unequal size and label noise, 150
steps of Adam with all rows, all 256 coalitions, two metrics, 500 reference rows without labels. Printed are the
correlation (Pearson) of the values with those of retraining with the same seed, the rank correlation (Spearman) and
mean absolute error of the utilities, and the cost in units of that of batched retraining; means over seeds, with the
smallest and largest. Of two kinds of noise, ``heavy`` has a provider four fifths of whose labels are wrong.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler
from torch import nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem, shapley_values
from unshap_plugin.losses import cross_entropy

ROWS, TESTS, REFERENCES = 500, 700, 500
SIZES = (20, 30, 40, 50, 60, 80, 100, 120)
NOISES = {"heavy": (0, 0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.8), "light": (0, 0, 0, 0, 0.1, 0.2, 0.3, 0.4)}
METRICS = {"accuracy": "accuracy", "log-likelihood": "log_likelihood"}
FULL = ("replay", "finetune", "graddiff", "influence", "ssd", "merge")
PARTIAL = ("reference_teacher", "anchored", "gradient_ascent", "npo", "simnpo", "random_label", "task_vector")
ALL = (np.arange(256)[:, None] >> np.arange(8) & 1).astype(bool)


def problem(noise: str, seed: int, access: str) -> ValuationProblem:
    """Return the problem of a seed, which draws rows, sizes, noise and initial parameters."""
    x, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    x, y = StandardScaler().fit(x[order[:ROWS]]).transform(x[order]).astype(np.float32), y[order]
    provider = np.repeat(np.arange(8), rng.permutation(SIZES))
    wrong = rng.random(ROWS) < rng.permutation(NOISES[noise])[provider]
    labels = y[:ROWS].copy()
    labels[wrong] = (labels[wrong] + rng.integers(1, 10, int(wrong.sum()))) % 10
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        start = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    recipe = Recipe("adam", lr=0.01, epochs=150, batch_size=None, init=start)
    model = recipe.train(start, cross_entropy, torch.as_tensor(x[:ROWS]), torch.as_tensor(labels), seed=seed)
    test, rest = slice(ROWS, ROWS + TESTS), slice(ROWS + TESTS, ROWS + TESTS + REFERENCES)
    return ValuationProblem(
        model,
        (x[:ROWS], labels),
        (x[test], y[test]),
        metric=METRICS,
        groups=provider,
        reference=x[rest],
        access=access,  # type: ignore[arg-type]
        fit=recipe,
    )


def measured(
    noise: str, seed: int, access: str, unlearner: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return utilities ``[256, 2]``, values ``[8, 2]`` and seconds per coalition."""
    game = UnlearningGame(problem(noise, seed, access), unlearner)
    begin = time.perf_counter()
    utilities = game(ALL)
    seconds = (time.perf_counter() - begin) / len(ALL)
    return utilities, shapley_values(game, "exact").values, seconds


def table(seeds: int, noises: Sequence[str], methods: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the table."""
    yield "| noise | access | method | values, accuracy | values, log-likelihood | utilities: Spearman | error | cost |"
    yield "|---|---|---|---|---|---|---|---|"
    for noise in noises:
        truth = [measured(noise, seed, "full", "retrain") for seed in range(seeds)]
        for method in methods:
            access = "partial" if method in PARTIAL else "full"
            pearson, ranks, errors, costs = [], [], [], []
            for seed, (utilities, values, seconds) in enumerate(truth):
                ours, mine, own = measured(noise, seed, access, method)
                pearson.append([pearsonr(values[:, k], mine[:, k])[0] for k in range(2)])
                ranks.append([spearmanr(utilities[:, k], ours[:, k])[0] for k in range(2)])
                errors.append(np.abs(ours - utilities).mean(axis=0))
                costs.append(own / seconds)
            low, mean, high = (function(pearson, axis=0) for function in (np.min, np.mean, np.max))
            cells = " | ".join(f"{mean[k]:.3f} ({low[k]:.3f} to {high[k]:.3f})" for k in range(2))
            rank, error = np.mean(ranks, axis=0), np.mean(errors, axis=0)
            yield (
                f"| {noise} | {access} | `{method}` | {cells} | {rank[0]:.2f}, {rank[1]:.2f} | "
                f"{error[0]:.3f}, {error[1]:.2f} | {np.mean(costs):.3f} |"
            )


def main() -> None:
    """Run all methods on all seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--noise", choices=sorted(NOISES), nargs="+", default=sorted(NOISES))
    parser.add_argument("--methods", nargs="+", choices=[*FULL, *PARTIAL], default=[*FULL, *PARTIAL])
    options = parser.parse_args()
    torch.set_num_threads(1)
    for line in table(options.seeds, options.noise, options.methods):
        print(line, flush=True)


if __name__ == "__main__":
    main()
