"""The axioms that pyDVL's, shapiq's and dattri's methods keep, and by how much they break the others, as Markdown.

    python benchmarks/axioms_of_peers.py docs/axioms_of_peers.md

Every method plays the games of ``unshap_conformance`` through its framework's own interface: pyDVL's as a utility of
the rows of a data set, shapiq's as a function of coalitions. dattri's attributors score the rows of small models whose
subsets are all retrained (``axioms_of_attributors.py``). Needs pyDVL, shapiq and dattri, and some minutes on one core.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import axioms_of_attributors as attributors
import numpy as np
import pydvl.valuation as dvl
import shapiq
from axiom_tables import cell, of, table
from pydvl.valuation.samplers import RelativeTruncation
from pydvl.valuation.utility.base import UtilityBase
from unshap_conformance import Game
from unshap_conformance.estimators import EstimatorSubject, check_estimator, estimator_subject
from unshap_conformance.estimators.axioms import AXIOMS
from unshap_conformance.estimators.subject import Played

#: How many times pyDVL updates each value, and the budget of shapiq and ours: fewer utilities than six players have.
UPDATES, BUDGET = 16, 30
#: Seeds of the rows that dattri's attributors score.
DRAWS = range(10)
CHECKS = (*(check.name for check in AXIOMS), "errors", "global_rng")


class Utility(UtilityBase):  # type: ignore[misc]
    """A game as a utility of pyDVL's: players are the rows of its data set."""

    def __init__(self, game: Any) -> None:
        self.game = game

    def __call__(self, sample: Any) -> float:
        """Return the utility of a sample."""
        kept = np.zeros((1, self.game.n_players), dtype=bool)
        if sample is not None:
            kept[0, sample.subset] = True
        return float(self.game(kept)[0])


@dataclass(frozen=True)
class Found:
    """Values and standard errors, ``[n]`` each."""

    values: np.ndarray
    std_errors: np.ndarray


def by_pydvl(method: Callable[[UtilityBase, int], Any], *, errors: bool) -> Callable[..., Any]:
    """Return a method of pyDVL's as an estimator, with its standard errors or without."""

    def estimate(game: Any, seed: int) -> Any:
        n = game.n_players
        data = dvl.Dataset(np.zeros((n, 1)), np.arange(n))
        result = method(Utility(game), seed).fit(data).result
        values = np.asarray(result.values, dtype=np.float64)
        return Found(values, np.asarray(result.stderr)) if errors else values

    return estimate


def by_shapiq(make: Callable[[int, int], Any]) -> Callable[..., Any]:
    """Return an approximator of shapiq's as an estimator."""

    def estimate(game: Any, seed: int) -> np.ndarray:
        n = game.n_players

        def normalized(coalitions: Any) -> np.ndarray:
            rows = np.atleast_2d(np.asarray(coalitions)).astype(bool)
            return game(rows) - nobody

        nobody = game(np.zeros((1, n), dtype=bool))[0]
        found = make(n, seed).approximate(BUDGET, normalized)
        return np.array([found[(player,)] for player in range(n)])

    return estimate


def subjects() -> Iterator[tuple[EstimatorSubject, EstimatorSubject]]:
    """Yield what plays, two of ours, pyDVL's and shapiq's, each without and with its standard errors."""
    yield (estimator_subject("exact", name="ours: exact"),) * 2
    yield (estimator_subject("stratified", name="ours: stratified", budget=BUDGET),) * 2

    def pydvl(name: str, method: Callable[[UtilityBase, int], Any], **traits: Any) -> tuple[Any, Any]:
        both = (by_pydvl(method, errors=errors) for errors in (False, not traits.get("exact")))
        return tuple(estimator_subject(one, name=f"pyDVL: {name}", **traits) for one in both)

    done = dvl.MinUpdates(UPDATES)
    yield pydvl(
        "Shapley, all subsets",
        lambda u, _: dvl.ShapleyValuation(u, dvl.DeterministicUniformSampler(), is_done=dvl.NoStopping()),
        exact=True,
    )
    yield pydvl(
        "Shapley, permutations",
        lambda u, seed: dvl.ShapleyValuation(u, dvl.PermutationSampler(seed=seed), is_done=done),
    )
    yield pydvl(
        "Shapley, antithetic permutations",
        lambda u, seed: dvl.ShapleyValuation(u, dvl.AntitheticPermutationSampler(seed=seed), is_done=done),
    )
    yield pydvl(
        "TMC Shapley, truncated at 5%",
        lambda u, seed: dvl.TMCShapleyValuation(u, RelativeTruncation(0.05), is_done=done, seed=seed),
    )
    yield pydvl(
        "Beta(4, 1) Shapley, permutations",
        lambda u, seed: dvl.BetaShapleyValuation(u, dvl.PermutationSampler(seed=seed), is_done=done, alpha=4, beta=1),
        semivalue=("beta", 4, 1),
    )
    yield pydvl(
        "Banzhaf, maximum sample reuse",
        lambda u, seed: dvl.BanzhafValuation(u, dvl.MSRSampler(seed=seed), is_done=dvl.MinUpdates(50)),
        semivalue="banzhaf",
    )
    yield pydvl("leave-one-out", lambda u, _: dvl.LOOValuation(u), semivalue="leave_one_out", exact=True)
    for name in ("KernelSHAP", "LeverageSHAP", "UnbiasedKernelSHAP", "SVARM", "PermutationSamplingSV",
                 "StratifiedSamplingSV", "OwenSamplingSV"):  # fmt: skip
        approximator = getattr(shapiq.approximator, name, None)
        if approximator is not None:
            made = by_shapiq(lambda n, seed, of=approximator: of(n=n, random_state=seed))  # type: ignore[misc]
            yield (estimator_subject(made, name=f"shapiq: {name}"),) * 2


