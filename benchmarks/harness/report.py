"""A report: what was asked, on which machine, with which versions and seeds, and what was measured."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

__all__ = ["Report", "Table", "machine", "number", "seeds_of", "spread", "versions"]

FORMAT = "unshap-benchmark/1"
PACKAGES = (
    "unshap-plugin",
    "opendataval",
    "pydvl",
    "shapiq",
    "kronfluence",
    "dattri",
    "transformers",
    "peft",
    "torch",
    "numpy",
    "scikit-learn",
)

#: One thing that was measured: names, numbers, and ``"failure"`` where there are no numbers.
Row = dict[str, Any]


@dataclass(frozen=True)
class Report:
    """All that one run of a question measured.

    Attributes
    ----------
    question
        Its name.
    command
        The command that asks it again.
    settings, seeds
        What it was asked with.
    rows
        What was measured, one dictionary each; numbers are finite.
    machine, versions
        Where it ran.
    """

    question: str
    command: str
    settings: dict[str, Any]
    seeds: list[int]
    rows: list[Row] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=lambda: machine())
    versions: dict[str, str] = field(default_factory=lambda: versions())

    def save(self, path: Path) -> None:
        """Write it as JSON.

        Raises
        ------
        ValueError
            If a number is not finite: what failed has no number.
        """
        text = json.dumps({"format": FORMAT, **asdict(self)}, indent=1, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Report:
        """Read what ``save`` wrote.

        Raises
        ------
        ValueError
            If it is something else.
        """
        fields = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(fields, dict) or fields.pop("format", None) != FORMAT:
            raise ValueError(f"{path} is no report of a benchmark ({FORMAT}).")
        return cls(**fields)

    def where(self) -> str:
        """Return one sentence on machine and versions."""
        software = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        threads = "one thread" if self.machine["threads"] == 1 else f"{self.machine['threads']} threads"
        return f"{self.machine['processor']}, {threads} of {self.machine['cores']} cores; {software}."


@dataclass(frozen=True)
class Table:
    """A table, with a line that says what is in it."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """Return it in Markdown.

        Examples
        --------
        >>> print(Table("Sizes.", ["what", "how many"], [["rows", "3"]]).markdown())
        Sizes.
        <BLANKLINE>
        | what | how many |
        |---|---|
        | rows | 3 |
        """
        lines = [self.header, *self.rows]
        cells = ["| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines]
        return "\n".join([self.caption, "", cells[0], "|" + "---|" * len(self.header), *cells[1:]])

    def text(self) -> str:
        """Return it with aligned columns, to be printed."""
        lines = [self.header, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            [self.caption, *("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)],
        )


def number(row: Mapping[str, Any], key: str, form: str = ".3f") -> str:
    """Return a number of a row for a table; where there is none, nothing.

    Examples
    --------
    >>> number({"seconds": 2.5}, "seconds"), number({"failure": "TypeError: no"}, "seconds")
    ('2.500', '')
    """
    value = row.get(key)
    return "" if value is None or not math.isfinite(value) else format(value, form)


def seeds_of(rows: Sequence[Row]) -> str:
    """Return how many seeds there are rows of: fewer than were asked for, where a run was stopped.

    Examples
    --------
    >>> seeds_of([{"seed": 0}, {"seed": 0}]), seeds_of([{"seed": 0}, {"seed": 1}])
    ('one seed', '2 seeds')
    """
    count = len({row["seed"] for row in rows})
    return "one seed" if count == 1 else f"{count} seeds"


def spread(numbers: Sequence[float]) -> str:
    """Return the mean of numbers with their standard deviation, where there are several.

    Examples
    --------
    >>> spread([0.5, 0.75]), spread([0.5]), spread([])
    ('0.625 ± 0.125', '0.500', '')
    """
    if not numbers:
        return ""
    return f"{np.mean(numbers):.3f}" + (f" ± {np.std(numbers):.3f}" if len(numbers) > 1 else "")


def machine() -> dict[str, Any]:
    """Return processor, cores and threads."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def versions() -> dict[str, str]:
    """Return the versions of the packages that take part, as far as they are installed, and of Python."""
    known = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            known[name] = version(name)
        except PackageNotFoundError:
            continue
    return known


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
