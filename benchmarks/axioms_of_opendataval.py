"""The Shapley axioms that OpenDataVal's evaluators and ours keep, and by how much they break them, as Markdown.

    python benchmarks/axioms_of_opendataval.py docs/axioms_of_opendataval.md

Every evaluator is played through OpenDataVal's own interface by ``unshap_conformance``. Needs OpenDataVal; takes about
ten minutes on one core.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from axiom_tables import cell, of, table
from numpy.typing import NDArray
from opendataval import dataval
from opendataval.dataval.margcontrib import TMCSampler
from unshap_conformance import CheckResult, Game
from unshap_conformance.evaluators import EvaluatorSubject, check_evaluator, evaluator_subject
from unshap_conformance.evaluators.axioms import AXIOMS
from unshap_conformance.evaluators.interface import INTERFACE
from unshap_conformance.evaluators.stages import Stage, stage_of
from unshap_conformance.evaluators.subject import Values
from unshap_opendataval import UnlearningShapley

PERMUTATIONS = {"max_mc_epochs": 1, "models_per_epoch": 50}  # one round of Gelman-Rubin sampling, without its stopping
FROM_NONE = {**PERMUTATIONS, "min_cardinality": 0, "cache_name": None}
FROM_FIVE = {**PERMUTATIONS, "cache_name": None}
RETRAIN = {"unlearner": "retrain", "utility": "metric"}


def subjects() -> Iterator[EvaluatorSubject]:
    """Yield evaluators that play games: ours, and OpenDataVal's as they come and at their best."""
    yield evaluator_subject(
        UnlearningShapley, name="UnlearningShapley, exact", kwargs={**RETRAIN, "estimator": "exact"}, exact=True
    )
    yield evaluator_subject(
        UnlearningShapley, name="UnlearningShapley, permutations", kwargs={**RETRAIN, "budget": 100}
    )
    yield _sampler(dataval.DataShapley, "DataShapley", FROM_FIVE)
    yield _sampler(dataval.DataShapley, "DataShapley, min_cardinality=0", FROM_NONE)
    yield _sampler(dataval.BetaShapley, "BetaShapley(4, 1)", FROM_FIVE, semivalue=("beta", 4, 1))
    yield _sampler(dataval.BetaShapley, "BetaShapley(4, 1), min_cardinality=0", FROM_NONE, semivalue=("beta", 4, 1))
    yield _sampler(
        dataval.DataBanzhafMargContrib, "DataBanzhafMargContrib, min_cardinality=0", FROM_NONE, semivalue="banzhaf"
    )
    yield evaluator_subject(dataval.DataBanzhaf, kwargs={"num_models": 200}, semivalue="banzhaf")
    yield evaluator_subject(dataval.LeaveOneOut, semivalue="leave_one_out", exact=True)
    yield evaluator_subject(dataval.AME, kwargs={"num_models": 50}, semivalue=None)
    yield evaluator_subject(dataval.InfluenceSubsample, kwargs={"num_models": 100}, semivalue=None)


#: Reasons why the others play no game.
NO_GAME = {
    "KNNShapley": "values of a nearest-neighbour classifier, in closed form; it takes no model",
    "LavaEvaluator": "gradients of an optimal-transport distance; it takes no model",
    "RobustVolumeShapley": "values of the volume of the covariates; it takes no model",
    "DataOob": "predictions for the training rows that a bag left out; it measures nothing on validation rows",
    "InfluenceFunction": "products of gradients; it needs a model with gradients",
    "DVRL": "selection probabilities learned from weighted fits; they are no function of the utilities",
    "ClassWiseShapley": "in-class utility times the exponential of out-of-class utility, not the metric itself",
    "RandomEvaluator": "uniform noise; it takes no model",
}


def others() -> Iterator[EvaluatorSubject]:
    """Yield evaluators that are checked on their interface alone."""
    kwargs: dict[str, dict[str, Any]] = {
        "DataOob": {"num_models": 30},
        "DVRL": {"rl_epochs": 3},
        "ClassWiseShapley": {"mc_epochs": 2, "min_cardinality": 0},
        "RobustVolumeShapley": {"mc_epochs": 2, "min_cardinality": 2, "cache_name": None},
    }
    exact = {"KNNShapley", "LavaEvaluator", "InfluenceFunction"}
    sampling = {"ClassWiseShapley", "RobustVolumeShapley"}  # take random_state through **kwargs
    for name, reason in NO_GAME.items():
        yield evaluator_subject(
            getattr(dataval, name),
            kwargs=kwargs.get(name),
            semivalue=None,
            exact=name in exact,
            seedable=True if name in sampling else None,
            no_game=reason,
        )
    yield _sampler(dataval.DataShapley, "DataShapley, with its cache", PERMUTATIONS)