@dataclass(frozen=True)
class Remembering(EstimatorSubject):
    """Plays a game once for every seed: the axioms ask for the values of a game again and again."""

    known: dict[Any, Played] = field(default_factory=dict)

    def play(self, game: Game, seed: int = 0, budget: int | None = None) -> Played:
        """Play a game, or remember it."""
        key = (game.utilities, seed, budget)
        if key not in self.known:
            self.known[key] = super().play(game, seed, budget)
        return self.known[key]


def main() -> None:
    """Check them all, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, help="the Markdown file to write")
    parser.add_argument("--only", default="", help="those whose names have this in them")
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # of what pyDVL is decorated with, and of budgets that are larger than needed
    rows = []
    for subject, with_errors in subjects():
        if given.only not in subject.name:
            continue
        begin = time.process_time()
        results = check_estimator(Remembering(**vars(subject)), checks=CHECKS, on_fail="collect")
        claims = check_estimator(with_errors, checks=["std_errors"], on_fail="collect")
        rows.append([subject.name, *(cell(of(results, name)) for name in CHECKS), cell(claims)])
        print(f"{subject.name}: {time.process_time() - begin:.0f} s", file=sys.stderr)
    names = ("pydvl", "shapiq", "dattri", "unshap-plugin", "torch", "numpy", "scikit-learn")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    parts = [
        "# The axioms that pyDVL, shapiq and dattri keep",
        "Written by `python benchmarks/axioms_of_peers.py docs/axioms_of_peers.md`.",
        f"Python {platform.python_version()}, {versions}.",
        "As for [OpenDataVal's evaluators](axioms_of_opendataval.md): the largest difference (in units of the utility; "
        "player 0 of `dominated` alone is worth 300), the game where it came, and in how many games there was one. It "
        "holds: nothing beyond 1e-9 or, of a method that samples, beyond six standard errors of the mean over 40 "
        "seeds; efficiency has to hold for each of the first seeds. `errors`: an exception of the game is not turned "
        "into a number. `std_errors`: errors are as large as the standard errors say; the number is how far their "
        f"ratio is from 1. pyDVL updates each value {UPDATES} times (50 with sample reuse); shapiq, and ours that "
        f"samples, have a budget of {BUDGET} utilities.",
        table(["method", *CHECKS, "std_errors"], rows),
        "dattri's attributors play no game. They score six rows of iris for twelve test rows, of "
        f"{len(DRAWS)} draws; exact values are those of all 64 subsets, each retrained (a linear model with a penalty; "
        "the utility is minus the loss) or, for KNN Shapley, of the votes of the two nearest rows of each subset. Two "
        "of the rows are equal, and one changes nothing. Scores have a unit of their own, and are taken times the "
        "factor that fits the exact values best; the number is the largest difference, relative to the largest exact "
        "value, and in how many draws there was one beyond 1e-4. `renaming`: the order of the rows does not matter. "
        "Values of ours sum to what its own game has to share; here, they too are held against retraining.",
        table(["attributor", *attributors.COLUMNS], list(attributors.rows(DRAWS, given.only))),
    ]
    given.path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
