"""Two jobs against one, the cost of a coalition by how many there are, and the memory that is taken.

Two jobs: refits of a random forest, rows of real data as players. The ratio of seconds means something on a machine
with two idle cores; that of processor time, of the busiest process against all of one job, on any. Cost and memory:
Newton steps of a linear model, each number of coalitions in a process of its own. Peaks are those of the whole process
above what it held when the game was made.

    python benchmarks/jobs.py [--jobs 2] [--refits 400] [--coalitions 1000 10000 100000]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from unshap_plugin import UnlearningGame, ValuationProblem
from unshap_plugin.support.memory import in_units


def process(outputs: Tensor, targets: Tensor) -> float:  # noqa: ARG001
    """Return, as if it were a utility, in which process it is measured."""
    return float(os.getpid())


def busy(processes: list[int]) -> NDArray[np.float64]:
    """Return the processor time in seconds that each of these processes took so far."""
    fields = [Path(f"/proc/{one}/stat").read_text(encoding="ascii").rpartition(")")[2].split() for one in processes]
    return np.array([int(one[11]) + int(one[12]) for one in fields]) / os.sysconf("SC_CLK_TCK")


def problem(model: object, rows: int, metric: object = None) -> ValuationProblem:
    """Return the problem of some rows of breast_cancer, each a player; the others are the test set."""
    x, y = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    x, y = StandardScaler().fit_transform(x[order]), y[order]
    fitted = model.fit(x[:rows], y[:rows])  # type: ignore[attr-defined]
    return ValuationProblem(fitted, (x[:rows], y[:rows]), (x[rows:], y[rows:]), metric=metric)


def drawn(m: int, n: int) -> NDArray[np.bool_]:
    """Return coalitions of all sizes, bool ``[m, n]``."""
    rng = np.random.default_rng(1)
    return rng.random((m, n)) < rng.random((m, 1))


def jobs(number: int, refits: int) -> None:
    """Print seconds and processor time of one job and of several, and whether their bits are the same."""
    forest = RandomForestClassifier(60, random_state=0)
    asked, coalitions = problem(forest, 200), drawn(refits, 200)
    # Processes start here, and import what they need, which is once.
    where = UnlearningGame(problem(forest, 200, process), "retrain", n_jobs=number, chunk=2)(coalitions[: 40 * number])
    processes = [int(one) for one in np.unique([*where, os.getpid()])]
    utilities, seconds, taken = {}, {}, {}
    for n_jobs in (1, number):
        game = UnlearningGame(asked, "retrain", n_jobs=n_jobs)
        begin, before = time.perf_counter(), busy(processes)
        utilities[n_jobs] = game(coalitions)
        seconds[n_jobs] = time.perf_counter() - begin
        taken[n_jobs] = (busy(processes) - before).max()
    same = np.array_equal(utilities[1], utilities[number])
    print(f"{refits} refits of a forest, {number} jobs: the same bits as one job: {same}")
    print(f"| jobs | seconds | ratio | processor seconds of the busiest process | ratio |\n{'|---' * 5}|")
    for n_jobs in (1, number):
        ratios = f"{seconds[1] / seconds[n_jobs]:.2f}", f"{taken[1] / taken[n_jobs]:.2f}"
        print(f"| {n_jobs} | {seconds[n_jobs]:.1f} | {ratios[0]} | {taken[n_jobs]:.1f} | {ratios[1]} |")


def cost(m: int, memory: str | None) -> tuple[float, int]:
    """Return microseconds of processor time a coalition, and by how many bytes memory rose."""
    torch.set_num_threads(1)
    game = UnlearningGame(problem(LogisticRegression(), 100), "newton", memory=memory)
    coalitions = drawn(m, game.n_players)
    game(coalitions[:2])
    held = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    begin = time.process_time()
    game(coalitions)
    return 1e6 * (time.process_time() - begin) / m, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--refits", type=int, default=400)
    parser.add_argument("--coalitions", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--memory", nargs="+", default=["100MB"])
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, of which {os.getloadavg()[0]:.1f} were busy in the last minute")
    jobs(options.jobs, options.refits)
    print(f"\n| coalitions | memory= | microseconds a coalition | memory rose by |\n{'|---' * 4}|")
    for m in options.coalitions:
        for memory in options.memory:
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                each, rise = pool.submit(cost, m, memory).result()
            print(f"| {m:,} | {memory} | {each:.0f} | {in_units(rise)} |", flush=True)


if __name__ == "__main__":
    main()
