"""A large store: how long it takes, and how much memory, to load it, to resume a run, and to weigh it anew.

The store holds what a permutation estimator asks for over 1,000 rows as players (``influence``: one product a
coalition). Each of the three is done by a process of its own: load makes the game and reads all coalitions as a matrix,
resume asks the same estimator for the values once more, and weigh anew estimates Banzhaf values of all players from the
stored utilities, without an evaluation. Seconds and processor time are those of that step; memory is the peak of the
whole process, and by how much that is above what it held when the problem was made.

    python benchmarks/store.py [--players 1000] [--coalitions 200000]
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

from unshap_plugin import UnlearningGame, ValuationProblem, shapley_values
from unshap_plugin.support.memory import in_units

STEPS = ("fill", "load", "resume", "weigh anew")


def problem(players: int) -> ValuationProblem:
    """Return the problem of so many rows, each a player, and a few rows to measure on."""
    x, y = make_classification(players + 100, 5, random_state=0)
    model = LogisticRegression().fit(x[:players], y[:players])
    return ValuationProblem(model, (x[:players], y[:players]), (x[players:], y[players:]))


def banzhaf(coalitions: NDArray[np.bool_], utilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the difference of the mean utilities with and without each player, ``[n_players]``."""
    total, kept = np.zeros(coalitions.shape[1]), coalitions.sum(axis=0)
    for start in range(0, len(coalitions), 4096):
        total += utilities[start : start + 4096] @ coalitions[start : start + 4096]
    difference: NDArray[np.float64] = total / kept - (utilities.sum() - total) / (len(coalitions) - kept)
    return difference


def measured(step: str, players: int, coalitions: int, store: Path) -> tuple[float, float, int, int, int]:
    """Return seconds, processor time, the peak of memory and its rise, and how many utilities are known."""
    torch.set_num_threads(1)
    asked = problem(players)
    held = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    begin, used = time.perf_counter(), time.process_time()
    game = UnlearningGame(asked, "influence", store=store)
    if step in ("fill", "resume"):
        shapley_values(game, "permutation", coalitions)
    else:
        matrix, utilities = game.known()
        if step == "weigh anew":
            banzhaf(matrix, utilities)
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return time.perf_counter() - begin, time.process_time() - used, peak, peak - held, game.evaluations


def main() -> None:
    """Print a row for each step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--players", type=int, default=1000)
    parser.add_argument("--coalitions", type=int, default=200_000)
    given = parser.parse_args()
    print(f"| step | seconds | processor seconds | peak | above the problem | coalitions |\n{'|---' * 6}|")
    with tempfile.TemporaryDirectory() as folder:
        for step in STEPS:
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                store = Path(folder) / "values.db"
                row = pool.submit(measured, step, given.players, given.coalitions, store).result()
            seconds, used, peak, rise, known = row
            print(
                f"| {step} | {seconds:.1f} | {used:.1f} | {in_units(peak)} | {in_units(rise)} | {known:,} |", flush=True
            )
        print(f"\nThe file has {in_units((Path(folder) / 'values.db').stat().st_size)}.")


if __name__ == "__main__":
    main()
