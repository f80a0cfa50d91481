"""Values of retraining from few retrainings: with unlearned utilities as a feature, against retrainings alone.

    python benchmarks/corrected.py [--runs 12] [--cases 0 1 ...] [--budgets 3 5 10]

Games of 8 to 12 providers of unequal size, of which three have scrambled labels; all coalitions are retrained, and
unlearned (``harness/twice.py`` lists the games and says on which of them a setting was chosen). For each game and
number of retrainings (to a player): the mean over runs of the squared error of the values, relative to the squared
values of retraining, of ``stratified`` and of antithetic permutations (which begin at four to a player) from
retrainings alone, and of ``corrected``; the ratio of the latter to the better of the former; the same ratio with random
utilities in place of unlearned ones; the share of 95% intervals that cover; and the error of the unlearned values
alone. Then the geometric means of the ratios (of those below .01 as .01) and the largest.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from harness.games import of_table
from harness.twice import CASES, Utilities, played
from numpy.typing import NDArray
from scipy import stats

from unshap_plugin.errors import BudgetError
from unshap_plugin.estimators import Permutation, Stratified
from unshap_plugin.estimators.corrected import Corrected
from unshap_plugin.estimators.helpers import Helpers

#: Ratios below count as this in geometric means, so that unlearning that equals retraining does not decide them.
FLOOR = 0.01


def main() -> None:
    """Print a row for each game and number of retrainings, and what they come to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--cases", type=int, nargs="+", default=range(len(CASES)))
    parser.add_argument("--budgets", type=int, nargs="+", default=[3, 5, 10])
    given = parser.parse_args()
    header = "game | unlearner | players | settings | unlearned alone | retrainings | stratified | permutation"
    header += " | corrected | ratio | of random | coverage"
    print(f"| {header} |\n" + "|---" * (header.count("|") + 1) + "|")
    found: dict[int, list[tuple[bool, bool, float, float, float]]] = {}
    for case in (CASES[k] for k in given.cases):
        both, n = played(case), case.players
        noise = of_table(np.random.default_rng(case.seed).standard_normal(1 << n))
        off = both.unlearned_values - both.values
        alone = off @ off / (both.values @ both.values)
        for times in given.budgets:
            budget, judged = times * n, []
            for make in (Stratified, Permutation, _helped(both.unlearned, n), _helped(noise, n)):
                judged.append(_judged(make, both.retrained, both.values, budget, given.runs))
            (stratified, _), (permutation, _), (corrected, covered), (random, _) = judged
            best = np.nanmin([stratified, permutation])
            ratio = corrected / best
            row = [case.name, both.unlearner, f"{n}", case.use, f"{alone:.2g}", f"{times}n"]
            row += [f"{one:.2g}" for one in (stratified, permutation, corrected, ratio, random / best)]
            print("|", " | ".join([*row, f"{covered:.3f}"]), "|", flush=True)
            held_out, auto = case.use == "held out", case.unlearner == "auto"
            found.setdefault(times, []).append((held_out, auto, ratio, random / best, covered))
    for times, rows in found.items():
        for name, kept in _parts(rows).items():
            if kept:
                ratios, randoms, covers = (np.array([one[k] for one in kept]) for k in (2, 3, 4))
                mean = stats.gmean(np.maximum(ratios, FLOOR))
                print(
                    f"{times}n, {name} ({len(kept)}): ratio {mean:.3f} (median {np.median(ratios):.3f}, most "
                    f"{ratios.max():.2f}); of random {stats.gmean(randoms):.2f} (most {randoms.max():.2f}); coverage "
                    f"{covers.mean():.3f} ({covers.min():.2f} to {covers.max():.2f})"
                )


def _parts(rows: list[Any]) -> dict[str, list[Any]]:
    return {
        "all": rows,
        "held out": [one for one in rows if one[0]],
        "as auto chooses": [one for one in rows if one[1]],
        "cruder unlearners": [one for one in rows if not one[1]],
    }


def _helped(game: Utilities, players: int) -> Callable[[int, int, int], Any]:
    helpers = Helpers([game], players, None, 0)
    helpers.learn()  # all coalitions: the seed says nothing
    return lambda n, budget, seed: Corrected(n, budget, seed, helpers=helpers)


def _judged(
    make: Callable[[int, int, int], Any], game: Utilities, values: NDArray[np.float64], budget: int, runs: int
) -> tuple[float, float]:
    """Return the mean error and the share of intervals that cover, NaN where the budget is too small."""
    errors, covered = [], []
    for seed in range(runs):
        try:
            result = make(len(values), budget, seed).run(game)
        except BudgetError:
            return np.nan, np.nan
        off = result.values - values
        half = stats.t.ppf(0.975, result.degrees_of_freedom) * result.std_errors + 1e-9
        errors.append(off @ off / (values @ values))
        covered.append((np.abs(off) <= half).mean())
    return float(np.mean(errors)), float(np.mean(covered))


if __name__ == "__main__":
    main()
