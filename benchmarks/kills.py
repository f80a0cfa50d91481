"""Processes that are killed while they evaluate into a store, and what comes out when another one goes on.

A run values 24 rows by permutations, with Newton steps, eight coalitions in a pass; it is a process of its own, which a
SIGKILL ends at a moment drawn from the time that a whole run takes, its start and the making of the file included. The
next process goes on with the same file, and may be killed too; one that comes to its end is compared with a run that
nothing interrupted, bit for bit.

    python benchmarks/kills.py [--kills 50] [--seed 0]
"""

from __future__ import annotations

import argparse
import mmap
import os
import random
import signal
import struct
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import scale

from unshap_plugin import UnlearningGame, ValuationProblem, shapley_values
from unshap_plugin.evaluation.evaluation import Evaluation
from unshap_plugin.results.result import ValuationResult
from unshap_plugin.store.file import Store
from unshap_plugin.store.layout import faults

ROWS, CHUNK, BUDGET = 24, 8, 500


@dataclass
class Outcome:
    """What became of runs that were killed.

    Parameters
    ----------
    kills, finished
        Processes that were killed, and runs that came to their end after that.
    stored
        For each kill, how many utilities were stored.
    lost
        For each kill, how many coalitions were asked for but not stored.
    faults
        What was wrong with files after a kill.
    same
        For each finished run, whether its values, standard errors and evaluations are those of one without a kill.
    """

    kills: int = 0
    finished: int = 0
    stored: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    same: list[bool] = field(default_factory=list)


def problem() -> ValuationProblem:
    """Return the problem of some rows of breast_cancer, each a player."""
    x, y = load_breast_cancer(return_X_y=True)
    x = scale(x)[:, :8]
    return ValuationProblem(
        LogisticRegression().fit(x[:ROWS], y[:ROWS]), (x[:ROWS], y[:ROWS]), (x[ROWS:99], y[ROWS:99])
    )


def play(asked: ValuationProblem, store: Path | None) -> ValuationResult:
    """Return values, from what the store has and from what is still to be evaluated."""
    game = UnlearningGame(asked, "newton", steps=2, chunk=CHUNK, n_jobs=1, store=store)
    return shapley_values(game, "permutation", BUDGET)


def bits(result: ValuationResult) -> tuple[Any, ...]:
    """Return what a resumed run has to give back."""
    return result.values.tobytes(), np.asarray(result.std_errors).tobytes(), result.evaluations


def killed(asked: ValuationProblem, store: Path, after: float) -> int | None:
    """Play in another process, which is killed after so many seconds; return how many coalitions it asked for.

    ``None``: it came to its end before.
    """
    counted = mmap.mmap(-1, 8)  # shared with the child
    child = os.fork()
    if child == 0:
        plain = Evaluation.utilities

        def counting(self: Evaluation, coalitions: Any) -> Any:
            counted[:8] = struct.pack("q", struct.unpack("q", counted[:8])[0] + len(coalitions))
            return plain(self, coalitions)

        try:
            with mock.patch.object(Evaluation, "utilities", counting):
                play(asked, store)
        finally:
            os._exit(0)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return struct.unpack("q", counted[:8])[0] if os.WIFSIGNALED(status) else None


def trial(kills: int, seed: int, folder: Path) -> Outcome:
    """Kill so many processes at random moments, with stores in a ``folder``, and return what became of them."""
    asked, rng, outcome = problem(), random.Random(seed), Outcome()
    begin = time.perf_counter()
    whole = bits(play(asked, None))
    seconds = time.perf_counter() - begin
    while outcome.kills < kills:
        store = folder / f"{outcome.finished}.db"
        had = stored(store)
        counted = killed(asked, store, rng.uniform(0.0, seconds))
        if counted is None:
            outcome.finished += 1
            outcome.same.append(bits(play(asked, store)) == whole)
            continue
        outcome.kills += 1
        # As it was left, before anything is moved into place.
        outcome.faults += faults(store) if store.exists() else []
        outcome.stored.append(stored(store))
        outcome.lost.append(counted - (outcome.stored[-1] - had))
    last = folder / f"{outcome.finished}.db"
    outcome.finished += 1
    outcome.same.append(bits(play(asked, last)) == whole)
    return outcome


def stored(path: Path) -> int:
    """Return how many utilities a file has, if it is there."""
    return sum(game.coalitions for game in Store(path).games()) if path.exists() else 0


def main() -> None:
    """Print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = trial(given.kills, given.seed, Path(folder))
    print(f"{outcome.kills} processes killed; utilities in the store then: {sorted(outcome.stored)}")
    print(f"files that were damaged: {len(outcome.faults)}")
    print(f"coalitions that were asked for and lost, at most: {max(outcome.lost)} (a pass takes {CHUNK})")
    print(f"finished runs with the bits of one that nothing interrupted: {sum(outcome.same)} of {outcome.finished}")


if __name__ == "__main__":
    main()
