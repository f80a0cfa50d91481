"""Messages of the core in the words of the command line: its options, and no Python that nobody can type here."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from unshap_plugin.audit.audit import audit
from unshap_plugin.corrected import corrected_values
from unshap_plugin.game import UnlearningGame
from unshap_plugin.problem.problem import ValuationProblem
from unshap_plugin.valuation import shapley_values

__all__ = ["in_options"]

#: The arguments whose values are typed as they are in Python, and what the option of each is called.
_SAME = ("access", "budget", "coalitions", "estimator", "memory", "metric", "seed", "seeds", "unlearner")
_CALLS = (ValuationProblem, UnlearningGame, shapley_values, corrected_values, audit)
_ARGUMENTS = sorted({name for call in _CALLS for name in inspect.signature(call).parameters})
# Settings of an unlearner are no arguments of these: "(steps=5)" says what it was made with.
_KEYWORD = rf"\b({'|'.join(_ARGUMENTS)})=('[^']*'|[A-Z]\w*\([^()]*\)|[\w.]+)"
_PHRASES = {
    "save compute_artifacts(problem) where all data is at hand, and pass it as artifacts": "write it with --access "
    "full --save-artifacts FILE, and give that as --artifacts FILE",
    "give a file that compute_artifacts(problem).save(path) wrote": "give one that --save-artifacts FILE wrote",
    "give the model as it was when they were computed": "give the table, --model and --seed that they were written for",
    "compute them anew with compute_artifacts(problem) where all data is at hand": "write them anew with --access full "
    "--save-artifacts FILE",
    "trained with loss='mse'": "trained with squared errors",
    "(valued=)": "(--valued GROUP)",
    "audit the game": "see with --audit N how far it is from retraining",
    "give a grid, values to try for some": "give --grid NAME=VALUE,VALUE with values to try for some",
    "another unlearner": "another --unlearner",
    "another metric": "another --metric",
    "more cautious settings": "more cautious values of --setting",
    "other settings": "other values of --setting",
    "n_jobs is": "--jobs is",
    "leave out store": "leave out --store",
    "leave out retrainings": "leave out --retrain",
    "without retrainings": "without --retrain",
    "retrainings is": "--retrain is",
    "target_error": "--target-error",
    "max_time": "--max-time",
    "stable_top": "--stable-top",
    # What ``unshap text`` calls the arguments of ``source_problem``.
    "give it as processing_class": "save it into the folder of --model",
    "give args and initial_adapter": "give --fit and --initial-adapter",
    "train_dataset": "--train",
    "eval_dataset": "--eval",
    "reference_dataset": "--reference",
    "source_column": "--source-column",
    "label_column": "--label-column",
    "initial_adapter": "--initial-adapter",
    "max_length": "--max-length",
}


def in_options(message: str, given: Mapping[str, Any]) -> str:
    """Return a message in which arguments are options, without the advice that has none.

    Parameters
    ----------
    message
        A sentence of an error or a warning.
    given
        The options of the command that runs, by name; a command without an unlearner keeps its messages.

    Examples
    --------
    >>> in_options("use estimator='permutation', or on_error='exclude'.", {"unlearner": "auto"})
    'use --estimator permutation.'
    """
    if "unlearner" not in given:
        return message
    options = {name: f"--{name.replace('_', '-')}" for name in _SAME} | {"n_jobs": "--jobs", "retrainings": "--retrain"}
    if "coalitions" not in given:
        options["coalitions"] = "--audit"
    for phrase, here in _PHRASES.items():
        message = message.replace(phrase, here)
    if "fit" in given:
        message = message.replace("pass fit=Recipe(...) to the problem", "give --fit NAME=VALUE")
    if "semivalue" in given:
        message = re.sub(r"\bsemivalues\(game, '(\w+)'\)", r"--semivalue \1", message)

    def typed(found: re.Match[str]) -> str:
        name, value = found.groups()
        return f"{options[name]} {value.strip(chr(39))}" if name in options else found[0]

    message = re.sub(_KEYWORD, typed, message)
    # What is still a keyword has no option. As one of several ways out it goes; else it is one in Python.
    message = re.sub(
        rf"(, (?:[^,:;()]|\([^()]*\))*), or {_KEYWORD}[^.;]*", lambda found: f", or{found[1][1:]}", message
    )
    message = re.sub(rf"(,? or|[;:])( pass| use| give)? {_KEYWORD}[^.;]*", "", message)
    return re.sub(_KEYWORD, r"\g<0> in Python", message)
