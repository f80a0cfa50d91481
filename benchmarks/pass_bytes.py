"""How large a pass of coalitions should be: microseconds of the processor for a coalition, by its working set.

    python benchmarks/pass_bytes.py

The models and data of ``benchmarks/run.py speed``, torch with one thread, medians over three rounds in turns. In
parentheses how many coalitions a pass has, at most 1,024; passes are whole. About ten minutes.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import torch
from harness.tasks import flipped

from unshap_plugin import UnlearningGame
from unshap_plugin.evaluation import passes

#: Data, rows, and how many coalitions are timed at least, by model; and the methods.
CASES = {
    "LogisticRegression": ([("breast_cancer", 200, 1024), ("digits", 500, 400)], ("newton", "replay", "retrain")),
    "ClassifierMLP": (
        [("breast_cancer", 200, 400), ("digits", 500, 400)],
        ("finetune", "replay", "influence", "retrain"),
    ),
}
MEGABYTES = (8, 16, 32, 48, 96)
ROUNDS = 3


def main() -> None:
    """Print a row for each model, data set and method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=CASES, default=list(CASES))
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print(f"| model | data | method | {' | '.join(f'{one} MiB' for one in MEGABYTES)} |")
    print("|---" * (3 + len(MEGABYTES)) + "|")
    for model in given.models:
        sets, methods = CASES[model]
        for data, rows, coalitions in sets:
            for method in methods:
                found = measured(model, data, rows, method, coalitions)
                cells = [f"{micro:.0f} ({chunk})" for micro, chunk in found]
                print(f"| {model} | {data} | `{method}` | {' | '.join(cells)} |", flush=True)


def measured(model: str, data: str, rows: int, method: str, coalitions: int) -> list[tuple[float, int]]:
    """Return microseconds of a coalition, and coalitions of a pass, for each working set."""
    task = flipped(data, model, rows, 0)
    problem = task.problem(task.fit(seed=0))
    rng = np.random.default_rng(0)
    keep = np.array([rng.permutation(rows) < rows // 2 for _ in range(1 + coalitions + passes.MOST)])
    took = np.empty((ROUNDS, len(MEGABYTES)))
    chunks = [0] * len(MEGABYTES)
    before = passes.PASS_BYTES
    try:
        for turn in range(ROUNDS):
            for k, megabytes in enumerate(MEGABYTES):
                passes.PASS_BYTES = megabytes * 2**20
                game = UnlearningGame(problem, method)
                game(keep[:1])  # what is done once
                chunks[k] = game.chunk
                count = chunks[k] * -(-coalitions // chunks[k])
                begin = time.process_time()
                game(keep[1 : 1 + count])
                took[turn, k] = (time.process_time() - begin) / count
    finally:
        passes.PASS_BYTES = before
    return list(zip((1e6 * np.median(took, axis=0)).tolist(), chunks, strict=True))


if __name__ == "__main__":
    main()