def _sampler(cls: type, name: str, kwargs: dict[str, Any], semivalue: Any = "shapley") -> EvaluatorSubject:
    # They take random_state through **kwargs, so it has to be said.
    return evaluator_subject(cls, name=name, kwargs=kwargs, semivalue=semivalue, seedable=True)


@dataclass(frozen=True)
class Remembering(EvaluatorSubject):
    """Plays a game once for every seed: the axioms ask for the values of a game again and again."""

    known: dict[Any, Values] = field(default_factory=dict)

    def play(self, game: Game, seed: int = 0) -> Values:
        """Play a game, or remember it."""
        key = (game.utilities, seed)
        if key not in self.known:
            self.known[key] = super().play(game, seed)
        return self.known[key]


@dataclass(frozen=True)
class Ones:
    """An additive game in which every player is worth 1."""

    n_players: int
    name: str = "ones"

    def __call__(self, coalitions: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the number of players of each coalition."""
        return coalitions.sum(axis=1).astype(np.float64)


def shrinkage(players: int, permutations: int, min_cardinality: int) -> float:
    """Return the sum of the values that DataShapley gives to players who are all worth 1, relative to the truth."""
    sampler = TMCSampler(permutations, min_cardinality=min_cardinality, cache_name=None, random_state=0)
    stage: Stage = stage_of(Ones(players))
    subject = evaluator_subject(dataval.DataShapley, kwargs={"sampler": sampler}, exact=True, seedable=False)
    return float(subject.values_on(stage).sum() / players)


def checked(subject: EvaluatorSubject) -> list[CheckResult]:
    """Run all checks, and say how long they took."""
    begin = time.perf_counter()
    results = check_evaluator(Remembering(**vars(subject)), on_fail="collect")
    print(f"{subject.name}: {time.perf_counter() - begin:.0f} s", file=sys.stderr)
    return results


def interface(subject: EvaluatorSubject, results: Sequence[CheckResult]) -> list[str]:
    """Return the row of one evaluator in the table of the interface."""
    broken: dict[str, list[str]] = {}
    for check in INTERFACE:
        failed = [result for result in of(results, check.name) if result.status == "failed"]
        if failed:
            broken.setdefault(failed[0].reason.strip().splitlines()[-1], []).append(f"`{check.name}`")
    ran = sum(any(result.status != "skipped" for result in of(results, check.name)) for check in INTERFACE)
    kept = ran - sum(map(len, broken.values()))
    shown = "; ".join(f"{', '.join(names)}: {why}" for why, names in broken.items())
    return [subject.name, f"{kept} of {ran}", shown or "nothing"]


def main() -> None:
    """Check them all, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, help="the Markdown file to write")
    path = parser.parse_args().path
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # OpenDataVal divides by zero, and pins memory
    played = [(subject, checked(subject)) for subject in subjects()]
    unplayed = [(subject, checked(subject)) for subject in others()]

    names = ("opendataval", "unshap-plugin", "torch", "numpy", "scikit-learn")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    checks = [check.name for check in AXIOMS]
    counts = (1, 20, 200)
    shares = [
        [str(n), str(least), *(f"{shrinkage(n, count, least):.1%}" for count in counts)]
        for n in (5, 6, 40)
        for least in (5, 0)
    ]
    parts = [
        "# The axioms that OpenDataVal's evaluators keep",
        "Written by `python benchmarks/axioms_of_opendataval.py docs/axioms_of_opendataval.md`.",
        f"Python {platform.python_version()}, {versions}.",
        "The largest difference (in units of the utility; player 0 of `dominated` alone is worth 300), the game where "
        "it came, and in how many games there was one. It holds: nothing beyond 1e-9 or, of an evaluator that samples, "
        "beyond six standard errors of the mean over 30 seeds; efficiency has to hold for each of the first ten seeds.",
        table(
            ["evaluator", *checks],
            [[subject.name, *(cell(of(results, name)) for name in checks)] for subject, results in played],
        ),
        "No game can be played with:",
        "\n".join(f"- {name}: {reason}." for name, reason in NO_GAME.items()),
        "The interface (the last row differs from run to run, since that cache is keyed by addresses):",
        table(["evaluator", "kept", "broken"], [interface(*pair) for pair in (*played, *unplayed)]),
        "What DataShapley pays out of what it has to pay, in an additive game of n players who are worth 1 each:",
        table(["n", "min_cardinality", *(f"permutations: {count}" for count in counts)], shares),
    ]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
