"""The table of what was measured on language models."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from harness.report import Row, Table

__all__ = ["placed", "table"]

HEADER = [
    "method",
    "access",
    "values: Pearson",
    "of the five",
    "leave-one-out: Pearson",
    "utilities: Spearman",
    "time",
    "per coalition",
    "memory",
]
AGREED = ("values", "good", "left out", "utilities")


def table(rows: Sequence[Row]) -> Table:
    """Return means over models, with the smallest in brackets; times are in retrainings, memory in megabytes.

    Examples
    --------
    >>> row = {"method": "`merge`", "access": "full", "values": 0.5, "good": 0.25, "left out": 1.0, "utilities": 0.5}
    >>> row |= {"kind": "gpt2", "seed": 1, "retrainings": 3.2, "bytes": 2**21, "coalitions": 64}
    >>> found = table([row, {**row, "seed": 2, "values": 0.75}])
    >>> found.caption, found.rows[0][:3], found.rows[0][-3:]
    ('Means over 2 models (gpt2, seeds 1 and 2).', ['`merge`', 'full', '0.625 (0.500)'], ['3.2', '0.050', '2'])
    """
    methods = dict.fromkeys(row["method"] for row in rows)
    models = dict.fromkeys((row["kind"], row["seed"]) for row in rows)
    kinds, seeds = (list(map(str, dict.fromkeys(column))) for column in zip(*models, strict=True))
    named = f"{' and '.join(kinds)}, seed{'s' * (len(seeds) > 1)} {_joined(seeds)}"
    lines = [_line([row for row in rows if row["method"] == method]) for method in methods]
    return Table(f"Means over {len(models)} models ({named}).", HEADER, lines)


def placed(page: str, new: Table) -> str:
    r"""Return a page with a table in the place of the one that it has.

    Examples
    --------
    >>> new = Table("Means over three.", ["b"], [["1"]])
    >>> placed("Means over two.\n\n| a |\n|---|\n\nAfter.\n", new).splitlines()
    ['Means over three.', '', '| b |', '|---|', '| 1 |', '', 'After.']
    """
    return re.sub(r"(?m)^Means over .*\n\n(?:\|.*\n)+", lambda _: new.markdown() + "\n", page)


def _line(rows: Sequence[Row]) -> list[str]:
    agreed = [[row[name] for row in rows] for name in AGREED]
    time = float(np.mean([row["retrainings"] for row in rows]))
    coalitions = rows[0].get("coalitions")
    known = [row["bytes"] for row in rows if row["bytes"] is not None]
    return [
        rows[0]["method"],
        rows[0]["access"],
        *(f"{np.mean(one):.3f} ({min(one):.3f})" for one in agreed),
        f"{time:.1f}",
        f"{time / coalitions:.3f}" if coalitions else "-",
        f"{np.mean(known) / 2**20:.0f}" if known else "-",
    ]


def _joined(names: Sequence[str]) -> str:
    """Return names in a sentence.

    Examples
    --------
    >>> _joined(["1"]), _joined(["1", "2", "3"])
    ('1', '1, 2 and 3')
    """
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
