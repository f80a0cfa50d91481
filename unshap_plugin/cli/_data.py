"""What the commands about a table share: its arguments, and the way from these to a problem."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.cli._models import MODELS, task_of, train_model
from unshap_plugin.cli._tables import EXAMPLES, Table, example, flip_labels, read_tables
from unshap_plugin.errors import InvalidValueError, UnknownNameError
from unshap_plugin.plugins.registry import find_unlearner
from unshap_plugin.problem.problem import ValuationProblem

__all__ = ["add_arguments", "add_out", "load"]

#: The metrics of each task, the default first.
METRICS = {
    "classification": ["log_likelihood", "accuracy", "neg_loss"],
    "regression": ["r2", "neg_mean_squared_error", "neg_loss"],
}


def add_arguments(parser: argparse.ArgumentParser) -> Any:
    """Add the arguments that say what is valued and how it is unlearned; return the group for more about the method."""
    data = parser.add_argument_group("data")
    data.add_argument("train", nargs="?", type=Path, metavar="train.csv", help="training table with a header line")
    data.add_argument("--example", metavar="NAME", help=f"real data instead of a table: {', '.join(sorted(EXAMPLES))}")
    data.add_argument(
        "--test", type=Path, metavar="test.csv", help="table to measure on (default: 30%% of the rows of train.csv)"
    )
    data.add_argument("--label", metavar="COLUMN", help="column to predict")
    data.add_argument(
        "--group", metavar="COLUMN", help="column with the provider of each row (default: rows are valued)"
    )
    data.add_argument(
        "--target",
        action="append",
        nargs="+",
        metavar="PLAYER",
        help="value only these providers (or row numbers) and always keep the others; the values are then those of the "
        "game among the targets, not the full values restricted to them",
    )
    data.add_argument(
        "--flip", type=float, metavar="SHARE", help="flip this share of the training labels, and look for them"
    )
    method = parser.add_argument_group("method")
    method.add_argument(
        "--model",
        help=f"{', '.join(MODELS)}, or package.module:factory, called with the numbers of features and outputs "
        "(default: logistic for classes, ridge for numbers)",
    )
    method.add_argument(
        "--metric",
        help=f"what performance is: {', '.join(METRICS['classification'])} for classes (default log_likelihood: "
        f"smooth, it sees small changes that accuracy does not); {', '.join(METRICS['regression'])} for numbers, in "
        "units of standardised labels (default r2)",
    )
    method.add_argument(
        "--unlearner",
        metavar="NAME",
        default="auto",
        help="auto, or one of those that 'unshap unlearners' lists (default: %(default)s)",
    )
    method.add_argument("--seed", type=_seed, default=0, help="of everything random (default: %(default)s)")
    return method


def add_out(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the argument for the folder of the files."""
    parser.add_argument(
        "--out", type=Path, default=Path(default), metavar="DIR", help="where the files go (default: %(default)s)"
    )


def load(options: argparse.Namespace) -> tuple[Table, NDArray[np.int64], ValuationProblem]:
    """Return the table, its flipped rows, and the problem with a model trained on it.

    Names are checked before anything is read, and everything is before a model is trained.
    """
    if options.unlearner != "auto":
        find_unlearner(options.unlearner)
    table, flipped = _table(options)
    metric, targets = _metric(options.metric, table), _targets(options, table)
    trained = train_model(options.model, table, options.seed)
    problem = ValuationProblem(
        trained.model,
        (table.x, table.y),
        (table.x_test, table.y_test),
        loss=trained.loss,
        metric=metric,
        groups=table.players,
        valued=targets,
        fit=trained.recipe,
    )
    return table, flipped, problem


def _table(options: argparse.Namespace) -> tuple[Table, NDArray[np.int64]]:
    """Return the table and its flipped rows."""
    task = task_of(options.model)
    if options.example is not None:
        given = [name for name in ("train", "test", "label", "group") if getattr(options, name) is not None]
        if given:
            raise InvalidValueError(
                f"--example brings its own rows and labels, but {', '.join(given)} was given too: leave one out."
            )
        table = example(options.example, task=task, seed=options.seed)
    elif options.train is None:
        raise InvalidValueError(
            "no data was given: give a table and its label column (train.csv --label y), or --example NAME."
        )
    elif options.label is None:
        raise InvalidValueError(f"the column to predict in {str(options.train)!r} was not given: add --label COLUMN.")
    else:
        table = read_tables(
            options.train, options.test, label=options.label, group=options.group, task=task, seed=options.seed
        )
        groups = np.unique(table.players)
        if options.group is not None and len(groups) == 1 and not options.target:
            raise InvalidValueError(
                f"group column {options.group!r} has the single group {str(groups[0])!r}, to which all the value "
                f"belongs: at least two groups are needed; leave out --group to value the rows."
            )
    if options.flip is None:
        return table, np.zeros(0, dtype=np.int64)
    return flip_labels(table, options.flip, options.seed)


def _metric(name: str | None, table: Table) -> str:
    known = METRICS[table.task]
    if name is None:
        return known[0]
    if name not in {one for names in METRICS.values() for one in names}:
        raise UnknownNameError("metric", name, known)
    if name not in known:
        raise InvalidValueError(f"metric {name!r} does not fit a {table.task}: use one of {', '.join(known)}.")
    return name


def _targets(options: argparse.Namespace, table: Table) -> list[Any] | None:
    if options.target is None:
        return None
    names = [name for given in options.target for name in given]
    if options.group is not None:
        return names
    wrong = [name for name in names if not name.isdecimal()]
    if wrong:
        raise InvalidValueError(
            f"target {wrong[0]!r} is no row number, but without --group the players are rows: give --group, or row "
            f"numbers such as {table.players[0]}."
        )
    return [int(name) for name in names]


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to 2**32 - 1")
    return int(text)
