"""Sources of a small language model of which a part is at hand: values by unlearning against those of retraining.

    OMP_NUM_THREADS=1 python benchmarks/language_background.py

The models of ``language_models.py``. At hand are every second row of each of the six sources (*halves*: what is like
them stays in the background), or all rows of four of them (*sources*: of the two others, one has a part of its rows
from one at hand). The rest of the training text is never seen and always kept. Retrained with two seeds are all
coalitions of those at hand, with the rest; printed are the correlations (Pearson) of Shapley values, of all sources and
of those that are not scrambled, and the size of the values, each against the mean of both: means over the models, the
smallest in brackets. Seed 0 is the one that settings were chosen by.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import torch
from harness.report import Row, Table
from language.agreement import agreement, all_of
from language.settings import METHODS, RATE, Method
from unshap_transformers.example import Example, stdlib
from unshap_transformers.problems import source_problem

from unshap_plugin import UnlearningGame
from unshap_plugin.problem.module_problem import ModuleProblem

#: The name of what is not at hand, which sorts after all others.
REST = "~"
SEED = "retraining, the other seed"
PARTS = ("halves", "sources")
SOURCES = ("email", "json", "scrambled", "xml")
#: Those of partial access in ``language_models.py``, and one that looks at the reference set.
PARTIAL = {
    **{name: method for name, method in METHODS.items() if method.access == "partial"},
    "`reference_teacher`": Method("reference_teacher", "partial", {"steps": 4, "lr": RATE, "batch_size": 16}),
}
HEADER = ["at hand", "method", "values: Pearson", "of those not scrambled", "size"]
CHUNK = 8


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--kinds", nargs="+", choices=["gpt2", "llama"], default=["gpt2"])
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, to see that it runs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sizes = {"rows": 10, "base_rows": 64} if options.quick else {}
    rows: list[Row] = []
    for kind in options.kinds:
        for seed in options.seeds:
            example = stdlib(kind, seed=seed, **sizes)
            for part in PARTS:
                rows += measured(example, part)
                print(f"{kind}, seed {seed}, {part}: done", flush=True)
    print(table(rows).markdown())


def at_hand(part: str, source: str, place: int) -> bool:
    """Tell whether a row is at hand, by its place among the rows of its source."""
    return place % 2 == 0 if part == "halves" else source in SOURCES


def divided(example: Example, part: str, access: Literal["full", "partial"]) -> ModuleProblem:
    """Return the problem of the sources at hand: with the rest as one source more, or without it."""
    data, places, rows = example.data(), dict[str, int](), []
    for row in data.pop("train_dataset"):
        source = row["source"]
        places[source] = places.get(source, -1) + 1
        rows.append({**row, "source": source if at_hand(part, source, places[source]) else REST})
    if access == "full":
        return source_problem(example.model, train_dataset=rows, **data)
    mine = [row for row in rows if row["source"] != REST]
    return source_problem(example.model, train_dataset=mine, access="partial", trained_rows=len(rows), **data)


def measured(example: Example, part: str) -> Iterator[Row]:
    """Yield a row for each method, and one for retraining."""
    problem, everything = divided(example, part, "partial"), divided(example, part, "full")
    coalitions = all_of(problem.n_players)
    kept = np.append(coalitions, np.ones((len(coalitions), 1), dtype=bool), axis=1)
    assert everything.players == [*problem.players, REST]
    truths = [UnlearningGame(everything, "retrain", seed=seed, chunk=CHUNK)(kept) for seed in (1, 2)]

    def row(method: str, truth: Any, utilities: Any) -> Row:
        return {"part": part, "method": method, **agreement(truth, utilities, problem.players)}

    yield row(SEED, *truths)
    for name, method in PARTIAL.items():
        game = UnlearningGame(problem, method.unlearner, chunk=CHUNK, **method.settings)
        yield row(name, np.mean(truths, axis=0), game(coalitions))


def table(rows: list[Row]) -> Table:
    """Return a line for each part at hand and method: means over models.

    Examples
    --------
    >>> found = [{"part": "halves", "method": SEED, "values": v, "good": 0.5, "scale": 1.0} for v in (0.9, 0.8)]
    >>> table(found).rows
    [['halves', 'retraining, the other seed', '0.850 (0.800)', '0.500 (0.500)', '1.00']]
    """
    lines = []
    for part, method in dict.fromkeys((row["part"], row["method"]) for row in rows):
        of = [row for row in rows if (row["part"], row["method"]) == (part, method)]
        pearson = [
            f"{np.mean(found):.3f} ({min(found):.3f})" for found in ([row[k] for row in of] for k in ("values", "good"))
        ]
        lines.append([part, method, *pearson, f"{np.mean([row['scale'] for row in of]):.2f}"])
    return Table("", HEADER, lines)


if __name__ == "__main__":
    main()
