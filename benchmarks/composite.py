"""Rows as players: stratified values, and those composed with first-order marginals, against a long run.

    python benchmarks/composite.py [--cases breast_cancer:200 wine:90 digits:200 made:300] [--longer 2000] [--runs 5]

A case is a data set and a number of rows, of which a fifth have wrong labels. The model is OpenDataVal's
LogisticRegression, the utility the log-likelihood of the validation rows, the unlearner ``newton``. The reference has
so many antithetic permutations (``--longer``) of the same game. For each budget (utilities to a player): squared error
relative to the squared values, rank correlation with the reference, how well low values find the wrong labels (AUC),
the share of 95% intervals that cover the reference, and seconds of the processor, marginals included; medians over
runs with different seeds, of coverage the mean. Number and ranges of the covariates were chosen on breast_cancer.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from rows import auc, task_of
from scipy import stats

from unshap_plugin import UnlearningGame, shapley_values

CASES = ("breast_cancer:200", "wine:90", "digits:200", "made:300")
BUDGETS = (4, 8, 20)


def main() -> None:
    """Print a row for each case, budget and estimator."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=CASES)
    parser.add_argument("--longer", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    print("| case | budget | estimator | error | rank correlation | AUC | coverage | seconds |\n" + "|---" * 8 + "|")
    for case in given.cases:
        data, rows = case.split(":")
        task = task_of(data, int(rows))
        problem = task.problem(task.fit(seed=0))
        n = problem.n_players
        longer = shapley_values(
            UnlearningGame(problem, "newton"), "permutation", 2 + 2 * (n - 1) * given.longer, seed=1_000
        )
        truth, blur = longer.values, longer.std_errors
        print(f"| {case} | reference | permutation | | | {auc(truth, task.wrong):.3f} | | |", flush=True)
        for budget in BUDGETS:
            for estimator in ("stratified", "composite"):
                found = []
                for seed in range(given.runs):
                    begin = time.process_time()
                    result = shapley_values(UnlearningGame(problem, "newton"), estimator, budget * n, seed)
                    seconds = time.process_time() - begin
                    off = result.values - truth
                    width = stats.t.ppf(0.975, result.degrees_of_freedom) * result.std_errors
                    covered = np.abs(off) <= np.hypot(width, 1.96 * blur)
                    rank = stats.spearmanr(result.values, truth)[0]
                    error = (off @ off - blur @ blur) / (truth @ truth)
                    found.append((error, rank, auc(result.values, task.wrong), covered.mean(), seconds))
                one = np.median(found, axis=0)
                covered = np.mean([run[3] for run in found])
                row = [case, f"{budget}n", estimator, f"{one[0]:.4f}", f"{one[1]:.3f}", f"{one[2]:.3f}"]
                print("|", " | ".join([*row, f"{covered:.3f}", f"{one[4]:.2f}"]), "|", flush=True)


if __name__ == "__main__":
    main()
