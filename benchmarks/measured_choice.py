"""Networks whose training is told: what ``auto`` takes, against a choice by a handful of retrained coalitions.

    python benchmarks/measured_choice.py

The networks, data and seeds (20 to 22) of ``benchmarks/untold.py``, with their recipes. Of 8, 16 and 32 coalitions,
drawn at random, those retrained once choose the method whose errors have the least standard deviation (a shift of all
utilities changes no value); means over 100 draws. Beside that: what ``auto`` takes, and the method that is best after
the fact. Rank correlation (Spearman) with two retrainings of 96 coalitions of single rows, and of all 64 coalitions of
six providers. Means over seeds, about eight minutes.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import torch
from harness.choice import utilities
from numpy.typing import NDArray
from scipy.stats import spearmanr
from untold import NETWORKS

from unshap_plugin import UnlearningGame
from unshap_plugin.errors import AccessError

METHODS = ("replay", "graddiff", "finetune", "merge", "task_vector", "influence")
MEASURED = (8, 16, 32)
DRAWS = 100
PLAYERS = ("rows", "providers")


def main() -> None:
    """Print a row for each network and kind of players."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[20, 21, 22])
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    header = ["network", "players", "two retrainings", "auto", "best", *(f"by {count}" for count in MEASURED)]
    print(f"| {' | '.join(header)} |\n" + "|---" * len(header) + "|")
    for name in given.networks:
        figures = np.mean([measured(name, seed) for seed in given.seeds], axis=0)
        for players, line in zip(PLAYERS, figures, strict=True):
            print(f"| {name} | {players} | " + " | ".join(f"{one:.3f}" for one in line) + " |", flush=True)


def measured(name: str, seed: int) -> NDArray[np.float64]:
    """Return a line of figures for each of ``PLAYERS``."""
    given, rng = NETWORKS[name](seed), np.random.default_rng(seed)
    rows = len(given.provider)
    keep = rng.random((96, rows)) < rng.random((96, 1))
    truths = [utilities(given, "all", "retrain", keep, seed=one)[0] for one in (1, 2)]
    known = {}
    for method in METHODS:
        try:
            known[method] = utilities(given, "all", method, keep, seed=0)[0]
        except AccessError:  # it cannot follow this training
            continue
    taken = UnlearningGame(given.problem()).unlearner.name
    return np.array([line([one[k] for one in truths], {m: u[k] for m, u in known.items()}, taken) for k in (0, 1)])


def line(truths: list[NDArray[np.float64]], known: dict[str, NDArray[np.float64]], taken: str) -> list[float]:
    """Return the agreement of two retrainings, and that of what is taken, of the best, and of what few choose.

    Parameters
    ----------
    truths
        Utilities of coalitions by two retrainings, ``[m]``.
    known
        Those by each method.
    taken
        What ``auto`` takes; retraining is held against its other seed.

    Examples
    --------
    >>> truth = np.arange(40.0)
    >>> line([truth, truth], {"good": truth + 1, "bad": -truth}, "bad")
    [1.0, -1.0, 1.0, 1.0, 1.0, 1.0]
    """
    ceiling = float(spearmanr(*truths)[0])
    agreement = {m: float(np.mean([spearmanr(u, truth)[0] for truth in truths])) for m, u in known.items()}
    rng = np.random.default_rng(0)
    chosen = []
    for count in MEASURED:
        drawn = [rng.choice(len(truths[0]), count, replace=False) for _ in range(DRAWS)]
        picks = [min(known, key=lambda m: float((known[m][some] - truths[0][some]).std())) for some in drawn]
        chosen.append(float(np.mean([agreement[pick] for pick in picks])))
    return [ceiling, agreement.get(taken, ceiling), max(agreement.values()), *chosen]


if __name__ == "__main__":
    main()
