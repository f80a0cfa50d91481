"""Minibatches against steps with all rows, at equal processor time: ``finetune`` and ``graddiff`` on digits.

    python benchmarks/minibatches.py

A 64-32-10 network on 500 rows of scikit-learn's digits, 30 epochs of Adam in batches of 32; the rows are the players,
and 64 coalitions keep a random half each. The labels are right, or a fifth of them is wrong. Fidelity is the
correlation of the log-likelihoods with those of retraining, the mean of two seeds. What a coalition may cost is a share
of what it costs to retrain, scoring included, in processor time of one thread. Within each share, steps and learning
rate, and the rows of a batch, are those that correlate best (Pearson) over some seeds; the table has the means over
other seeds, and the difference that minibatches make there with its standard error. *another seed* is one retraining
against the other.
"""

from __future__ import annotations

import argparse
import itertools
import time
import warnings
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler
from torch import nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem
from unshap_plugin.losses import cross_entropy

ROWS, TESTS, COALITIONS = 500, 700, 64
WRONG = {"right labels": 0.0, "a fifth of the labels wrong": 0.2}
METHODS = ("finetune", "graddiff")
SIZES = (None, 32, 64, 128)
STEPS = (1, 2, 3, 6, 12, 24, 48)
RATES = (0.005, 0.01, 0.02, 0.04)
SHARES = (1 / 16, 1 / 12, 1 / 8, 1 / 6, 1 / 4)


class Measured(NamedTuple):
    """Correlations with retraining, and seconds of the processor."""

    pearson: float
    spearman: float
    seconds: float


class Case:
    """A trained network, coalitions, and the utilities of retraining.

    Parameters
    ----------
    wrong
        Share of the labels that are wrong.
    seed
        Draws rows, labels, initial parameters and coalitions.
    """

    def __init__(self, wrong: float, seed: int) -> None:
        x, y = load_digits(return_X_y=True)
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(y))[: ROWS + TESTS]
        x, y = StandardScaler().fit(x[order[:ROWS]]).transform(x[order]).astype(np.float32), y[order]
        labels = y[:ROWS].copy()
        flipped = rng.permutation(ROWS) < wrong * ROWS
        labels[flipped] = (labels[flipped] + rng.integers(1, 10, int(flipped.sum()))) % 10
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            start = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        recipe = Recipe("adam", lr=0.01, epochs=30, batch_size=32, init=start)
        model = recipe.train(start, cross_entropy, torch.as_tensor(x[:ROWS]), torch.as_tensor(labels), seed=seed)
        self._problem = ValuationProblem(
            model, (x[:ROWS], labels), (x[ROWS:], y[ROWS:]), metric="log_likelihood", fit=recipe
        )
        self._coalitions = np.array([rng.permutation(ROWS) < ROWS // 2 for _ in range(COALITIONS)])
        self._run("retrain", 1)  # which is where the machine warms up
        one, self._seconds = self._run("retrain", 1)
        other, _ = self._run("retrain", 2)
        self._truth = (one + other) / 2
        self.another_seed = Measured(*_correlations(one, other), self._seconds)

    def measured(self, method: str, **settings: Any) -> Measured:
        """Return what a method with some settings gives."""
        utilities, seconds = self._run(method, 3, **settings)
        return Measured(*_correlations(utilities, self._truth), seconds)

    def _run(self, method: str, seed: int, **settings: Any) -> tuple[NDArray[np.float64], float]:
        begin = time.process_time()
        utilities = UnlearningGame(self._problem, method, seed=seed, **settings)(self._coalitions)
        return utilities, time.process_time() - begin


def _correlations(ours: NDArray[np.float64], truth: NDArray[np.float64]) -> tuple[float, float]:
    return float(pearsonr(ours, truth)[0]), float(spearmanr(ours, truth)[0])


def best(cases: list[Case], method: str) -> dict[tuple[float, bool], dict[str, Any]]:
    """Return the best settings over some cases for each share of the cost, with all rows and with minibatches."""
    retraining = np.median([case.another_seed.seconds for case in cases])
    found: dict[tuple[float, bool], tuple[float, dict[str, Any]]] = {}
    for size, steps, lr in itertools.product(SIZES, STEPS, RATES):
        settings = {"batch_size": size, "steps": steps, "lr": lr}
        runs = [case.measured(method, **settings) for case in cases]
        cost, fidelity = (
            np.median([run.seconds for run in runs]) / retraining,
            float(np.mean([r.pearson for r in runs])),
        )
        for key in ((share, size is not None) for share in SHARES if cost <= share):
            if key not in found or fidelity > found[key][0]:
                found[key] = fidelity, settings
    return {key: settings for key, (_, settings) in found.items()}


def main() -> None:
    """Print a table for each kind of labels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--choosing", type=int, default=4, help="seeds on which settings are chosen")
    parser.add_argument("--seeds", type=int, default=12, help="other seeds, of which the means are")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message=".*diverged")
    for title, wrong in WRONG.items():
        chosen_on = [Case(wrong, seed) for seed in range(options.choosing)]
        others = [Case(wrong, seed) for seed in range(options.choosing, options.choosing + options.seeds)]
        retraining = np.median([case.another_seed.seconds for case in others])
        again = np.mean([case.another_seed for case in others], axis=0)
        print(f"\n{title}\n\n| method | cost | rows | steps | lr | measured cost | Pearson | Spearman | difference |")
        print("|---|---|---|---|---|---|---|---|---|")
        print(f"| *another seed* | 1 | | | | 1.000 | {again[0]:.3f} | {again[1]:.3f} | |")
        for method in METHODS:
            settings = best(chosen_on, method)
            for share in SHARES:
                whole: list[float] | None = None
                for minibatches in (False, True):
                    if (share, minibatches) not in settings:
                        continue
                    mine = settings[share, minibatches]
                    runs = [case.measured(method, **mine) for case in others]
                    pearson, spearman, _ = np.mean(runs, axis=0)
                    cost = np.median([run.seconds for run in runs]) / retraining
                    difference = ""
                    if whole is not None:
                        gain = np.array([run.pearson for run in runs]) - whole
                        difference = f"{gain.mean():+.3f} ± {gain.std(ddof=1) / len(gain) ** 0.5:.3f}"
                    whole = None if minibatches else [run.pearson for run in runs]
                    print(
                        f"| `{method}` | 1/{1 / share:.0f} | {mine['batch_size'] or 'all'} | {mine['steps']} | "
                        f"{mine['lr']} | {cost:.3f} | {pearson:.3f} | {spearman:.3f} | {difference} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
