"""Six sources of a small language model's fine-tune: values of retraining from 20 retrainings of 64.

    OMP_NUM_THREADS=1 python benchmarks/language_retrainings.py

The models of ``language_models.py``. All 64 coalitions are retrained once, and unlearned by ``finetune`` and
``merge``; then values are estimated from 20 of the retrained ones, by those alone (``stratified``; antithetic
permutations take more) and with each unlearner beside them (``corrected``), with 50 seeds. Printed is the mean squared
error over the variance of the true values among the sources; *alone* is what the unlearner's own values are off by.
Seed 0 is the one that settings of the unlearners and of corrected values were chosen by.
"""

from __future__ import annotations

import argparse

import torch
from language.corrected import corrected_rows, corrected_table
from language.settings import METHODS
from unshap_transformers.example import stdlib


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--kinds", nargs="+", choices=["gpt2", "llama"], default=["gpt2", "llama"])
    parser.add_argument("--retrainings", type=int, default=20)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, to see that it runs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sizes = {"rows": 10, "base_rows": 64} if options.quick else {}
    methods = {name: METHODS[name] for name in ("`finetune`", "`merge`")}
    rows = []
    for kind in options.kinds:
        for seed in options.seeds:
            for row in corrected_rows(stdlib(kind, seed=seed, **sizes), methods, options.retrainings, options.runs):
                rows.append({"kind": kind, "seed": seed, **row})
            print(f"{kind}, seed {seed}: done", flush=True)
    print(corrected_table(rows).markdown())


if __name__ == "__main__":
    main()
