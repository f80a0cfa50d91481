"""``unshap opendataval``: OpenDataVal's own command, with these evaluators in its list."""

from __future__ import annotations

import argparse
import inspect
import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from unshap_plugin.errors import InvalidValueError, UnknownNameError, UnshapError

__all__ = ["add", "run"]

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
    except ImportError as error:
        raise InvalidValueError(
            f"OpenDataVal cannot be imported ({error}): run pip install 'unshap-plugin[opendataval]', which "
            f"brings it and what it needs."
        ) from error
    _check_keywords(options.arguments, DataEvaluator.Evaluators)
    try:
        with warnings.catch_warnings():
            # An evaluator that fails is a warning there, and a failure of something else later.
            warnings.filterwarnings("error", r"\s*An error occured during training")
            cli(args=options.arguments, prog_name="unshap opendataval")
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except UnshapError:
        raise
    except Exception as error:
        cause = error.__context__ if isinstance(error, Warning) and error.__context__ else error
        if isinstance(cause, UnshapError):
            raise cause from None
        advice = "add --add-noise, which its experiments need" if _NOISE in str(cause) else "check its arguments"
        raise InvalidValueError(f"OpenDataVal failed with {type(cause).__name__}: {cause}; {advice}.") from error
    return 0


def _check_keywords(arguments: Sequence[str], evaluators: Mapping[str, Any]) -> None:
    """Refuse keyword arguments that are no JSON object, for which OpenDataVal takes none, or that nobody takes."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for option in ("--dataval", *_KEYWORDS):
        parser.add_argument(option)
    given = vars(parser.parse_known_args(arguments)[0])
    found = {option: _json(option, given[option.strip("-").replace("-", "_")]) for option in _KEYWORDS}
    evaluator = evaluators.get(str(given["dataval"]).lower())
    if evaluator is None:
        return
    _, *known = inspect.signature(evaluator.__init__).parameters.values()
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known):
        return
    names = [one.name for one in known]
    for name in found["--dataval-kwargs"]:
        if name not in names:
            raise UnknownNameError("argument of --dataval-kwargs,", name, names)


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
