"""The game of retraining, of which a problem has one for each seed, whoever asks for it."""

from __future__ import annotations

from pathlib import Path

from unshap_plugin.game import UnlearningGame
from unshap_plugin.plugins.catalogue import BUILTIN
from unshap_plugin.problem.problem import ValuationProblem
from unshap_plugin.unlearners import Retrain
from unshap_plugin.unlearners._own_fit import Fit, OwnFit

__all__ = ["own_retraining_game", "retraining_game"]


def retraining_game(
    problem: ValuationProblem, seed: int, n_jobs: int | None = None, store: Path | None = None
) -> UnlearningGame:
    """Return the game of retraining with a seed; the ``problem`` of a game remembers it, with its utilities.

    Parameters
    ----------
    problem, seed, n_jobs, store
        See ``UnlearningGame``.

    Raises
    ------
    AccessError
        If the model cannot be retrained.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> x, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0.0, 1.0, 2.0, 6.0])
    >>> problem = ValuationProblem(Ridge().fit(x, y), train=(x, y), test=(x, y))
    >>> game = UnlearningGame(problem, "linear_exact")
    >>> again = retraining_game(game.problem, seed=1)
    >>> again.unlearner.name, again is retraining_game(game.problem, seed=1)
    ('retrain', True)
    """
    return problem.once(_seeded, n_jobs, store, seed)


def own_retraining_game(
    problem: ValuationProblem, fit: Fit, retries: int, seed: int, n_jobs: int | None = None
) -> UnlearningGame:
    """Return the game of retraining by a function, which leaves out coalitions for which that fails.

    Parameters
    ----------
    problem, seed, n_jobs
        See ``UnlearningGame``.
    fit, retries
        See ``OwnFit``.

    Raises
    ------
    AccessError
        If training rows are not at hand.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> x, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0.0, 1.0, 2.0, 6.0])
    >>> problem = ValuationProblem(Ridge().fit(x, y), train=(x, y), test=(x, y))
    >>> game = own_retraining_game(problem, lambda rows: Ridge().fit(x[rows], y[rows]), retries=2, seed=1)
    >>> np.allclose(game([[True, True, False, True]]), retraining_game(problem, 1)([[True, True, False, True]]))
    True
    """
    # One at a time, so that nothing is trained again where another one fails.
    return UnlearningGame(problem, OwnFit(fit, retries), seed=seed, on_error="exclude", chunk=1, n_jobs=n_jobs)


def _seeded(problem: ValuationProblem, n_jobs: int | None, store: Path | None, seed: int) -> UnlearningGame:
    return problem.once(_game, n_jobs, store).with_seed(seed)


def _game(problem: ValuationProblem, n_jobs: int | None, store: Path | None) -> UnlearningGame:
    return UnlearningGame(problem, f"{BUILTIN}:{Retrain.name}", n_jobs=n_jobs, store=store)
