"""The arguments that the commands about a table share, and the way from these to a game."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.cli._blanks import stripped
from unshap_plugin.cli._examples import EXAMPLES, example
from unshap_plugin.cli._flip import flip_labels
from unshap_plugin.cli._models import MODELS, task_of, train_model
from unshap_plugin.cli._scheduler import add_scheduler
from unshap_plugin.cli._settings import by_name, setting
from unshap_plugin.cli._tables import Table, read_tables
from unshap_plugin.errors import InvalidValueError, UnknownNameError
from unshap_plugin.game import UnlearningGame
from unshap_plugin.metrics import METRICS, default_metric
from unshap_plugin.plugins.manager import plugins
from unshap_plugin.plugins.registry import find_metric, resolve_unlearner
from unshap_plugin.problem.players import players_of
from unshap_plugin.problem.problem import ValuationProblem
from unshap_plugin.scoring.scorers import Answers, named_scorer

__all__ = ["Loaded", "add_arguments", "add_out", "add_retraining", "load"]


@dataclass(frozen=True)
class Loaded:
    """A table, and the game with a model that was trained on it.

    Parameters
    ----------
    table
        The rows.
    flipped
        Which training rows have flipped labels, sorted.
    game
        The game.
    """

    table: Table
    flipped: NDArray[np.int64]
    game: UnlearningGame


def add_arguments(parser: argparse.ArgumentParser) -> Any:
    """Add the arguments that say what is valued and how it is unlearned; return the group for more about the method."""
    data = parser.add_argument_group("data")
    data.add_argument("train", nargs="?", type=Path, metavar="train.csv", help="training table with a header line")
    data.add_argument("--example", metavar="NAME", help=f"real data instead of a table: {', '.join(sorted(EXAMPLES))}")
    data.add_argument(
        "--test", type=Path, metavar="test.csv", help="table to measure on (default: 30%% of the rows of train.csv)"
    )
    data.add_argument(
        "--reference",
        type=Path,
        metavar="reference.csv",
        help="table that is not training data and that the unlearner may look at; it needs no label column",
    )
    data.add_argument("--label", type=stripped, metavar="COLUMN", help="column to predict")
    data.add_argument(
        "--task",
        choices=["classification", "regression"],
        help="what the labels are (default: classes if they are text, or whole numbers that are few or repeat)",
    )
    data.add_argument(
        "--group",
        type=stripped,
        metavar="COLUMN",
        help="column with the group of each row, such as its provider (default: every row is a player)",
    )
    data.add_argument(
        "--valued",
        action="append",
        nargs="+",
        type=stripped,
        metavar="GROUP",
        help="value only these groups (or row numbers) and always keep the others; the values are then those of the "
        "game over the valued ones, not the values of all restricted to them",
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
        help=f"the utility: {_metrics('classification')} for classes (default: "
        f"{default_metric(Answers('classification')).name}, which sees small changes that accuracy does not); "
        f"{_metrics('regression')} for numbers, in units of standardised labels (default: "
        f"{default_metric(Answers('regression')).name}); a scorer of scikit-learn, such as f1_macro, is one too",
    )
    method.add_argument(
        "--unlearner",
        metavar="NAME",
        default="auto",
        help="auto, or one of those that 'unshap unlearners' lists (default: %(default)s)",
    )
    method.add_argument(
        "--setting",
        action="append",
        type=setting,
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the unlearner, such as steps=5 (repeatable); 'unshap unlearners NAME' lists them",
    )
    method.add_argument("--seed", type=_seed, default=0, help="of everything random (default: %(default)s)")
    method.add_argument(
        "--jobs", type=int, metavar="N", help="processes that evaluate coalitions at a time, -1 for one on each core"
    )
    add_scheduler(method)
    method.add_argument("--memory", metavar="SIZE", help="memory that they may take, such as 2GB (default: a quarter)")
    method.add_argument(
        "--store", type=Path, metavar="FILE", help="where utilities are kept: a later run evaluates what is not in it"
    )
    return method


def add_retraining(method: Any) -> None:
    """Add the arguments of a comparison with retraining to a group."""
    method.add_argument(
        "--coalitions",
        type=int,
        metavar="N",
        help="how many at most, the same number of each size or quarter of the sizes (default: all for up to 8 "
        "players, otherwise 100)",
    )
    method.add_argument(
        "--seeds", type=int, default=2, metavar="K", help="retrainings of each, at least 2 (default: %(default)s)"
    )


def add_out(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the argument for the folder of the files."""
    parser.add_argument(
        "--out", type=Path, default=Path(default), metavar="DIR", help="where the files go (default: %(default)s)"
    )


