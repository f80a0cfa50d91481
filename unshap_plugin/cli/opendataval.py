"""``unshap opendataval``: OpenDataVal's own command, with these evaluators in its list."""

from __future__ import annotations

import argparse
import inspect
import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from unshap_plugin.cli._terminal import put
from unshap_plugin.errors import InvalidValueError, UnknownNameError, UnshapError
from unshap_plugin.frameworks import FrameworkError

__all__ = ["add", "run"]

#: OpenDataVal's command asks for each of these that is left out.
_EXAMPLE = """
example: unshap opendataval run --dataset iris --dataval unlearningshapley
         --model logisticregression --add-noise mix_labels
         --train 60 --valid 40 --test 40 --output . --dataval-kwargs '{}'
         --noise-kwargs '{"noise_rate": 0.2}' --train-kwargs '{"epochs": 10}'
"""
_KEYWORDS = ("--dataval-kwargs", "--noise-kwargs", "--train-kwargs")
#: What OpenDataVal's experiments look for, and do not find where no noise was added.
_NOISE = "noisy_train_indices"


def add(commands: Any) -> None:
    """Add the parser, which leaves all that follows the command to OpenDataVal."""
    parser = commands.add_parser(
        "opendataval",
        prefix_chars="\0",  # no argument begins so: what look like options are not ours
        add_help=False,
        help="OpenDataVal's own command, with these evaluators in its list",
    )
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run OpenDataVal's command. Its list of evaluators freezes on import, so ours are imported first."""
    try:
        import unshap_opendataval  # noqa: F401
        from opendataval.__main__ import cli
        from opendataval.dataval import DataEvaluator
    except FrameworkError:
        raise
    except ImportError as error:
        raise InvalidValueError(
            f"OpenDataVal cannot be imported ({error}): run pip install 'unshap-plugin[opendataval]', which "
            f"brings it and what it needs."
        ) from error
    keywords = _checked_keywords(options.arguments, DataEvaluator.Evaluators)
    try:
        with warnings.catch_warnings():
            # An evaluator that fails is a warning there, and a failure of something else later.
            warnings.filterwarnings("error", r"\s*An error occured during training")
            cli(args=options.arguments, prog_name="unshap opendataval")
    except SystemExit as done:
        if options.arguments[-1:] == ["--help"]:
            put(_EXAMPLE)
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except UnshapError:
        raise
    except Exception as error:
        cause = error.__context__ if isinstance(error, Warning) and error.__context__ else error
        if isinstance(cause, UnshapError):
            raise cause from None
        raise InvalidValueError(
            f"OpenDataVal failed with {type(cause).__name__}: {cause}; {_advice(str(cause), keywords)}."
        ) from error
    return 0


def _advice(message: str, keywords: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what helps against an error of OpenDataVal's."""
    if _NOISE in message:
        return "add --add-noise, which its experiments need"
    blamed = [option for option, given in keywords.items() if any(repr(name) in message for name in given)]
    return f"check {blamed[0] if blamed else 'its arguments'}"


def _checked_keywords(arguments: Sequence[str], evaluators: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the keyword arguments by option, unless they are no JSON object, or nobody takes them.

    What is no JSON object OpenDataVal takes for none.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for option in ("--dataval", *_KEYWORDS):
        parser.add_argument(option)
    given = vars(parser.parse_known_args(arguments)[0])
    found = {option: _json(option, given[option.strip("-").replace("-", "_")]) for option in _KEYWORDS}
    evaluator = evaluators.get(str(given["dataval"]).lower())
    if evaluator is None:
        return found
    _, *known = inspect.signature(evaluator.__init__).parameters.values()
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known):
        return found
    names = [one.name for one in known]
    for name in found["--dataval-kwargs"]:
        if name not in names:
            raise UnknownNameError("argument of --dataval-kwargs,", name, names)
    return found


def _json(option: str, text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InvalidValueError(
            f"{option} is {text!r}, but a JSON object is needed, such as '{{\"random_state\": 0}}'."
        )
    return found
