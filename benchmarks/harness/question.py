"""A question: how it is measured, and how the answer is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

from harness.report import Report, Row, Table

__all__ = ["Question"]


@dataclass(frozen=True)
class Question:
    """What a benchmark asks.

    Attributes
    ----------
    name
        What it is called on the command line.
    title, text
        Heading and paragraph of its section: what is measured, and how.
    measure
        Yields rows, given the settings and the seeds.
    tables
        Makes tables of a report.
    full, quick
        Settings of a full run, and of one that takes seconds.
    seeds
        How many seeds a full run and a quick one take.
    figure
        Draws a report into a file, where there is something to see.
    """

    name: str
    title: str
    text: str
    measure: Callable[[dict[str, Any], Sequence[int]], Iterator[Row]]
    tables: Callable[[Report], list[Table]]
    full: dict[str, Any]
    quick: dict[str, Any]
    seeds: tuple[int, int]
    figure: Callable[[Report, Path], None] | None = None

    def run(self, path: Path, *, quick: bool = False, seeds: int | None = None) -> Report:
        """Measure, and write the report after every row, so that a run that is stopped leaves what it has.

        Parameters
        ----------
        path
            The JSON file.
        quick
            Take the quick settings.
        seeds
            How many seeds to take instead of the usual number.
        """
        settings = self.quick if quick else self.full
        usual = self.seeds[quick]
        count = usual if seeds is None else seeds
        command = f"python benchmarks/run.py {self.name}"
        command += " --quick" * quick + (f" --seeds {count}" if count != usual else "")
        report = Report(self.name, command, settings, list(range(count)))
        for row in self.measure(settings, report.seeds):
            report.rows.append(row)
            report.save(path)
        return report

    def section(self, report: Report) -> str:
        """Return the section of a page on this question, in Markdown."""
        return "\n\n".join(
            [
                f"## {self.title}",
                _wrapped(f"`{report.command}`. {self.text}"),
                *(table.markdown() for table in self.tables(report)),
                _wrapped(report.where()),
            ]
        )


def _wrapped(text: str) -> str:
    return fill(text, 120, break_long_words=False, break_on_hyphens=False)
