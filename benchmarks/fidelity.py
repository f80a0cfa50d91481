"""How far Newton unlearning is from retraining, for a model at its optimum and for one that was stopped early.

    python benchmarks/fidelity.py

Prints, for 400 coalitions of all sizes and each of several seeds, the rank correlation (Spearman) of unlearned with
retrained utilities, in all and in each quarter of the coalition sizes.

1. An L2-regularised logistic regression at its optimum; retraining is scikit-learn's own.
2. OpenDataVal's LogisticRegression, ten epochs of Adam; retraining is its own ``fit``, from the same initial
   parameters. Two retrainings differ in the order of the batches, and agree only so well with each other: that is
   the ceiling. Needs OpenDataVal.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem
from unshap_plugin.losses import mse
from unshap_plugin.metrics import resolve_metric

ROWS, COALITIONS, METRICS = 200, 400, {"accuracy": "accuracy", "log-likelihood": "log_likelihood"}
FIT: dict[str, Any] = {"lr": 0.01, "epochs": 10, "batch_size": 32}
Data = tuple[NDArray[np.float64], NDArray[np.int64]]


def data(seed: int, flip: float) -> tuple[Data, Data]:
    """Standardised breast_cancer: 200 training rows with flipped labels, the others for the test."""
    x, y = load_breast_cancer(return_X_y=True)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    x, y = StandardScaler().fit(x[order[:ROWS]]).transform(x[order]), y[order]
    wrong = rng.choice(ROWS, round(flip * ROWS), replace=False)
    labels = y[:ROWS].copy()
    labels[wrong] = 1 - labels[wrong]
    return (x[:ROWS], labels), (x[ROWS:], y[ROWS:])


def coalitions(seed: int) -> NDArray[np.bool_]:
    """Coalitions of all sizes, the same number of each quarter, sorted by size."""
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(ROWS) < rng.integers(0, ROWS + 1) for _ in range(COALITIONS)]
    return np.array(sorted(rows, key=lambda row: int(row.sum())))


def agreement(a: NDArray[np.float64], b: NDArray[np.float64]) -> list[float]:
    """Spearman in all, then in each quarter."""
    parts = [np.arange(len(a)), *np.array_split(np.arange(len(a)), 4)]
    return [float(spearmanr(a[part], b[part])[0]) for part in parts]


def show(what: str, runs: list[list[float]]) -> None:
    """Print the mean over seeds, and the spread of the first figure."""
    mean, spread = np.mean(runs, axis=0), np.std([run[0] for run in runs])
    quarters = " ".join(f"{one:.3f}" for one in mean[1:])
    print(f"  {what:<44} {mean[0]:.3f} (spread {spread:.3f})   quarters {quarters}")


def converged(seeds: int) -> None:
    """Against scikit-learn's fits, at the optimum."""
    print(f"L2-regularised logistic regression at its optimum, {COALITIONS} coalitions, {seeds} seeds")
    runs: dict[str, list[list[float]]] = {name: [] for name in METRICS}
    errors, costs = [], []
    for seed in range(seeds):
        train, test = data(seed, flip=0.0)

        def fitted(keep: NDArray[np.bool_], train: Data = train) -> nn.Linear:
            model = LogisticRegression(C=1.0, tol=1e-8, max_iter=10_000).fit(train[0][keep], train[1][keep])
            head = nn.Linear(train[0].shape[1], 1).double()
            head.weight.data, head.bias.data = torch.as_tensor(model.coef_), torch.as_tensor(model.intercept_)
            return head

        def problem(model: nn.Linear, train: Data = train, test: Data = test) -> ValuationProblem:
            recipe = {"l2": {"weight": 1.0}}
            return ValuationProblem(
                model, train, test, loss="binary_cross_entropy_with_logits", metric=METRICS, fit=recipe
            )

        # Scikit-learn cannot be fitted on rows of one class.
        rows = np.array([row for row in coalitions(seed) if len(np.unique(train[1][row])) == 2])
        game = UnlearningGame(problem(fitted(np.ones(ROWS, dtype=bool))), "newton")
        begin = time.perf_counter()
        unlearned = game(rows)
        middle = time.perf_counter()
        models = [fitted(row) for row in rows]
        costs.append((time.perf_counter() - middle) / (middle - begin))
        x_test, y_test = game.problem.x_test, game.problem.y_test
        with torch.no_grad():
            outputs = torch.stack([model(x_test) for model in models])
        retrained = game.problem.metric.score(outputs, y_test).numpy()
        errors.append(np.abs(unlearned - retrained).mean(axis=0))
        for column, name in enumerate(METRICS):
            runs[name].append(agreement(unlearned[:, column], retrained[:, column]))
    for column, name in enumerate(METRICS):
        show(f"newton with retraining, {name}", runs[name])
        print(f"    mean absolute error {np.mean(errors, axis=0)[column]:.4f}")
    print(f"    one retraining costs as much as {np.mean(costs):.0f} unlearned coalitions\n")


