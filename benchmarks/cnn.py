"""A convolutional network with batch norm, six providers of digits: all 64 retrainings in a loop, at once, and auto.

    python benchmarks/cnn.py

Two convolutions with batch norm, on 500 images of 8 by 8 pixels of six providers of unequal size and label noise; Adam,
batches of 32 rows. ``loop`` trains one model after the other by the recipe, as ``torch`` users do; ``retrain`` is the
batched retraining of this package, and ``auto`` what it chooses. Seconds of the processor for all 64 coalitions, the
same as a share of those of the loop, and the correlation (Pearson) of the Shapley values with those of the loop, once
with its seed and once with another: how well two retrainings agree is the first line of that column. One thread, in
turns.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem, shapley_values
from unshap_plugin.losses import cross_entropy

ROWS, TESTS = 500, 500
SIZES = (30, 50, 70, 90, 110, 150)
NOISE = (0, 0.6, 0, 0.1, 0.3, 0.2)
ALL = (np.arange(64)[:, None] >> np.arange(6) & 1).astype(bool)
METHODS = ("retrain", "auto", "finetune", "merge")


def network() -> nn.Module:
    """Return the network, drawn anew."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


def problem(epochs: int, seed: int = 0) -> tuple[ValuationProblem, nn.Module]:
    """Return the problem, and the module that training starts from."""
    x, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))[: ROWS + TESTS]
    images, labels = (x[order].reshape(-1, 1, 8, 8) / 16).astype(np.float32), y[order]
    provider = np.repeat(np.arange(6), SIZES)
    wrong = rng.random(ROWS) < np.array(NOISE)[provider]
    given = labels[:ROWS].copy()
    given[wrong] = (given[wrong] + rng.integers(1, 10, int(wrong.sum()))) % 10
    torch.manual_seed(seed)
    start = network()
    recipe = Recipe("adam", lr=0.01, epochs=epochs, batch_size=32, init=start)
    model = recipe.train(start, cross_entropy, torch.as_tensor(images[:ROWS]), torch.as_tensor(given), seed=seed)
    test = (images[ROWS:], labels[ROWS:])
    return ValuationProblem(
        model, (images[:ROWS], given), test, metric="log_likelihood", groups=provider, fit=recipe
    ), start


def loop(asked: ValuationProblem, start: nn.Module, seed: int) -> NDArray[np.float64]:
    """Return the log-likelihoods of models that are trained one after the other."""
    utilities = [asked.given_utility]
    for rows in asked.retained(ALL[:-1]):
        model = asked.recipe.train(start, cross_entropy, asked.x, asked.y, rows=rows, seed=seed)
        with torch.no_grad():
            log_p = model(asked.x_test).log_softmax(dim=1)
        utilities.append(log_p.gather(1, asked.y_test[:, None]).double().mean().numpy())
    return np.array([*utilities[1:], utilities[0]])


def values(utilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Shapley values, ``[6]``, for utilities of all coalitions, ``[64]``."""

    class Game:
        n_players = 6

        def __call__(self, coalitions: NDArray[np.bool_]) -> NDArray[np.float64]:
            return utilities[coalitions @ (1 << np.arange(6))]

    return shapley_values(Game(), "exact").values


def timed(function: Callable[[], NDArray[np.float64]]) -> tuple[float, NDArray[np.float64]]:
    """Return the seconds of the processor that a function takes, and the Shapley values of its utilities."""
    begin = time.process_time()
    utilities = function()
    return time.process_time() - begin, values(utilities)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, nargs="+", default=[10, 20])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| epochs | method | seconds | loop = 1 | Pearson, same seed | Pearson, another seed |")
    print("|---|---|---|---|---|---|")
    for epochs in options.epochs:
        asked, start = problem(epochs)
        _, other = timed(lambda: loop(asked, start, seed=2))  # noqa: B023 (called at once)
        runs: dict[str, list[tuple[float, NDArray[np.float64]]]] = {}
        for _ in range(options.repeats):
            runs.setdefault("loop", []).append(timed(lambda: loop(asked, start, seed=1)))  # noqa: B023
            for method in METHODS:
                game = UnlearningGame(asked, method, seed=1)
                name = f"{method} ({game.unlearner.name})" if method == "auto" else method
                runs.setdefault(name, []).append(timed(lambda: game(ALL)))  # noqa: B023
        base, truth = float(np.median([seconds for seconds, _ in runs["loop"]])), runs["loop"][0][1]
        for name, found in runs.items():
            seconds, own = float(np.median([one for one, _ in found])), found[0][1]
            same, another = (np.corrcoef(own, one)[0, 1] for one in (truth, other))
            print(f"| {epochs} | {name} | {seconds:.2f} | {seconds / base:.2f} | {same:.3f} | {another:.3f} |")


if __name__ == "__main__":
    main()
