"""Six sources of a small language model's fine-tune: values by unlearning against those of retraining.

    OMP_NUM_THREADS=1 python benchmarks/language_models.py
    python benchmarks/language_models.py --page    # the table of docs/language_models.md, from what was measured

The model of ``unshap text --example stdlib`` (bytes of the standard library's source, an adapter of rank 4 for six
sources of unequal size, one scrambled, two that share rows) in two families, GPT-2 and Llama, and all 64 coalitions
retrained with two seeds. Printed are, against the mean of both, the correlation (Pearson) of the Shapley values, of
those of the five sources that are not scrambled, and of the leave-one-out values, the rank correlation (Spearman) of
the utilities; and processor time and memory. What other packages attribute to training rows is among it where they are
installed (kronfluence, dattri): a source is then worth the sum over its rows. All that was measured is written to
``benchmarks/language/results.json``.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import torch
from harness.report import Report
from language.measuring import absent, measured
from language.peers import PEERS, TRIED_PEERS
from language.settings import METHODS, TRIED
from language.table import placed, table
from unshap_transformers.example import stdlib

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "language" / "results.json"
COMMAND = "OMP_NUM_THREADS=1 python benchmarks/language_models.py"


def main() -> None:
    """Measure, print the table, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[1, 2, 3], help="0 is the one that settings were chosen by"
    )
    parser.add_argument("--kinds", nargs="+", choices=["gpt2", "llama"], default=["gpt2", "llama"])
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, to see that it runs")
    parser.add_argument("--choose", action="store_true", help="try other settings")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the file to write (default: %(default)s)")
    parser.add_argument("--page", action="store_true", help="write the table into the page, and measure nothing")
    options = parser.parse_args()
    if options.page:
        page = HERE.parent / "docs" / "language_models.md"
        text = placed(page.read_text(encoding="utf-8"), table(Report.load(options.out).rows))
        page.write_text(text, encoding="utf-8")
        return
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=FutureWarning)
    methods, peers = (TRIED, TRIED_PEERS) if options.choose else (METHODS, PEERS)
    for name in absent(peers):
        print(f"{name} is left out: {peers[name].package} is not installed.")
    sizes = {"rows": 10, "base_rows": 64} if options.quick else {}
    report = Report("language", COMMAND, {"kinds": options.kinds, **sizes}, options.seeds)
    for kind in options.kinds:
        for seed in options.seeds:
            for row in measured(stdlib(kind, seed=seed, **sizes), methods, peers):
                report.rows.append({"kind": kind, "seed": seed, **row})
                print(f"{kind}, seed {seed}: {row['method']}, {row['seconds']:.1f} s", flush=True)
            report.save(options.out)
    print(table(report.rows).markdown())


if __name__ == "__main__":
    main()
