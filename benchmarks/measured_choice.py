"""Networks whose training is told: what ``auto`` takes, against a choice by a handful of retrained coalitions.

    python benchmarks/measured_choice.py

The networks, data and seeds (20 to 22) of ``benchmarks/untold.py``, with their recipes, and more of them trained by
gradient descent; with ``--seeds 30 31 32`` data that nothing was chosen on. Each method, and the choice among them by
8, 16 and 32 coalitions, drawn at random and retrained once: of the method whose errors have the least standard
deviation (a shift of all utilities changes no value); means over 100 draws. Rank correlation (Spearman) with two
retrainings of 96 coalitions of single rows, and of all 64 coalitions of six providers. A star: what ``auto`` takes.
Means over seeds, about twelve minutes.
"""

from __future__ import annotations

import numpy as np
from harness.choice import utilities
from harness.classes import network, trained
from numpy.typing import NDArray
from scipy.stats import spearmanr
from untold import NETWORKS as UNTOLD
from untold import options

from unshap_plugin import UnlearningGame
from unshap_plugin.errors import AccessError

NETWORKS = {
    **UNTOLD,
    "breast_cancer, 60 epochs of gradient descent": trained(
        network(30, 32, 2), "breast_cancer", 200, "sgd", 60, 32, 0.1
    ),
    "wine, 100 epochs of gradient descent": trained(network(13, 16, 3), "wine", 90, "sgd", 100, 16, 0.1),
    "digits, 20 epochs of gradient descent": trained(network(64, 32, 10), "digits", 300, "sgd", 20, 32, 0.1),
    "digits, 200 steps of gradient descent with all rows": trained(
        network(64, 32, 10), "digits", 300, "sgd", 200, None, 0.3
    ),
}
METHODS = ("replay", "graddiff", "finetune", "merge", "task_vector", "influence")
MEASURED = (8, 16, 32)
DRAWS = 100
PLAYERS = ("rows", "providers")


def main() -> None:
    """Print a row for each network and kind of players."""
    given = options(__doc__, NETWORKS)
    header = ["network", "players", "`retrain`", *(f"`{one}`" for one in METHODS), *(f"by {one}" for one in MEASURED)]
    print(f"| {' | '.join(header)} |\n" + "|---" * len(header) + "|")
    for name in given.networks:
        found = [measured(name, seed) for seed in given.seeds]
        taken = [set(names) for names in zip(*(names for names, _ in found), strict=True)]
        figures_of = np.mean([one for _, one in found], axis=0)
        for players, names, figures in zip(PLAYERS, taken, figures_of, strict=True):
            star = [" *" if names == {method} else "" for method in ("retrain", *METHODS)] + [""] * len(MEASURED)
            cells = ["" if np.isnan(one) else f"{one:.3f}{mark}" for one, mark in zip(figures, star, strict=True)]
            print(f"| {name} | {players} | {' | '.join(cells)} |", flush=True)


def measured(name: str, seed: int) -> tuple[list[str], NDArray[np.float64]]:
    """Return what ``auto`` takes and a line of figures for each of ``PLAYERS``."""
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
    lines = [line([one[k] for one in truths], {m: u[k] for m, u in known.items()}) for k in (0, 1)]
    chosen = [UnlearningGame(given.problem(rows=players == "rows")).unlearner.name for players in PLAYERS]
    return chosen, np.array(lines)


def line(truths: list[NDArray[np.float64]], known: dict[str, NDArray[np.float64]]) -> list[float]:
    """Return the agreement of two retrainings, and those of each of ``METHODS`` and of what few retrainings choose.

    Parameters
    ----------
    truths
        Utilities of coalitions by two retrainings, ``[m]``.
    known
        Those by each method that works; the others have NaN.

    Examples
    --------
    >>> truth = np.arange(40.0)
    >>> found = line([truth, truth], {"replay": truth + 1, "merge": -truth})
    >>> np.array(found).round(3)
    array([ 1.,  1., nan, nan, -1., nan, nan,  1.,  1.,  1.])
    """
    agreement = {m: float(np.mean([spearmanr(u, truth)[0] for truth in truths])) for m, u in known.items()}
    rng = np.random.default_rng(0)
    chosen = []
    for count in MEASURED:
        drawn = [rng.choice(len(truths[0]), count, replace=False) for _ in range(DRAWS)]
        picks = [min(known, key=lambda m: float((known[m][some] - truths[0][some]).std())) for some in drawn]
        chosen.append(float(np.mean([agreement[pick] for pick in picks])))
    return [float(spearmanr(*truths)[0]), *(agreement.get(method, np.nan) for method in METHODS), *chosen]


if __name__ == "__main__":
    main()
