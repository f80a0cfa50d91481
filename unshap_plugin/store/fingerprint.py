"""The fingerprint of what utilities depend on: by it a store knows a game again, in another process and much later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from unshap_plugin.errors import InvalidTypeError
from unshap_plugin.evaluation.evaluation import Evaluation
from unshap_plugin.model.rows import n_rows
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.support.digest import digest

__all__ = ["Fingerprint", "fingerprint"]


@dataclass(frozen=True)
class Fingerprint:
    """What the utilities of a game depend on.

    Parameters
    ----------
    sha256
        The same for games whose utilities are the same.
    n_players, shape
        Number of players, and the shape of one utility: ``()`` or ``(t,)``.
    description
        What a reader may want to know of the game.
    """

    sha256: str
    n_players: int
    shape: tuple[int, ...]
    description: Mapping[str, Any]


def fingerprint(evaluation: Evaluation) -> Fingerprint:
    """Return the fingerprint of the utilities that an evaluation gives.

    Of Python, only what a function was compiled to is part of it; what the players are called is not.

    Parameters
    ----------
    evaluation
        Problem, unlearner and seed.

    Raises
    ------
    InvalidTypeError
        If some part of it cannot be told from another: a metric, a loss or a model that holds something without a
        state, or that has another one each time.
    """
    problem, unlearner, versions = evaluation.problem, evaluation.unlearner, evaluation.versions
    parts = {name: _digest(what, part) for name, (what, part) in _parts(evaluation).items()}
    parts["versions"] = digest(sorted((name, one) for name, one in versions.items() if name != "python"))
    return Fingerprint(
        hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest(),
        problem.n_players,
        problem.given_utility.shape,
        {
            "model": problem.model_name,
            "unlearner": unlearner.name,
            "settings": {name: repr(value) for name, value in unlearner.settings.items()},
            "metric": problem.metric.name,
            "seed": evaluation.seed,
            "rows": n_rows(problem.x),
            "test rows": len(problem.y_test),
            "access": problem.access,
            "versions": dict(versions),
        },
    )


def _parts(evaluation: Evaluation) -> dict[str, tuple[str, Any]]:
    """Return all that utilities depend on, by name, each with what it is called in a sentence."""
    problem, unlearner = evaluation.problem, evaluation.unlearner
    module = problem if isinstance(problem, ModuleProblem) else None
    own = None if issubclass(problem.model_class, nn.Module) else problem.given_model  # what retraining fits
    model = f"the model ({problem.model_name})"
    if own is not None and _digest(model, own) != _digest(model, problem.given_model):
        raise InvalidTypeError(
            f"{model} has another state each time it is copied, so that a store could not "
            f"know it again: give it a __getstate__ without what changes, or leave out store."
        )
    loss = getattr(problem.loss, "__name__", type(problem.loss).__name__)
    return {
        "model": (model, [problem.trained.model, own]),
        "recipe": ("fit", None if module is None else [module.recipe, module.linear]),
        "loss": (f"the loss {loss!r}", problem.loss),
        "metric": (f"metric {problem.metric.name!r}", problem.metric),
        "outputs": ("outputs", [problem.outputs_are, problem.classes]),
        "train": ("train", [problem.x, problem.y]),
        "test": ("test", [problem.x_test, problem.y_test]),
        "reference": ("reference", problem.reference),
        "players": ("groups", problem.player_of_row),
        "access": ("access", [problem.access, problem.trained_rows]),
        "artifacts": ("artifacts", None if problem.stored is None else problem.stored.tensors()),
        "unlearner": (f"unlearner {unlearner.name!r}", unlearner),
        "seed": ("seed", evaluation.seed),
    }


def _digest(what: str, part: Any) -> str:
    try:
        return digest(part)
    except TypeError as error:
        raise InvalidTypeError(
            f"{what} holds something that does not say what it is ({error}), so that a store could not tell this game "
            f"from another one: keep that out of it, or leave out store."
        ) from error
