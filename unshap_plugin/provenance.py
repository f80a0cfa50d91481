"""What a result says of the game that it comes from."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unshap_plugin.cautions import far_below, hardly_forgets, lacking_classes, left_out, stopped_early
from unshap_plugin.errors import UnshapError
from unshap_plugin.game import UnlearningGame
from unshap_plugin.metrics import likelihoods
from unshap_plugin.plugins.registry import another
from unshap_plugin.problem.checks import utilities
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.problem.problem import ValuationProblem
from unshap_plugin.support.threads import alone
from unshap_plugin.support.versions import versions
from unshap_plugin.unlearners import Newton, Retrain
from unshap_plugin.unlearners._own_fit import OwnFit
from unshap_plugin.unlearners.newton import stopped_short

__all__ = ["of_game", "of_unknown"]


def of_game(game: UnlearningGame, missing: NDArray[np.float64]) -> dict[str, Any]:
    """Return fields of a result of a game whose values lack so much of ``v(all) - v(none)``, a scalar or ``[t]``."""
    problem = game.problem
    return {
        "players": tuple(game.players),
        "metric": problem.metric.name,
        "columns": problem.metric.parts,
        "evaluations": game.evaluations,
        "excluded": game.excluded,
        "unlearner": game.unlearner.name,
        "settings": dict(game.unlearner.settings),
        "game_seed": game.seed,
        "access": problem.access,
        "versions": game.versions,
        "reasons": {} if game.reason is None else {"unlearner": game.reason},
        "notes": (*problem.notes, *_cautions(game, missing)),
    }


def of_unknown(game: Any, asked: int) -> dict[str, Any]:
    """Return the same of a game of somebody else's, with ``n_players``, who was ``asked`` for so many utilities."""
    return {
        "players": tuple(getattr(game, "players", range(game.n_players))),
        "metric": "utility",
        "columns": (),
        "evaluations": asked,
        "excluded": 0,
        "unlearner": "none",
        "settings": {},
        "game_seed": 0,
        "access": "full",
        "versions": versions(),
        "reasons": {},
        "notes": (),
    }


def _cautions(game: UnlearningGame, missing: NDArray[np.float64]) -> Iterator[str]:
    coalitions, known = game.known()
    problem = game.problem
    notes = [
        _of_one_step(game),
        _of_the_fit(game),
        left_out(coalitions, known, missing),
        *_of_the_ends(game, coalitions, known),
    ]
    names = likelihoods(problem.metric)
    known_rows = problem.access == "full"  # else coalitions keep rows that are not at hand
    if names and known_rows and _floored(game) and problem.y.ndim == 1 and not problem.y.is_floating_point():
        notes.append(lacking_classes(_present(problem, coalitions), names[0]))
    yield from (note for note in notes if note is not None)


def _of_one_step(game: UnlearningGame) -> str | None:
    """Say that Newton takes one step, where it would take several."""
    method = game.unlearner
    if not isinstance(method, Newton) or method.stand_in(game.problem) is None or method.steps == 1:
        return None
    return (
        "newton takes one step from stored artefacts: for further ones it would need the rows that are not at hand, "
        "and where much is forgotten its values may be of another size."
    )


def _of_the_fit(game: UnlearningGame) -> str | None:
    """Say that a linear classifier of scikit-learn stopped early, where it is not fitted again."""
    problem = game.problem
    if not isinstance(problem, ModuleProblem) or isinstance(game.unlearner, Retrain | OwnFit):
        return None
    return stopped_early(problem.model_name) if problem.once(stopped_short) else None


def _of_the_ends(
    game: UnlearningGame, coalitions: NDArray[np.bool_], known: NDArray[np.float64]
) -> Iterator[str | None]:
    """Yield what is to be said of the empty coalition, where it keeps nothing that the model was trained on."""
    problem = game.problem
    names = problem.metric.parts or (problem.metric.name,)
    utility = known.reshape(len(known), -1)
    empty = ~coalitions.any(axis=1)
    kept_anyway = problem.access == "partial" or bool((problem.player_of_row < 0).any())
    uninformed = None if kept_anyway or not empty.any() or len(names) != utility.shape[1] else _uninformed(problem)
    if uninformed is None:
        return
    for k, name in enumerate(names):
        nobody, everybody = float(utility[empty, k][0]), float(problem.given_utility.reshape(-1)[k])
        others = utility[~empty, k]
        exact = game.unlearner.exact or _to_the_end(game)
        helps = functools.partial(_helps, game)
        yield hardly_forgets(everybody, nobody, uninformed[k], exact=exact, metric=name, helps=helps)
        classes = problem.task == "classification"
        yield far_below(everybody, nobody, uninformed[k], others[~np.isnan(others)], name, classes=classes)


def _to_the_end(game: UnlearningGame) -> bool:
    """Tell whether Newton steps go as far as refits of a linear model of scikit-learn."""
    problem, method = game.problem, game.unlearner
    if not isinstance(problem, ModuleProblem) or problem.linear is None or not isinstance(method, Newton):
        return False
    return problem.linear.to_the_end and method.stand_in(problem) is None and not problem.once(stopped_short)


def _helps(game: UnlearningGame) -> str:
    """Return what helps where the unlearner hardly forgets."""
    problem = game.problem
    ways = [f"use {way}" for way in another(game.unlearner, problem, game.provider)]
    recipe = problem.recipe if isinstance(problem, ModuleProblem) and problem.linear is None else None
    if isinstance(problem, ModuleProblem) and problem.linear is None and (recipe is None or recipe.init is None):
        chosen = "" if game.reason is not None else " and use unlearner='auto'"
        ways.append(f"say how the torch module was trained (fit=Recipe(..., init=...)){chosen}")
    return ", and ".join([", or ".join(ways), "audit the game"] if ways else ["audit the game"])


def _uninformed(problem: ValuationProblem) -> NDArray[np.float64] | None:
    """Return the utility ``[t]`` of answering for every row what the given model answers on average.

    ``None`` where the metric does not take such answers.
    """
    outputs = problem.outputs(problem.model, problem.x_test)
    if not outputs.is_floating_point():
        return None
    average = outputs.mean(dim=0, keepdim=True).expand_as(outputs).contiguous()
    try:
        with alone(), warnings.catch_warnings():  # a metric may warn of constant answers, which nobody asked for
            warnings.simplefilter("ignore")
            [scores] = utilities(problem.metric, average[None], problem.y_test, problem.given_utility.shape)
    except (UnshapError, ArithmeticError, ValueError):
        return None
    found: NDArray[np.float64] = scores.double().cpu().numpy().reshape(-1)
    return found if np.isfinite(found).all() else None


def _floored(game: UnlearningGame) -> bool:
    """Tell whether classes that were not seen get the smallest probability, as fits of scikit-learn's objects do."""
    problem = game.problem
    if not isinstance(problem, ModuleProblem):
        return problem.answers.probable
    rows = problem.n_players == len(problem.y)
    fits = isinstance(game.unlearner, Retrain | OwnFit) or (isinstance(game.unlearner, Newton) and not rows)
    return problem.linear is not None and fits


def _present(problem: ValuationProblem, coalitions: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return whether each coalition keeps a row of each class of the test set, bool ``[m, classes]``."""
    retained = problem.retained(coalitions).cpu()
    classes = problem.y_test.unique().cpu()
    has = problem.y.cpu()[:, None] == classes
    return np.asarray(torch.stack([has[rows].any(dim=0) for rows in retained]).numpy())
