"""``unshap tune``: with which settings an unlearner is nearest to retraining, on a table."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from unshap_plugin.audit.tuning import Tuning, tune
from unshap_plugin.cli import _data as data
from unshap_plugin.cli._advice import in_options
from unshap_plugin.cli._output import check_out, say, write
from unshap_plugin.cli._settings import as_options, by_name, grid_values
from unshap_plugin.support.printing import lines_of, number

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the parser."""
    parser = commands.add_parser(
        "tune",
        epilog="example: unshap tune --example iris --model mlp --unlearner finetune",
        help="choose settings of an unlearner by retraining, on a table",
        description="Train a model on a table, retrain it on coalitions of all sizes, unlearn them with each candidate "
        "of a grid of settings, and say which is nearest. Writes tune.csv.",
    )
    method = data.add_arguments(parser)
    method.add_argument(
        "--grid",
        action="append",
        type=grid_values,
        default=[],
        metavar="NAME=VALUE,VALUE",
        help="values to try for a setting, such as lr=0.01,0.03 (repeatable: all combinations are tried; default: "
        "those that the unlearner proposes)",
    )
    data.add_retraining(method)
    data.add_out(parser, "tune")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Tune an unlearner; the file is written before anything is said."""
    check_out("tune", options)
    grid = by_name("--grid", options.grid)
    loaded = data.load(options)
    tuning = tune(loaded.game, grid or None, coalitions=options.coalitions, seeds=options.seeds)
    wrote = write("tune", options.out, {"tune.csv": tuning.table.to_csv(index=False, lineterminator="\n")})
    best = {**by_name("--setting", options.setting), **tuning.settings}
    notes = (*loaded.table.notes, *(in_options(note, vars(options)) for note in loaded.game.problem.notes))
    lines = [*(f"note: {note}" for note in notes), "", *_table(tuning)]
    lines += [f"failed: {in_options(failure, vars(options))}" for failure in tuning.table["failure"] if failure]
    lines += ["", *_summary(tuning, loaded.game.problem.metric.name, options.seed, best)]
    say([*lines, *wrote])
    return 0


def _table(tuning: Tuning) -> Iterator[str]:
    """Yield the candidates in the order of the grid."""
    names = list(tuning.settings)
    rows = [(*names, "score", "error", "ms per coalition")]
    for row in tuning.table.to_dict("records"):
        figures = (number(row["score"], ".3f"), number(row["error"], ".2g"), number(1000 * row["seconds"], ".3g"))
        rows.append((*(str(row[name]) for name in names), *figures))
    yield from lines_of(rows)
    yield "(score: error at equal size, where 0 is retraining and 1 the model left as it is)"


def _summary(tuning: Tuning, metric: str, seed: int, best: Mapping[str, Any]) -> Iterator[str]:
    yield f"metric       {metric}, in whose units the errors are"
    yield f"coalitions   {tuning.coalitions:,}  (chosen by seed {seed}; audit the best settings with another seed)"
    yield f"retrainings  {tuning.retrainings:,}"
    yield f"best         --unlearner {tuning.unlearner} {as_options(best)}"