def load(
    options: argparse.Namespace, access: Literal["full", "partial"] = "full", artifacts: Path | None = None
) -> Loaded:
    """Read the table, train a model on it, and return the game.

    Names are checked before anything is read, and everything is before a model is trained.

    Parameters
    ----------
    options
        The arguments.
    access
        Level of access. With partial access the problem has the rows of the valued players alone, of all that the model
        is trained on.
    artifacts
        A file with stored artefacts of all rows.

    Raises
    ------
    UnshapError
        If any of the arguments cannot be used.
    """
    settings = by_name("--setting", options.setting)
    if options.unlearner != "auto":
        resolve_unlearner(options.unlearner, settings)
    table, flipped = _table(options)
    _check_metric(options.metric, table.task)
    valued, rows = _valued(options, table), np.arange(len(table.y))
    if access == "partial":
        rows = np.flatnonzero(players_of(table.groups, valued, len(rows), alone=True)[1] >= 0)
    reference: Any = table.reference
    if reference is not None and reference[1] is None:
        reference = reference[0]
    trained = train_model(options.model, table, options.seed)
    problem = ValuationProblem(
        trained.model,
        (table.x[rows], table.y[rows]),
        (table.x_test, table.y_test),
        loss=trained.loss,
        metric=options.metric,
        groups=table.groups[rows],
        valued=valued,
        reference=reference,
        access=access,
        fit=trained.recipe,
        artifacts=artifacts,
        trained_rows=len(table.y),
    )
    game = UnlearningGame(
        problem,
        options.unlearner,
        seed=options.seed,
        n_jobs=options.jobs,
        memory=options.memory,
        store=options.store,
    )
    # Not as keywords of the game, which has some of its own: a setting may be called like one of them.
    return Loaded(table, flipped, game.with_settings(**settings) if settings else game)


def _table(options: argparse.Namespace) -> tuple[Table, NDArray[np.int64]]:
    """Return the table and its flipped rows."""
    task = task_of(options.model)
    if options.task is not None:
        if task not in (None, options.task):
            raise InvalidValueError(
                f"--model {options.model} is made for a {task}, but --task {options.task} was given: leave one out."
            )
        task = options.task
    if options.example is not None:
        columns = ("train", "test", "reference", "label", "group")
        given = [name for name in columns if getattr(options, name) is not None]
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
            options.train,
            options.test,
            options.reference,
            label=options.label,
            group=options.group,
            task=task,
            seed=options.seed,
        )
        groups = np.unique(table.groups)
        if options.group is not None and len(groups) == 1 and not options.valued:
            raise InvalidValueError(
                f"group column {options.group!r} has the single group {str(groups[0])!r}, to which all the value "
                f"belongs: at least two groups are needed; leave out --group to value the rows."
            )
    if options.flip is None:
        return table, np.zeros(0, dtype=np.int64)
    return flip_labels(table, options.flip, options.seed)


def _metrics(task: str) -> str:
    return ", ".join(one.name for one in METRICS if one.task in (None, task))


def _check_metric(name: str | None, task: str) -> None:
    if name is None:
        return
    try:
        metric = find_metric(name).offer
    except UnknownNameError:
        if named_scorer(name) is None:
            raise
        return
    if metric.task not in (None, task):
        known = [key for key, one in plugins().metrics.usable.items() if one.offer.task in (None, task)]
        raise InvalidValueError(f"metric {name!r} does not fit a {task}: use one of {', '.join(known)}.")


def _valued(options: argparse.Namespace, table: Table) -> list[Any] | None:
    """Return the groups, or the row numbers, that are valued."""
    if options.valued is None:
        return None
    names = [name for given in options.valued for name in given]
    if options.group is not None:
        return names
    wrong = [name for name in names if not name.isdecimal()]
    if wrong:
        raise InvalidValueError(
            f"--valued has {wrong[0]!r}, which is no row number, but without --group the players are rows: give "
            f"--group, or row numbers such as {table.groups[0]}."
        )
    rows, known = [int(name) for name in names], set(table.groups.tolist())
    absent = [row for row in rows if row not in known]
    if absent:
        # Without a test table some rows are no players, though they stand in the table.
        aside = options.train is not None and options.test is None and absent[0] < len(known) + len(table.y_test)
        raise InvalidValueError(
            f"--valued has row {absent[0]}, which is {'set aside for testing' if aside else 'not there'}; the first of "
            f"the {len(known)} training rows are {', '.join(map(str, table.groups[:10]))}: name training rows"
            f"{', or give other rows to test on with --test' if aside else ''}."
        )
    return rows


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to 2**32 - 1")
    return int(text)
