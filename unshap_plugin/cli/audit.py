"""``unshap audit``: how far unlearning is from retraining, on a table."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from unshap_plugin.audit.audit import audit
from unshap_plugin.audit.report import FidelityReport
from unshap_plugin.cli import _data as data
from unshap_plugin.cli._advice import in_options
from unshap_plugin.cli._output import add_json, check_out, say, write
from unshap_plugin.cli._progress import progress_bar
from unshap_plugin.cli._terminal import put
from unshap_plugin.support.printing import lines_of, number

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the parser."""
    parser = commands.add_parser(
        "audit",
        epilog="example: unshap audit --example iris",
        help="compare unlearning with retraining, on a table",
        description="Train a model on a table, unlearn coalitions of all sizes from it, retrain on them, and say how "
        "far one is from the other, beside how far two retrainings are. Writes audit.csv, audit.json and audit.png.",
    )
    method = data.add_arguments(parser)
    data.add_retraining(method)
    add_json(parser)
    data.add_out(parser, "audit")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Audit an unlearner; files are written before anything is said."""
    check_out("audit", options)
    loaded = data.load(options)
    with progress_bar("audit") as progress:
        report = audit(loaded.game, coalitions=options.coalitions, seeds=options.seeds, progress=progress)
    outputs = {
        "audit.csv": report.to_frame().to_csv(index=False, lineterminator="\n"),
        "audit.json": report.to_json() + "\n",
        "audit.png": report.plot(),
    }
    wrote = write("audit", options.out, outputs)
    verdict = in_options(report.verdict, vars(options))
    notes = (*loaded.table.notes, *(in_options(note, vars(options)) for note in loaded.game.problem.notes))
    lines = [*(f"note: {note}" for note in notes), "", *_table(report), *_summary(report)]
    say([*lines, f"verdict      {verdict}", *wrote], json=options.json)
    if options.json:
        put(report.to_json() + "\n")
    return 0


def _table(report: FidelityReport) -> Iterator[str]:
    """Yield the figures by size."""
    frame = report.to_frame()
    errors = ["error", "error_se", "noise_error", "nothing_error", "bias"]
    rows = [("kept", "coalitions", "error", "+-", "floor", "nothing", "bias", "Spearman", "ceiling")]
    for row in frame.itertuples():
        figures = [number(getattr(row, name), ".2g") for name in errors]  # they span orders of magnitude
        ranks = [number(row.spearman, ".3f"), number(row.noise_spearman, ".3f")]
        rows.append((row.kept, str(row.coalitions), *figures, *ranks))
    yield from lines_of(rows)


def _summary(report: FidelityReport) -> Iterator[str]:
    bounds, values = report.bounds(), report.value_agreement()
    settings = ", ".join(f"{name}={value!r}" for name, value in report.settings.items())
    yield "(floor, ceiling: one retraining against another; nothing: the model left as it is)"
    yield ""
    yield f"unlearner    {report.unlearner} ({settings or 'no settings'})"
    yield f"metric       {report.metric}, in whose units the errors are"
    yield (
        f"equal size   Spearman {number(bounds.spearman_within, '.3f')}, ceiling "
        f"{number(bounds.noise_spearman_within, '.3f')}  (what depends on the size of a coalition taken away)"
    )
    yield f"size alone   {number(bounds.size_share, '.0%')} of the squared error, which shifts all values equally"
    of = "" if report.complete else ", as far as the audited coalitions show"
    yield (
        f"bounds       values within {bounds.values:.2g} of retrained ones, differences of two within "
        f"{bounds.differences:.2g}{of}"
    )
    if values is not None:
        yield (
            f"values       off by {values.error:.2g} at most, floor {values.noise_error:.2g}; Pearson "
            f"{number(values.pearson, '.3f')}, ceiling {number(values.noise_pearson, '.3f')}"
        )
    yield f"cost         one retraining takes as long as {number(report.cost_ratio, '.3g')} unlearned coalitions"
    yield f"retrainings  {report.retrainings:,}  ({len(report.retrain_seeds)} of each coalition, seed {report.seed})"
    yield f"seconds      {report.seconds:.2f}"
