"""``unshap value``: what each row, or each group of rows, of a table was worth."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Collection
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from sklearn.metrics import roc_auc_score

from unshap_plugin.audit.audit import audit
from unshap_plugin.audit.report import FidelityReport
from unshap_plugin.audit.sizes import draw
from unshap_plugin.cli import _data as data
from unshap_plugin.cli._access import add_access, check_access_options
from unshap_plugin.cli._advice import in_options
from unshap_plugin.cli._output import add_json, add_report, check_out, say, write, write_report
from unshap_plugin.cli._progress import progress_bar
from unshap_plugin.cli._semivalue import NAMES, check_semivalue, semivalue_kind
from unshap_plugin.cli._signals import Interruption
from unshap_plugin.cli._summary import meaning_lines, summary_lines, table_lines
from unshap_plugin.cli._terminal import put
from unshap_plugin.corrected import check_corrected, corrected_values
from unshap_plugin.errors import BudgetError, InvalidValueError
from unshap_plugin.estimators import METHODS, Exact
from unshap_plugin.estimators.auto import choose
from unshap_plugin.estimators.base import Estimator
from unshap_plugin.estimators.leave_one_out import LeaveOneOut
from unshap_plugin.estimators.semivalue import Kind
from unshap_plugin.estimators.stopping import Stopping
from unshap_plugin.game import UnlearningGame
from unshap_plugin.plugins.registry import find_estimator
from unshap_plugin.results.money import cents_of
from unshap_plugin.results.payments import Payouts
from unshap_plugin.results.result import ValuationResult
from unshap_plugin.semivalues import semivalues
from unshap_plugin.support.progress import Progress
from unshap_plugin.unlearners.stored import compute_artifacts
from unshap_plugin.valuation import shapley_values

__all__ = ["add", "add_retrain", "add_stops", "number_or_auto", "run", "values_so_far"]

#: What ends a run that nothing else is said of.
DEFAULT = Stopping(target_error="10%", max_time=60)


def add(commands: Any) -> None:
    """Add the parser."""
    parser = commands.add_parser(
        "value",
        epilog="example: unshap value --example breast_cancer --report report.html",
        help="value the rows, or the groups of rows, of a table",
        description="Train a model on a table and say what each row, or each group of rows, was worth to it: the "
        "Shapley value (or --semivalue) of keeping that data, with a standard error. Writes values.csv, result.json "
        "and values.png.",
    )
    method = data.add_arguments(parser)
    method.add_argument(
        "--estimator",
        metavar="NAME",
        default="auto",
        help=f"auto, {', '.join(one.name for one in METHODS)}, or a plugin's (default: %(default)s, which is "
        "exact where the budget allows it, up to 12 players without one, composite for 50 to 1,500 players of a linear "
        "model, permutation for more, else stratified)",
    )
    method.add_argument(
        "--semivalue",
        metavar="NAME",
        default="shapley",
        help=f"which values: {', '.join(NAMES)} (the larger A, the more small coalitions count); others than Shapley's "
        "do not add up (default: %(default)s)",
    )
    add_retrain(method)
    add_stops(parser)
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
    add_report(parser)
    add_json(parser)
    data.add_out(parser, "values")
    parser.set_defaults(run=run)


def add_retrain(method: Any) -> None:
    """Add the argument for values of retraining to a group."""
    method.add_argument(
        "--retrain",
        type=number_or_auto,
        metavar="N",
        help="also retrain on N coalitions (three to ten for each player, or 'auto': as many as errors ask for), which "
        "correct the unlearned values: those of retraining come out, without bias; --budget is then that of "
        "unlearning, and the other rules end retraining",
    )


def number_or_auto(text: str) -> int | Literal["auto"]:
    """Return a whole number, or the word."""
    return "auto" if text == "auto" else int(text)


def add_stops(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say when a run ends."""
    stops = parser.add_argument_group(
        "when it ends",
        "The first that is met ends the run. Without any of these, all coalitions where they are few (up to 12 "
        f"players), and otherwise --target-error {DEFAULT.target_error} --max-time {DEFAULT.max_time}. Ctrl-C ends it "
        "with the values so far.",
    )
    stops.add_argument("--budget", type=int, metavar="N", help="utilities that the estimator may ask for")
    stops.add_argument(
        "--target-error",
        type=_target,
        metavar="E",
        help="largest standard error of a value, in units of the metric, or as a share of the spread of the values "
        "such as 10%%",
    )
    stops.add_argument("--max-time", type=float, metavar="SECONDS", help="time after which it ends with what it has")
    stops.add_argument(
        "--stable-top", type=int, metavar="K", help="players that stand out as the best, up to their intervals"
    )


