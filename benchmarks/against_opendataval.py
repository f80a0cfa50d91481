"""Noisy-label detection and time against OpenDataVal's own evaluators, in one run, on one thread.

    python benchmarks/against_opendataval.py

Standardised breast_cancer, 200 training points of which 20% have flipped labels, a clean validation set, OpenDataVal's
LogisticRegression, ten epochs. AUC: how well low values find the flipped labels. Needs OpenDataVal.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time
import warnings
from typing import Any

import numpy as np
import torch
from opendataval.dataval import DataOob, DataShapley, KNNShapley
from opendataval.dataval.margcontrib import TMCSampler
from opendataval.metrics import Metrics
from opendataval.model import LogisticRegression
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from unshap_opendataval import UnlearningShapley

ROWS = 200


def evaluators(seed: int) -> dict[str, Any]:
    """Return our evaluators, and OpenDataVal's."""
    return {
        "UnlearningShapley": UnlearningShapley(random_state=seed),
        "UnlearningShapley, 20,000 evaluations": UnlearningShapley(budget=20_000, random_state=seed),
        "UnlearningShapley(retrain)": UnlearningShapley("retrain", random_state=seed),
        "KNNShapley(10)": KNNShapley(10),
        "DataOob(200)": DataOob(200, random_state=seed),
        "DataShapley, 20 permutations": DataShapley(
            TMCSampler(mc_epochs=20, random_state=seed, cache_name=f"benchmark {seed}")
        ),
    }


def main() -> None:
    """Run all of them for each seed, and print means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="'pin_memory' argument")
    rows: dict[str, list[tuple[float, float]]] = {}
    for seed in range(options.seeds):
        x, y = load_breast_cancer(return_X_y=True)
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(y))
        x = torch.as_tensor(StandardScaler().fit_transform(x[order]), dtype=torch.float32)
        labels = y[order].copy()
        flipped = rng.choice(ROWS, ROWS // 5, replace=False)
        labels[flipped] = 1 - labels[flipped]
        one_hot = torch.eye(2)[torch.as_tensor(labels)]
        torch.manual_seed(seed)
        model = LogisticRegression(30, 2)
        for name, evaluator in evaluators(seed).items():
            torch.manual_seed(seed)
            begin = time.perf_counter()
            with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
                evaluator.input_data(x[:ROWS], one_hot[:ROWS], x[ROWS:], one_hot[ROWS:])
                if hasattr(evaluator, "input_model_metric"):
                    evaluator.input_model_metric(model, Metrics.ACCURACY)
                evaluator.train_data_values(epochs=10, batch_size=32, lr=0.01)
                values = evaluator.evaluate_data_values()
            seconds = time.perf_counter() - begin
            auc = float(roc_auc_score(np.isin(np.arange(ROWS), flipped), -values))
            rows.setdefault(name, []).append((seconds, auc))
    ours = np.mean([seconds for seconds, _ in rows["UnlearningShapley"]])
    print(f"{'evaluator':<40} {'seconds':>8} {'times ours':>10} {'AUC':>6} {'(worst)':>8}")
    for name, runs in rows.items():
        seconds, auc = np.mean(runs, axis=0)
        print(f"{name:<40} {seconds:8.2f} {seconds / ours:10.2f} {auc:6.3f} {min(run[1] for run in runs):8.3f}")


if __name__ == "__main__":
    main()
