"""Ask questions about speed and quality, ours against peers, in one process on one thread.

    python benchmarks/run.py                      # all questions, in full
    python benchmarks/run.py speed --quick        # one of them, in seconds
    python benchmarks/run.py --page               # docs/results.md and its figures, from the reports that are kept

Reports (JSON) and figures go to ``benchmarks/results``, those of quick runs to ``benchmarks/results/quick``. Needs
OpenDataVal; pyDVL takes part where it is installed.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import torch
from harness.page import write_page
from harness.questions import QUESTIONS

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", nargs="*", help=f"some of {', '.join(QUESTIONS)}; all without any")
    parser.add_argument("--quick", action="store_true", help="small sizes: all questions in under two minutes")
    parser.add_argument("--seeds", type=int, help="how many seeds, instead of the usual number")
    parser.add_argument("--out", type=Path, help="folder of the reports")
    parser.add_argument("--page", action="store_true", help="write the page from the reports, and measure nothing")
    options = parser.parse_args()
    unknown = sorted(set(options.questions) - set(QUESTIONS))
    if unknown:
        parser.error(f"there is no question {', '.join(unknown)}: there are {', '.join(QUESTIONS)}")
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # peers warn of what they deprecate, divide by and pin
    if options.page:
        write_page(HERE / "results", HERE.parent / "docs")
        return
    folder = options.out or HERE / "results" / ("quick" if options.quick else ".")
    folder.mkdir(parents=True, exist_ok=True)
    for name in options.questions or QUESTIONS:
        question, begin = QUESTIONS[name], time.perf_counter()
        report = question.run(folder / f"{name}.json", quick=options.quick, seeds=options.seeds)
        for table in question.tables(report):
            print(table.text(), end="\n\n")
        if question.figure is not None:
            question.figure(report, folder / f"{name}.png")
        print(f"{name}: {time.perf_counter() - begin:.0f} s, in {folder / name}.json\n", flush=True)


if __name__ == "__main__":
    main()