def run(options: argparse.Namespace) -> int:
    """Value a table: everything that can be refused is refused first, and values are said before files are written."""
    _check(options)
    loaded = data.load(options, options.access, options.artifacts)
    table, game = loaded.table, loaded.game
    if options.audit is not None:
        draw(game.n_players, options.audit, options.seed)  # refuses a number that is too small
    artifacts = None if options.save_artifacts is None else compute_artifacts(game.problem)
    interruption = Interruption()
    result = values_so_far(game, options, interruption, semivalue_kind(options.semivalue))
    marked = set(table.groups[loaded.flipped].tolist())
    # Notes of the values first: one may be that the ranking below is not to be used.
    notes = (*(in_options(note, vars(options)) for note in result.notes), *table.notes)
    paid = None if options.pay is None else _pay(result, options.pay)
    lines = [*(f"note: {note}" for note in notes), "", *table_lines(result, paid), ""]
    lines += [*meaning_lines(result, audited=options.audit is not None), ""]
    lines += summary_lines(result, len(game.problem.y_test))
    if paid is not None:
        lines.append(f"payments     {_paid(paid)}")
    if options.flip is not None:
        lines.append(_found(result, marked))
    say(lines, json=options.json)  # before anything is written: a full disk costs no result
    outputs = {
        "values.csv": result.to_frame().to_csv(index=False, lineterminator="\n"),
        "result.json": result.to_json() + "\n",
        "values.png": result.plot(highlight=marked, label="flipped label"),
    }
    if isinstance(paid, Payouts):
        outputs["payments.csv"] = paid.to_frame().to_csv(index=False, lineterminator="\n")
    report = None
    if options.audit is not None and interruption.signal is None:
        report = _audited(game, options.audit, interruption)
        if report is not None:
            outputs["audit.json"] = report.to_json() + "\n"
            say([f"audit        {in_options(report.verdict, vars(options))}"], json=options.json)
    wrote = [*write("value", options.out, outputs)]
    wrote += write_report(options, result, notes, report, paid if isinstance(paid, Payouts) else None)
    if artifacts is not None:
        word = "replaced" if options.save_artifacts.exists() else "wrote"
        artifacts.save(options.save_artifacts)
        wrote.append(f"{word:<12} {options.save_artifacts}")
    say(wrote, json=options.json)
    if options.json:
        put(replace(result, notes=notes).to_json() + "\n")
    return interruption.exit_code


def values_so_far(
    game: UnlearningGame, options: argparse.Namespace, interruption: Interruption, kind: Kind | None = None
) -> ValuationResult:
    """Return Shapley values, or those of a kind of semivalue; those so far where somebody asks for the end.

    With ``--retrain`` they are those of retraining, which end by themselves.
    """
    given = {name: getattr(options, name) for name in ("budget", "target_error", "max_time", "stable_top")}
    estimator = options.estimator
    if options.retrain is None and kind != LeaveOneOut.name and all(one is None for one in given.values()):
        name = choose(game.n_players, None, shapley=kind is None)[0] if estimator == "auto" else estimator
        if find_estimator(name).offer.anytime_from is not Estimator.anytime_from:  # else none can be kept
            given["max_time"] = DEFAULT.max_time
            given["target_error"] = None if name == Exact.name else DEFAULT.target_error
    with progress_bar("evaluations") as show, interruption.awaited():

        def progress(now: Progress) -> bool:
            show(now)
            return interruption.signal is not None

        try:
            if options.retrain is not None:
                return corrected_values(game, options.retrain, options.seed, kind=kind, progress=progress, **given)
            if kind is None:
                return shapley_values(game, estimator, seed=options.seed, progress=progress, **given)
            return semivalues(game, kind, estimator, seed=options.seed, progress=progress, **given)
        except BudgetError as error:
            if interruption.signal is None:
                raise
            raise KeyboardInterrupt(interruption.signal) from error


def _audited(game: UnlearningGame, coalitions: int, interruption: Interruption) -> FidelityReport | None:
    """Return the audit, unless somebody ends it: the values are there, and are written all the same."""
    try:
        with progress_bar("audit") as progress:
            return audit(game, coalitions=coalitions, progress=progress)
    except KeyboardInterrupt as end:
        interruption.signal = end.args[0] if end.args else signal.SIGINT
        say(["audit        interrupted"])
        return None


def _target(text: str) -> float | str:
    """Return a number, or the text that may be a share."""
    try:
        return float(text)
    except ValueError:
        return text


def _check(options: argparse.Namespace) -> None:
    """Refuse what can be refused before anything is read."""
    check_out("value", options)
    check_access_options(options)
    if options.pay is not None:
        cents_of("--pay", options.pay, zero=False)
    if options.estimator != "auto":
        find_estimator(options.estimator)
    stopping = Stopping(options.target_error, options.max_time, options.stable_top)  # refuses what is no rule
    check_corrected(options.retrain, options.estimator)
    check_semivalue(options.semivalue, options.estimator, stopping, options.pay)
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


def _found(result: ValuationResult, marked: Collection[Any]) -> str:
    """Say how well low values find the flipped labels."""
    flipped = np.array([player in marked for player in result.players])
    if flipped.all() or not flipped.any():
        return "flipped      no AUC: the players that were valued are all flipped, or none of them is"
    auc = roc_auc_score(flipped, -result.values)
    return (
        f"flipped      AUC {auc:.3f}  (how well low values find the {int(flipped.sum())} flipped labels; chance: 0.5)"
    )
