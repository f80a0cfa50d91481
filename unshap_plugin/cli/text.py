"""``unshap text``: what each source of a language model's, or a text classifier's, training text was worth."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from unshap_plugin.cli._advice import in_options
from unshap_plugin.cli._data import add_out
from unshap_plugin.cli._output import add_json, add_report, check_out, say, write, write_report
from unshap_plugin.cli._progress import progress_bar
from unshap_plugin.cli._settings import by_name, setting
from unshap_plugin.cli._signals import Interruption
from unshap_plugin.cli._summary import meaning_lines, summary_lines, table_lines
from unshap_plugin.cli._terminal import put
from unshap_plugin.cli.value import add_retrain, add_stops, values_so_far
from unshap_plugin.corrected import check_corrected
from unshap_plugin.errors import InvalidValueError
from unshap_plugin.game import UnlearningGame
from unshap_plugin.model.recipe import resolve_recipe
from unshap_plugin.problem.problem import ValuationProblem
from unshap_plugin.results.result import ValuationResult
from unshap_plugin.valuation import shapley_values

__all__ = ["add", "run"]

_NEEDED = ("model", "train", "eval")
#: What an example brings itself.
_OWN = (*_NEEDED, "adapter", "source_column", "label_column", "reference", "initial_adapter", "max_length")


def add(commands: Any) -> None:
    """Add the parser."""
    parser = commands.add_parser(
        "text",
        epilog="example: unshap text --example stdlib",
        help="value the sources of a language model's training text",
        description="Say what each source of the text that a language model, or a classifier of text, was trained on "
        "was worth to it: the Shapley value of keeping that source. Writes values.csv, result.json and values.png.",
    )
    data = parser.add_argument_group("data")
    data.add_argument("--model", type=Path, metavar="DIR", help="folder of a causal language model or a classifier")
    data.add_argument("--adapter", type=Path, metavar="DIR", help="folder of the adapter that was trained, of PEFT")
    data.add_argument(
        "--train",
        type=Path,
        metavar="PATH",
        help="what was trained on: a table (.jsonl, .json, .csv, .parquet) with text, prompt and completion, messages "
        "or input_ids, or a folder of text files with a sub-folder per source; for a classifier a table with text "
        "(and text_pair) or input_ids",
    )
    data.add_argument("--source-column", metavar="NAME", help="the column that says of which source a document is")
    data.add_argument(
        "--label-column",
        metavar="NAME",
        help="for a classifier: the column of the labels; without --source-column every row is then valued",
    )
    data.add_argument("--eval", type=Path, metavar="PATH", help="the text on which utility is measured")
    data.add_argument("--reference", type=Path, metavar="PATH", help="text outside training that may be looked at")
    data.add_argument(
        "--example", metavar="NAME", help="stdlib: a small model of Python's own source, which is made on the spot"
    )
    data.add_argument("--max-length", type=int, metavar="N", help="tokens of a row (default: what the model reads)")
    data.add_argument(
        "--access", choices=["full", "partial"], default="full", help="partial: more was trained on than --train has"
    )
    method = parser.add_argument_group("method")
    method.add_argument(
        "--fit",
        action="append",
        type=setting,
        default=[],
        metavar="NAME=VALUE",
        help="how it was trained, such as lr=2e-4, epochs=3, batch_size=16, schedule=linear (repeatable)",
    )
    method.add_argument("--initial-adapter", type=Path, metavar="DIR", help="what training started from, if not LoRA's")
    method.add_argument("--metric", default="log_likelihood", help="the utility (default: %(default)s)")
    method.add_argument("--unlearner", metavar="NAME", default="auto", help="auto, or one of 'unshap unlearners'")
    method.add_argument(
        "--setting", action="append", type=setting, default=[], metavar="NAME=VALUE", help="a setting of the unlearner"
    )
    method.add_argument("--estimator", metavar="NAME", default="auto", help="see 'unshap value' (default: %(default)s)")
    add_retrain(method)
    method.add_argument("--seed", type=int, default=0, help="of everything random (default: %(default)s)")
    method.add_argument("--store", type=Path, metavar="FILE", help="where utilities are kept: they are evaluated once")
    add_stops(parser)
    add_report(parser)
    add_json(parser)
    add_out(parser, "values")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Value the sources: what can be refused is refused first, and values are said before files are written."""
    check_out("text", options)
    check_corrected(options.retrain, options.estimator)
    problem = _problem(options)
    game = _game(options, problem)
    interruption = Interruption()
    result = values_so_far(game, options, interruption)
    notes = [in_options(note, vars(options)) for note in result.notes]
    lines = [*(f"note: {note}" for note in notes), "", *table_lines(result, None), ""]
    lines += [*meaning_lines(result, audited=False), ""]
    say([*lines, *summary_lines(result, len(problem.y_test))], json=options.json)
    if options.example is not None and interruption.signal is None:
        say(_compared(problem, result), json=options.json)
    outputs = {
        "values.csv": result.to_frame().to_csv(index=False, lineterminator="\n"),
        "result.json": result.to_json() + "\n",
        "values.png": result.plot(),
    }
    say([*write("text", options.out, outputs), *write_report(options, result, notes)], json=options.json)
    if options.json:
        put(replace(result, notes=tuple(notes)).to_json() + "\n")
    return interruption.exit_code


