"""The distance of unlearning from retraining, for a model at its optimum and for one that was stopped early.

    python benchmarks/fidelity.py

Prints, for 400 coalitions of all sizes and each of several seeds, the rank correlation (Spearman) of unlearned with
retrained utilities, in all and in each quarter of the coalition sizes.

1. L2-regularised logistic regression at its optimum, on three data sets; retraining is scikit-learn's own.
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
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from unshap_plugin import Recipe, UnlearningGame, ValuationProblem
from unshap_plugin.losses import mse
from unshap_plugin.metrics import resolve_metric

ROWS, COALITIONS, METRICS = 200, 400, {"accuracy": "accuracy", "log-likelihood": "log_likelihood"}
FIT: dict[str, Any] = {"lr": 0.01, "epochs": 10, "batch_size": 32}
CONVERGED = {"breast_cancer": (load_breast_cancer, 200), "wine": (load_wine, 100), "digits": (load_digits, 200)}
EARLY = ("replay", "newton", "finetune")
Data = tuple[NDArray[np.float64], NDArray[np.int64]]


def data(seed: int, flip: float, load: Any = load_breast_cancer, size: int = ROWS) -> tuple[Data, Data]:
    """Standardised data: training rows with flipped labels (of two classes), at most 500 others for the test."""
    x, y = load(return_X_y=True)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))[: size + 500]
    x, y = StandardScaler().fit(x[order[:size]]).transform(x[order]), y[order]
    wrong = rng.choice(size, round(flip * size), replace=False)
    labels = y[:size].copy()
    labels[wrong] = 1 - labels[wrong]
    return (x[:size], labels), (x[size:], y[size:])


def coalitions(seed: int, size: int = ROWS) -> NDArray[np.bool_]:
    """Coalitions of all sizes, the same number of each quarter, sorted by size."""
    rng = np.random.default_rng(seed)
    drawn = [rng.permutation(size) < rng.integers(0, size + 1) for _ in range(COALITIONS)]
    return np.array(sorted(drawn, key=lambda coalition: int(coalition.sum())))


def agreement(a: NDArray[np.float64], b: NDArray[np.float64]) -> list[float]:
    """Return Spearman correlations of all coalitions, then of each quarter."""
    parts = [np.arange(len(a)), *np.array_split(np.arange(len(a)), 4)]
    return [float(spearmanr(a[part], b[part])[0]) for part in parts]


def show(what: str, runs: list[list[float]]) -> None:
    """Print the mean over seeds, and the spread of the first figure."""
    mean, spread = np.mean(runs, axis=0), np.std([run[0] for run in runs])
    quarters = " ".join(f"{one:.3f}" for one in mean[1:])
    print(f"  {what:<44} {mean[0]:.3f} (spread {spread:.3f})   quarters {quarters}")


def head(x: NDArray[np.float64], y: NDArray[np.int64]) -> nn.Linear:
    """Return scikit-learn's fit as a torch module: of two classes the logit of the second, of more one logit each."""
    model = LogisticRegression(C=1.0, tol=1e-8, max_iter=10_000).fit(x, y)
    linear = nn.Linear(x.shape[1], len(model.coef_)).double()
    linear.weight.data, linear.bias.data = torch.as_tensor(model.coef_), torch.as_tensor(model.intercept_)
    return linear


def converged(name: str, seeds: int) -> None:
    """Compare with scikit-learn's fits, at the optimum."""
    load, size = CONVERGED[name]
    print(f"L2-regularised logistic regression at its optimum, {name}, {size} rows, {seeds} seeds")
    runs: dict[str, list[list[float]]] = {metric: [] for metric in METRICS}
    errors, costs = [], []
    for seed in range(seeds):
        train, test = data(seed, 0.0, load, size)
        classes = len(np.unique(train[1]))
        # Scikit-learn cannot be fitted on rows of one class, and fits other models where one of several is missing.
        kept = np.array([one for one in coalitions(seed, size) if len(np.unique(train[1][one])) == classes])
        problem = ValuationProblem(
            head(*train),
            train,
            test,
            loss="binary_cross_entropy_with_logits" if classes == 2 else "cross_entropy",
            metric=METRICS,
            fit={"l2": {"weight": 1.0}},
        )
        begin = time.perf_counter()
        unlearned = UnlearningGame(problem, "newton")(kept)
        middle = time.perf_counter()
        models = [head(train[0][one], train[1][one]) for one in kept]
        costs.append((time.perf_counter() - middle) / (middle - begin))
        with torch.no_grad():
            outputs = torch.stack([model(problem.x_test) for model in models])
        retrained = problem.metric.score(outputs, problem.y_test).numpy()
        errors.append(np.abs(unlearned - retrained).mean(axis=0))
        for column, metric in enumerate(METRICS):
            runs[metric].append(agreement(unlearned[:, column], retrained[:, column]))
    for column, metric in enumerate(METRICS):
        show(f"newton with retraining, {metric}", runs[metric])
        print(f"    mean absolute error {np.mean(errors, axis=0)[column]:.4f}")
    print(f"    one retraining costs as much as {np.mean(costs):.1f} unlearned coalitions\n")


def refitted(start: Any, x: Tensor, y: Tensor, row: NDArray[np.bool_], x_test: Tensor) -> Tensor:
    """Return the outputs of OpenDataVal's model, trained on these rows by its own ``fit``."""
    model = start.clone()
    outputs: Tensor = (model.fit(x[row], y[row], **FIT) if row.any() else model).predict(x_test)
    return outputs


def stopped_early(seeds: int) -> None:
    """Compare with training by the recipe of OpenDataVal."""
    from opendataval.model import LogisticRegression as OpenDataValLogistic
    from unshap_opendataval.conventions import log_likelihood, training_loss

    print(
        f"OpenDataVal's LogisticRegression after 10 epochs, 20% flipped labels, {COALITIONS} coalitions, {seeds} seeds"
    )
    between: dict[str, list[list[float]]] = {name: [] for name in METRICS}
    methods: dict[tuple[str, str], list[list[float]]] = {(one, name): [] for one in EARLY for name in METRICS}
    for seed in range(seeds):
        (x, y), (x_test, y_test) = data(seed, flip=0.2)
        x, x_test = torch.as_tensor(x, dtype=torch.float32), torch.as_tensor(x_test, dtype=torch.float32)
        one_hot, test_one_hot = torch.eye(2)[y], torch.eye(2)[y_test]
        torch.manual_seed(seed)
        start = OpenDataValLogistic(30, 2)
        recipe = Recipe("adam", init=start, **FIT)
        model = start.clone().fit(x, one_hot, **FIT)
        kept = coalitions(seed)
        metrics = {"accuracy": resolve_metric("accuracy", mse), "log-likelihood": log_likelihood(model, one_hot)}

        first, second = (torch.stack([refitted(start, x, one_hot, one, x_test) for one in kept]) for _ in range(2))
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
            for one in EARLY:
                unlearned = UnlearningGame(problem, one)(kept)
                methods[one, name].append(list(np.mean([agreement(unlearned, a), agreement(unlearned, b)], axis=0)))
    for name in METRICS:
        show(f"two retraining seeds, {name}", between[name])
        for one in EARLY:
            show(f"{one} with retraining, {name}", methods[one, name])
            ratio = np.mean(methods[one, name], axis=0)[0] / np.mean(between[name], axis=0)[0]
            print(f"    {one} has {ratio:.0%} of the agreement that two retraining seeds have")


def main() -> None:
    """Run both parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="'pin_memory' argument")
    for name in CONVERGED:
        converged(name, options.seeds)
    stopped_early(options.seeds)


if __name__ == "__main__":
    main()
