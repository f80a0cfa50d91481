"""``unshap value``: what each row, or each group of rows, of a table was worth."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from unshap_plugin.audit.audit import audit
from unshap_plugin.audit.sizes import draw
from unshap_plugin.cli import _data as data
from unshap_plugin.cli._access import add_access, check_access_options
from unshap_plugin.cli._advice import in_options
from unshap_plugin.cli._output import check_out, number, progress_bar, say, write
from unshap_plugin.errors import InvalidValueError
from unshap_plugin.estimators import METHODS
from unshap_plugin.plugins.registry import find_estimator
from unshap_plugin.results.money import cents_of
from unshap_plugin.results.payments import Payouts
from unshap_plugin.results.result import ValuationResult
from unshap_plugin.support.printing import lines_of
from unshap_plugin.unlearners.stored import compute_artifacts
from unshap_plugin.valuation import shapley_values

__all__ = ["add", "run"]

MAX_LINES, SHOWN = 40, 10


def add(commands: Any) -> None:
    """Add the parser."""
    parser = commands.add_parser(
        "value",
        help="value the rows, or the groups of rows, of a table",
        description="Train a model on a table and say what each row, or each group of rows, was worth to it: the "
        "Shapley value of keeping that data, with a standard error. Writes values.csv, result.json and values.png.",
    )
    method = data.add_arguments(parser)
    method.add_argument(
        "--estimator",
        metavar="NAME",
        default="auto",
        help=f"auto, {', '.join(one.name for one in METHODS)}, or a plugin's (default: %(default)s, which is "
        "exact where the budget allows it, up to 12 players without one, else stratified, and for more than 1,500 "
        "players permutation)",
    )
    method.add_argument("--budget", type=int, metavar="N", help="utilities that the estimator may ask for")
    method.add_argument(
        "--audit",
        type=int,
        metavar="N",
        help="also audit the unlearner against retraining on N coalitions, as 'unshap audit' does, and write "
        "audit.json",
    )
    method.add_argument(
        "--pay",
        metavar="AMOUNT",
        help="also divide an amount of money, such as 10000 or 10000.50, among the players by their values, to the "
        "cent, and write payments.csv; negative values are paid nothing",
    )
    add_access(parser)
    data.add_out(parser, "values")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Value a table: everything that can be refused is refused first, and files are written before anything is said."""
    _check(options)
    loaded = data.load(options, options.access, options.artifacts)
    table, game = loaded.table, loaded.game
    if options.audit is not None:
        draw(game.n_players, options.audit, options.seed)  # refuses a number that is too small
    artifacts = None if options.save_artifacts is None else compute_artifacts(game.problem)
    with progress_bar("evaluations") as progress:
        result = shapley_values(game, options.estimator, options.budget, options.seed, progress=progress)
    report = None
    if options.audit is not None:
        with progress_bar("audit") as progress:
            report = audit(game, coalitions=options.audit, progress=progress)
    marked = set(table.groups[loaded.flipped].tolist())
    outputs = {
        "values.csv": result.to_frame().to_csv(index=False, lineterminator="\n"),
        "result.json": result.to_json() + "\n",
        "values.png": result.plot(highlight=marked, label="flipped label"),
    }
    paid = None if options.pay is None else _pay(result, options.pay)
    if isinstance(paid, Payouts):
        outputs["payments.csv"] = paid.to_frame().to_csv(index=False, lineterminator="\n")
    if report is not None:
        outputs["audit.json"] = report.to_json() + "\n"
    wrote = [*write("value", options.out, outputs)]
    if artifacts is not None:
        word = "replaced" if options.save_artifacts.exists() else "wrote"
        artifacts.save(options.save_artifacts)
        wrote.append(f"{word:<12} {options.save_artifacts}")
    notes = (*table.notes, *(in_options(note, vars(options)) for note in result.notes))
    lines = [*(f"note: {note}" for note in notes), "", *_table_lines(result, paid), ""]
    lines += _summary(result, len(game.problem.y_test))
    if paid is not None:
        lines.append(f"payments     {_paid(paid)}")
    if options.flip is not None:
        lines.append(_found(result, marked))
    if report is not None:
        lines.append(f"audit        {in_options(report.verdict, vars(options))}")
    say([*lines, *wrote])
    return 0