def _adapter() -> Any:
    try:
        import peft  # noqa: F401
        import transformers
        import unshap_transformers.example
        import unshap_transformers.loading
    except ImportError as error:
        raise InvalidValueError(
            f"language models cannot be used ({error}): run pip install 'unshap-plugin[transformers]', which brings "
            f"what they need."
        ) from error
    transformers.utils.logging.disable_progress_bar()
    return unshap_transformers


def _problem(options: argparse.Namespace) -> ValuationProblem:
    if options.example is None:
        lacking = [name for name in _NEEDED if getattr(options, name) is None]
        if lacking:
            raise InvalidValueError(
                f"--{lacking[0]} was not given: give --model, --train and --eval, or --example stdlib."
            )
        fit = by_name("--fit", options.fit)
        recipe = resolve_recipe(fit) if fit else None  # refused before anything is loaded
        adapter = _adapter()
        model, tokenizer = adapter.loading.load_model(options.model, options.adapter)
        data = {
            "processing_class": tokenizer,
            "train_dataset": options.train,
            "source_column": options.source_column,
            "label_column": options.label_column,
            "eval_dataset": options.eval,
            "reference_dataset": options.reference,
            "args": recipe,
            "initial_adapter": options.initial_adapter,
            "max_length": options.max_length,
        }
    else:
        given = [name for name in _OWN if getattr(options, name) is not None] + ["fit"] * bool(options.fit)
        if given:
            raise InvalidValueError(
                f"--example brings its own model and text, but --{given[0].replace('_', '-')} was given too: leave one "
                f"out."
            )
        if options.example != "stdlib":
            raise InvalidValueError(f"there is no example {options.example!r}: give --example stdlib.")
        adapter = _adapter()
        example = adapter.example.stdlib(seed=options.seed)
        model, data = example.model, example.data()
    problem: ValuationProblem = adapter.source_problem(model, **data, metric=options.metric, access=options.access)
    return problem


def _game(options: argparse.Namespace, problem: ValuationProblem) -> UnlearningGame:
    game: UnlearningGame = _adapter().source_game(problem, options.unlearner, seed=options.seed, store=options.store)
    settings = by_name("--setting", options.setting)
    return game.with_settings(**settings) if settings else game


def _compared(problem: ValuationProblem, result: ValuationResult) -> Iterator[str]:
    """Yield how the values agree with those of retraining all coalitions."""
    if problem.access == "partial":
        return
    with progress_bar("retraining") as progress:
        retrained = shapley_values(UnlearningGame(problem, "retrain"), "exact", progress=progress)
    agreed = float(np.corrcoef(result.values, retrained.values)[0, 1])
    last = [str(one.players[int(np.argmin(one.values))]) for one in (result, retrained)]
    took = f"of all {retrained.evaluations} coalitions took {retrained.seconds:.0f} seconds"
    yield f"retraining   {took}; its values agree to {agreed:.3f} (Pearson)"
    yield f"last         {last[0]} by these values, {last[1]} by retraining"