def refitted(start: Any, x: Tensor, y: Tensor, row: NDArray[np.bool_], x_test: Tensor) -> Tensor:
    """Return the outputs of OpenDataVal's model, trained on these rows by its own ``fit``."""
    model = start.clone()
    outputs: Tensor = (model.fit(x[row], y[row], **FIT) if row.any() else model).predict(x_test)
    return outputs


def stopped_early(seeds: int) -> None:
    """Against the recipe of OpenDataVal."""
    from opendataval.model import LogisticRegression as OpenDataValLogistic
    from unshap_opendataval.conventions import log_likelihood, training_loss

    print(
        f"OpenDataVal's LogisticRegression after 10 epochs, 20% flipped labels, {COALITIONS} coalitions, {seeds} seeds"
    )
    between: dict[str, list[list[float]]] = {name: [] for name in METRICS}
    newton: dict[str, list[list[float]]] = {name: [] for name in METRICS}
    for seed in range(seeds):
        (x, y), (x_test, y_test) = data(seed, flip=0.2)
        x, x_test = torch.as_tensor(x, dtype=torch.float32), torch.as_tensor(x_test, dtype=torch.float32)
        one_hot, test_one_hot = torch.eye(2)[y], torch.eye(2)[y_test]
        torch.manual_seed(seed)
        start = OpenDataValLogistic(30, 2)
        recipe = Recipe("adam", init=start, **FIT)
        model = start.clone().fit(x, one_hot, **FIT)
        rows = coalitions(seed)
        metrics = {"accuracy": resolve_metric("accuracy", mse), "log-likelihood": log_likelihood(model, one_hot)}

        first, second = (torch.stack([refitted(start, x, one_hot, row, x_test) for row in rows]) for _ in range(2))
        for name, metric in metrics.items():
            problem = ValuationProblem(
                model,
                (x, one_hot),
                (x_test, test_one_hot),
                loss=training_loss(model, one_hot),
                metric=metric,
                fit=recipe,
            )
            a, b = (metric.score(outputs, test_one_hot).numpy() for outputs in (first, second))
            between[name].append(agreement(a, b))
            unlearned = UnlearningGame(problem, "newton")(rows)
            newton[name].append(list(np.mean([agreement(unlearned, a), agreement(unlearned, b)], axis=0)))
    for name in METRICS:
        show(f"two retraining seeds, {name}", between[name])
        show(f"newton with retraining, {name}", newton[name])
        ratio = np.mean(newton[name], axis=0)[0] / np.mean(between[name], axis=0)[0]
        print(f"    newton has {ratio:.0%} of the agreement that two retraining seeds have")


def main() -> None:
    """Run both parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="'pin_memory' argument")
    converged(options.seeds)
    stopped_early(options.seeds)


if __name__ == "__main__":
    main()