def _check(options: argparse.Namespace) -> None:
    """Refuse what can be refused before anything is read."""
    check_out("value", options)
    check_access_options(options)
    if options.pay is not None:
        cents_of("--pay", options.pay, zero=False)
    if options.estimator != "auto":
        find_estimator(options.estimator)
    if options.flip is not None and options.group is not None:
        raise InvalidValueError(
            "--flip looks for single rows by their values, but with --group the players are groups: leave one out."
        )


def _pay(result: ValuationResult, total: str) -> Payouts | InvalidValueError:
    """Return the payments, or why there are none: that ends no run, whose values are there."""
    try:
        return result.payouts(total)
    except InvalidValueError as error:
        return error


def _paid(paid: Payouts | InvalidValueError) -> str:
    if isinstance(paid, InvalidValueError):
        return f"none: {paid}"
    open_ = sum(float(low) == 0 < float(high) for low, high in zip(paid.low, paid.high, strict=True))
    doubt = f"; that of {open_} of {len(paid)} players may be nothing, by its interval" if open_ else ""
    return f"{paid.total:,} in all, by value{doubt}"


def _table_lines(result: ValuationResult, paid: Payouts | InvalidValueError | None) -> Iterator[str]:
    """Yield the players by rank, with what they are paid; of many the first and the last."""
    frame = result.to_frame()
    largest = float(np.nanmax(np.abs(frame[["value", "std_error"]].to_numpy())))
    # Four digits of the largest value, so that all values line up.
    form = f".{min(max(0, 3 - int(np.floor(np.log10(largest)))), 12) if largest > 0 else 0}f"
    columns = {
        "player": map(str, frame["player"]),
        "value": (number(one, form) for one in frame["value"]),
        "std error": (number(one, form) for one in frame["std_error"]),
        "95% interval": _intervals(number(one, form) for one in frame[["ci_low", "ci_high"]].to_numpy().flat),
        "rank": map(str, frame["rank"]),
    }
    if (frame["rank_low"] < frame["rank_high"]).any():
        columns["95% ranks"] = _intervals(map(str, frame[["rank_low", "rank_high"]].to_numpy().flat))
    if isinstance(paid, Payouts):
        ends = (one for pair in zip(paid.low, paid.high, strict=True) for one in pair)
        columns["payment"] = (f"{one:,}" for one in paid.payments)
        columns["95% payment"] = _intervals("-" if one.is_nan() else f"{one:,}" for one in ends)
    rows = list(zip(*columns.values(), strict=True))
    rows = [tuple(columns), *(rows[i] for i in np.argsort(frame["rank"], kind="stable"))]
    if len(frame) > MAX_LINES:
        rows[1 + SHOWN : -SHOWN] = [("...", *[""] * (len(columns) - 1))]
    yield from lines_of(rows)


def _intervals(ends: Iterable[str]) -> Iterator[str]:
    """Yield what stands in a cell for each pair of ends."""
    each = iter(ends)
    return (f"[{low}, {high}]" for low, high in zip(each, each, strict=True))


def _summary(result: ValuationResult, rows: int) -> Iterator[str]:
    """Yield what the values add up to, and how they were made."""
    yield f"v(all)       {float(result.utility_all):.6g}  ({result.metric} on {rows} test rows)"
    yield f"v(none)      {float(result.utility_none):.6g}  (when every player is unlearned)"
    gain = float(result.utility_all - result.utility_none)
    yield f"sum          {float(result.values.sum()):.6g}  (of the values; v(all) - v(none) is {gain:.6g})"
    yield f"evaluations  {result.evaluations:,}  (seed {result.seed})"
    yield f"seconds      {result.seconds:.2f}"
    yield f"estimator    {result.estimator}{_why(result, 'estimator')}"
    settings = ", ".join(f"{name}={value!r}" for name, value in result.settings.items())
    yield f"unlearner    {result.unlearner} ({settings or 'no settings'}){_why(result, 'unlearner')}"


def _why(result: ValuationResult, what: str) -> str:
    return f" (auto: {result.reasons[what]})" if what in result.reasons else ""


def _found(result: ValuationResult, marked: Collection[Any]) -> str:
    """Say how well low values find the flipped labels."""
    flipped = np.array([player in marked for player in result.players])
    if flipped.all() or not flipped.any():
        return "flipped      no AUC: the players that were valued are all flipped, or none of them is"
    auc = roc_auc_score(flipped, -result.values)
    return (
        f"flipped      AUC {auc:.3f}  (how well low values find the {int(flipped.sum())} flipped labels; chance: 0.5)"
    )
