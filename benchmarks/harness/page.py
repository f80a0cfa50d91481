"""The page of results, written from the reports that are kept."""

from __future__ import annotations

from pathlib import Path

from harness.questions import QUESTIONS
from harness.report import Report

__all__ = ["page", "write_page"]

HEAD = """# Results

Written by `python benchmarks/run.py --page` from the reports in `benchmarks/results`. Each table stands below the
command that measured it. What a table compares took turns in one process on one thread, of a machine that was also
doing other things: compare within a table, not times between tables, and run the commands again on a quiet machine for
times of your own. A run that was stopped has fewer seeds than its command asks for; the tables say how many. What
failed has no number, and says why. `--quick` asks the same with small sizes.

[More measurements](measurements.md), [every unlearner](unlearners.md)."""


def page(folder: Path) -> str:
    """Return the page, in Markdown, on the questions that have a report in a folder."""
    parts = [HEAD]
    for name, question in QUESTIONS.items():
        path = folder / f"{name}.json"
        if path.is_file():
            parts.append(question.section(Report.load(path)))
            if question.figure is not None:
                parts.append(f"![{question.title}](results_{name}.png)")
    return "\n\n".join(parts) + "\n"


def write_page(folder: Path, docs: Path) -> None:
    """Write ``results.md`` and its figures into the folder of the documentation."""
    (docs / "results.md").write_text(page(folder), encoding="utf-8")
    for name, question in QUESTIONS.items():
        path = folder / f"{name}.json"
        if path.is_file() and question.figure is not None:
            question.figure(Report.load(path), docs / f"results_{name}.png")
