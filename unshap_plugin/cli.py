"""The command ``unshap``: values for a table, the unlearners that there are, and OpenDataVal's own command."""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

from unshap_plugin.errors import InvalidValueError, UnknownNameError, UnshapError
from unshap_plugin.estimators import ESTIMATORS, resolve_estimator
from unshap_plugin.game import UnlearningGame
from unshap_plugin.listing import as_json, one_as_json, one_as_text, table
from unshap_plugin.plugins import plugins
from unshap_plugin.problem import ValuationProblem
from unshap_plugin.registry import find_unlearner
from unshap_plugin.result import ValuationResult
from unshap_plugin.tables import EXAMPLES, Table, example, flip_labels, read_tables
from unshap_plugin.training import MODELS, task_of, train_model
from unshap_plugin.valuation import shapley_values

__all__ = ["main"]

#: The metrics of each task, the default first.
METRICS = {
    "classification": ["log_likelihood", "accuracy", "neg_loss"],
    "regression": ["r2", "neg_mean_squared_error", "neg_loss"],
}
MAX_EXACT = 10
MAX_LINES, SHOWN = 40, 10
OUTPUTS = "values.csv", "result.json", "values.png"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    0; 1 if a conformance check failed; 2 after an error (one sentence on stderr); 130 after ctrl-C.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # names and summaries may be of any script, terminals are not
    try:
        # Past argparse, which would take the options of the other command for its own.
        if arguments[:1] == ["opendataval"]:
            return _opendataval(arguments[1:])
        options = _parser().parse_args(arguments)
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            run: Callable[[argparse.Namespace], int] = options.run
            return run(options)
    except UnshapError as error:
        sys.stderr.write(f"unshap: error: {' '.join(str(error).split())}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("unshap: interrupted, nothing was written\n")
        return 130


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are the one sentence that all errors of this command are."""

    def error(self, message: str) -> NoReturn:
        raise InvalidValueError(f"{message}; see {self.prog} --help.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="unshap", description="Value training data by unlearning it from a trained model.")
    parser.add_argument("--version", action="version", version=f"unshap {version('unshap-plugin')}")
    commands = parser.add_subparsers(metavar="command", required=True)
    commands.add_parser(
        "opendataval", add_help=False, help="OpenDataVal's own command, with these evaluators in its list"
    )
    value = commands.add_parser(
        "value",
        help="value the rows, or the providers, of a table",
        description="Train a model on a table and say what each row, or each provider, was worth to it: the Shapley "
        "value of keeping that data, with a standard error. Writes values.csv, result.json and values.png.",
    )
    data = value.add_argument_group("data")
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
    method = value.add_argument_group("method")
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
    method.add_argument(
        "--estimator",
        help=f"{' or '.join(sorted(ESTIMATORS))} (default: exact up to {MAX_EXACT} players, then permutation)",
    )
    method.add_argument("--budget", type=int, metavar="N", help="evaluations that the estimator may ask for")
    method.add_argument("--seed", type=_seed, default=0, help="of everything random (default: %(default)s)")
    value.set_defaults(run=_value)
    value.add_argument(
        "--out", type=Path, default=Path("values"), metavar="DIR", help="where the files go (default: %(default)s)"
    )
    unlearners = commands.add_parser(
        "unlearners",
        help="list the unlearning methods, with those of plugins",
        description="List the unlearning methods that are built in or that plugins offer, and the plugins that failed.",
    )
    unlearners.add_argument("name", nargs="?", metavar="NAME", help="show this one in full, with its settings")
    unlearners.add_argument("--json", action="store_true", help="as data")
    unlearners.set_defaults(run=_unlearners)
    conformance = commands.add_parser(
        "conformance",
        help="check an unlearner, an estimator or an evaluator against what it promises",
        description="Check the axioms and contracts on small games and problems whose answers are known. Exit code 1 "
        "if a check fails.",
    )
    conformance.add_argument(
        "name", metavar="NAME", help="a registered unlearner, an estimator, or package.module:object for your own"
    )
    conformance.set_defaults(run=_conformance)
    return parser


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to 2**32 - 1")
    return int(text)


def _value(options: argparse.Namespace) -> int:
    """Value a table: everything that can be refused is refused first, and files are written before anything is said."""
    _check_writable(options.out)
    if options.estimator is not None:
        resolve_estimator(options.estimator)
    if options.unlearner != "auto":
        find_unlearner(options.unlearner)
    table, flipped = _load(options)
    metric = _metric(options.metric, table)
    trained = train_model(options.model, table, options.seed)
    problem = ValuationProblem(
        trained.model,
        (table.x, table.y),
        (table.x_test, table.y_test),
        loss=trained.loss,
        metric=metric,
        players=table.players,
        targets=_targets(options, table),
        fit=trained.recipe,
    )
    game = UnlearningGame(problem, options.unlearner, seed=options.seed)
    result = _estimate(game, options)
    marked = set(table.players[flipped].tolist())
    _write(result, options.out, marked)
    lines = [*(f"note: {note}" for note in (*table.notes, *result.notes)), "", *_table_lines(result), ""]
    lines += _summary(result, game)
    if options.flip is not None:
        lines.append(_found(result, marked))
    lines.append(f"wrote        {', '.join(str(options.out / name) for name in OUTPUTS)}")
    sys.stdout.write("\n".join(lines).lstrip("\n") + "\n")
    return 0


def _check_writable(out: Path) -> None:
    """Refuse a folder that could not be written to, without making it yet."""
    existing = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise InvalidValueError(
            f"the output folder {str(out)!r} cannot be written ({error.strerror}: {str(existing)!r}): "
            f"give another --out."
        ) from error


def _load(options: argparse.Namespace) -> tuple[Table, np.ndarray[Any, np.dtype[np.int64]]]:
    """Return the table and its flipped rows."""
    task = task_of(options.model)
    if options.flip is not None and options.group is not None:
        raise InvalidValueError(
            "--flip looks for single rows by their values, but with --group the players are groups: leave one out."
        )
    if options.example is not None:
        given = [name for name in ("train", "test", "label", "group") if getattr(options, name) is not None]
        if given:
            raise InvalidValueError(
                f"--example brings its own rows and labels, but {', '.join(given)} was given too: leave one out."
            )
        table = example(options.example, task=task, seed=options.seed)
    elif options.train is None:
        raise InvalidValueError(
            "no data was given: give a table, as in unshap value train.csv --label y, or --example NAME."
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


def _estimate(game: UnlearningGame, options: argparse.Namespace) -> ValuationResult:
    estimator = options.estimator
    if estimator is None:
        affordable = options.budget is None or options.budget >= 2**game.n_players
        estimator = "exact" if game.n_players <= MAX_EXACT and affordable else "permutation"
    # disable=None: only where stderr is a terminal.
    with tqdm(desc="evaluations", unit="", leave=False, disable=None, file=sys.stderr) as bar:

        def progress(asked: int, total: int) -> None:
            bar.total = total
            bar.update(asked - bar.n)

        return shapley_values(game, estimator, options.budget, options.seed, progress=progress)


def _write(result: ValuationResult, out: Path, marked: Collection[Any]) -> None:
    """Write all files beside each other, and move them into place when they are complete."""
    frame = result.to_frame()
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".") as name:
            table, record, picture = (Path(name) / output for output in OUTPUTS)
            frame.to_csv(table, index=False, lineterminator="\n")
            record.write_text(result.to_json() + "\n", encoding="utf-8")
            figure: Any = result.plot(highlight=marked, label="flipped label").figure
            figure.savefig(picture, dpi=150)
            for path in (table, record, picture):
                path.replace(out / path.name)
    except OSError as error:
        raise InvalidValueError(
            f"the results cannot be written to {str(out)!r} ({error}): give another --out."
        ) from error


def _table_lines(result: ValuationResult) -> Iterator[str]:
    """Yield the players by rank; of many the first and the last."""
    frame = result.to_frame().sort_values("rank", kind="stable")
    largest = float(np.abs(frame[["value", "std_error"]].to_numpy()).max())
    # Four digits of the largest value, so that all values line up.
    places = min(max(0, 3 - int(np.floor(np.log10(largest)))), 12) if largest > 0 else 0
    rows = [("player", "value", "std error", "95% interval", "rank")]
    rows += [
        (
            str(row.player),
            f"{row.value:.{places}f}",
            f"{row.std_error:.{places}f}",
            f"[{row.ci_low:.{places}f}, {row.ci_high:.{places}f}]",
            str(row.rank),
        )
        for row in frame.itertuples()
    ]
    if len(frame) > MAX_LINES:
        rows[1 + SHOWN : -SHOWN] = [("...", "", "", "", "")]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield "  ".join(cells).rstrip()


def _summary(result: ValuationResult, game: UnlearningGame) -> list[str]:
    why = "" if game.reason is None else f" (auto: {game.reason})"
    return [
        f"v(all)       {float(result.utility_all):.6g}  ({result.metric} on {len(game.problem.y_test)} test rows)",
        f"v(none)      {float(result.utility_none):.6g}  (when every player is unlearned)",
        f"sum          {float(result.values.sum()):.6g}  (of the values; v(all) - v(none) is "
        f"{float(result.utility_all - result.utility_none):.6g})",
        f"evaluations  {result.evaluations:,}  (estimator {result.estimator}, seed {result.seed})",
        f"seconds      {result.seconds:.2f}",
        f"unlearner    {result.unlearner}{why}",
    ]


def _found(result: ValuationResult, marked: Collection[Any]) -> str:
    """Say how well low values find the flipped labels."""
    flipped = np.array([player in marked for player in result.players])
    if flipped.all() or not flipped.any():
        return "flipped      no AUC: the players that were valued are all flipped, or none of them is"
    auc = roc_auc_score(flipped, -result.values)
    return (
        f"flipped      AUC {auc:.3f}  (how well low values find the {int(flipped.sum())} flipped labels; chance: 0.5)"
    )


def _unlearners(options: argparse.Namespace) -> int:
    if options.name is None:
        text = as_json(plugins()) if options.json else "\n".join(table(plugins()))
    elif options.name == "auto":
        raise InvalidValueError("'auto' is no unlearner, but a choice among the built-in ones for a problem.")
    else:
        one = find_unlearner(options.name)
        text = one_as_json(options.name, one) if options.json else "\n".join(one_as_text(options.name, one))
    sys.stdout.write(text + "\n")
    return 0


def _conformance(options: argparse.Namespace) -> int:
    """Check what a name stands for. The suite is imported here, since it builds on this package."""
    from unshap_conformance import table, tasks_of
    from unshap_conformance.naming import subject_named
    from unshap_conformance.runner import run_tasks

    here = str(Path.cwd())
    sys.path.insert(0, here)  # package.module:object may be in the folder that this runs in
    try:
        subject = subject_named(options.name)
        records = run_tasks(tasks_of(subject, subject.checks), on_fail="collect")
    finally:
        sys.path.remove(here)
    failed = [str(record) for record in records if record.status == "failed"]
    sys.stdout.write("\n\n".join([table(records), *failed]) + "\n")
    return 1 if failed else 0


def _opendataval(arguments: list[str]) -> int:
    """Run OpenDataVal's command. Its list of evaluators freezes on import, so ours are imported first."""
    try:
        import unshap_opendataval  # noqa: F401
        from opendataval.__main__ import cli
    except ImportError as error:
        raise InvalidValueError(
            f"OpenDataVal cannot be imported ({error}): run pip install 'unshap-plugin[opendataval]', which "
            f"brings it and what it needs."
        ) from error
    try:
        cli(args=arguments, prog_name="unshap opendataval")
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    return 0


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    sys.stderr.write(f"unshap: warning: {' '.join(str(message).split())}\n")
