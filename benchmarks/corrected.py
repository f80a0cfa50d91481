"""Values of retraining from few retrainings: with unlearned utilities as a feature, against retrainings alone.

    OMP_NUM_THREADS=1 python benchmarks/corrected.py [--runs 12] [--jobs 1] [--cases 0 1 ...] [--budgets 3 5 10]

Games of 8 to 12 providers of unequal size, of which three have scrambled labels; all coalitions are retrained, and
unlearned, once (``harness/twice.py`` lists the games and says on which of them a setting was chosen), and all estimates
are made of these tables. For each game and number of retrainings (to a player): the mean over runs of the squared error
of the values, relative to the squared values of retraining, of ``stratified`` and of antithetic permutations (which
begin at four to a player) from retrainings alone, of *drawn alike*, which is ``stratified`` from the retrainings that
``corrected`` draws, and of ``corrected``; the ratio of the latter to the better of ``stratified`` and permutations, and
to *drawn alike*; the former ratio with random utilities in place of unlearned ones; the share of 95% intervals that
cover; and the error of the unlearned values alone. Then the geometric means of the ratios (of those below .01 as .01)
and the largest.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from harness.games import of_table
from harness.twice import CASES, HELD_OUT, LOOKED_AT, Case, Utilities, played
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy import stats

from unshap_plugin.errors import BudgetError
from unshap_plugin.estimators import Permutation, Stratified
from unshap_plugin.estimators.corrected import Corrected, DrawnFromSmall
from unshap_plugin.estimators.helpers import Helpers

#: Ratios below count as this in geometric means, so that unlearning that equals retraining does not decide them.
FLOOR = 0.01


def main() -> None:
    """Print a row for each game and number of retrainings, and what they come to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--jobs", type=int, default=1, help="games at a time, of a process each")
    parser.add_argument("--cases", type=int, nargs="+", default=range(len(CASES)))
    parser.add_argument("--budgets", type=int, nargs="+", default=[3, 5, 10])
    given = parser.parse_args()
    header = "game | unlearner | players | settings | unlearned alone | retrainings | stratified | permutation"
    header += " | drawn alike | corrected | ratio | to drawn alike | of random | coverage"
    print(f"| {header} |\n" + "|---" * (header.count("|") + 1) + "|")
    found: dict[int, list[Judged]] = {}
    games = (delayed(measured)(CASES[k], given.budgets, given.runs) for k in given.cases)
    for rows in Parallel(n_jobs=given.jobs, return_as="generator")(games):
        for row in rows:
            print(row.line(), flush=True)
            found.setdefault(row.times, []).append(row)
    for times, judged in found.items():
        for name, kept in _parts(judged).items():
            if kept:
                print(f"{times}n, {name} ({len(kept)}): {_summary(kept)}")


@dataclass(frozen=True)
class Judged:
    """What was found on one game with one number of retrainings: errors by estimator, and the share that is covered."""

    case: Case
    unlearner: str
    alone: float
    times: int
    errors: dict[str, float]
    covered: float

    @property
    def best(self) -> float:
        """The error of the best estimator from retrainings alone."""
        return float(np.nanmin([self.errors["stratified"], self.errors["permutation"]]))

    @property
    def ratios(self) -> tuple[float, float, float]:
        """The error over the best one and over that of the same retrainings alone; that of random utilities."""
        found = self.errors["corrected"]
        return found / self.best, found / self.errors["drawn alike"], self.errors["random"] / self.best

    def line(self) -> str:
        """Return the row of the table."""
        row = [self.case.name, self.unlearner, f"{self.case.players}", self.case.use, f"{self.alone:.2g}"]
        row += [f"{self.times}n", *(f"{self.errors[name]:.2g}" for name in ESTIMATORS if name != "random")]
        return "| " + " | ".join([*row, *(f"{one:.2g}" for one in self.ratios), f"{self.covered:.3f}"]) + " |"


ESTIMATORS = ("stratified", "permutation", "drawn alike", "corrected", "random")


def measured(case: Case, budgets: list[int], runs: int) -> list[Judged]:
    """Return what was found on one game."""
    both, n = played(case), case.players
    noise = of_table(np.random.default_rng(case.seed).standard_normal(1 << n))
    off = both.unlearned_values - both.values
    helped = _helped(both.unlearned, n), _helped(noise, n)
    makers = dict(zip(ESTIMATORS, (Stratified, Permutation, DrawnFromSmall, *helped), strict=True))
    found = []
    for times in budgets:
        judged = {name: _judged(make, both.retrained, both.values, times * n, runs) for name, make in makers.items()}
        errors = {name: error for name, (error, _) in judged.items()}
        alone = float(off @ off / (both.values @ both.values))
        found.append(Judged(case, both.unlearner, alone, times, errors, judged["corrected"][1]))
    return found


def _summary(kept: list[Judged]) -> str:
    ratios, alike, randoms = np.array([one.ratios for one in kept]).T
    covers = np.array([one.covered for one in kept])
    means = (stats.gmean(np.maximum(one, FLOOR)) for one in (ratios, alike))
    return (
        "ratio {:.3f} (to drawn alike {:.3f}; median {:.3f}, most {:.2f}); of random {:.2f} (most {:.2f}); coverage "
        "{:.3f} ({:.2f} to {:.2f})".format(
            *means,
            np.median(ratios),
            ratios.max(),
            stats.gmean(randoms),
            randoms.max(),
            covers.mean(),
            covers.min(),
            covers.max(),
        )
    )


def _parts(rows: list[Judged]) -> dict[str, list[Judged]]:
    return {
        "all": rows,
        "held out": [one for one in rows if one.case.use == HELD_OUT],
        "looked at": [one for one in rows if one.case.use == LOOKED_AT],
        "as auto chooses": [one for one in rows if one.case.unlearner == "auto"],
        "other unlearners": [one for one in rows if one.case.unlearner != "auto"],
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
