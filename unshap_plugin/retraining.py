"""The game of retraining: that of a problem, one for each seed, whoever asks for it; and those of somebody else."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.coalitions import as_utilities, coalitions_of, keys_of
from unshap_plugin.game import UnlearningGame
from unshap_plugin.plugins.catalogue import BUILTIN
from unshap_plugin.problem.problem import ValuationProblem
from unshap_plugin.unlearners import Retrain
from unshap_plugin.unlearners._own_fit import Fit, OwnFit

__all__ = ["Remembered", "own_retraining_game", "retraining_game"]


class Remembered:
    """Another one's game of retraining, which is asked for no coalition twice.

    Parameters
    ----------
    game
        From bool ``[m, n_players]`` to ``[m]`` or ``[m, t]``, with ``n_players``.

    Examples
    --------
    >>> def fits(coalitions):
    ...     print(len(coalitions), "fits")
    ...     return coalitions.sum(axis=1)
    >>> fits.n_players = 2
    >>> game, some = Remembered(fits), np.array([[True, False], [True, True]])
    >>> game(some), game(some[:1]), game.known()[1]
    2 fits
    (array([1., 2.]), array([1.]), array([1., 2.]))
    """

    def __init__(self, game: Any) -> None:
        self._game, self._known = game, dict[bytes, NDArray[np.float64]]()
        self.n_players = int(game.n_players)
        self.players = getattr(game, "players", range(self.n_players))

    def known(self) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Return what was evaluated, as an ``UnlearningGame`` does."""
        return coalitions_of(list(self._known), self.n_players), np.stack(list(self._known.values()))

    def __call__(self, coalitions: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the utilities of coalitions, ``[m]`` or ``[m, t]``."""
        keys = keys_of(coalitions)
        new = {key: row for key, row in zip(keys, coalitions, strict=True) if key not in self._known}
        if new:
            found = as_utilities(self._game(np.stack(list(new.values()))), len(new))
            self._known.update(zip(new, found, strict=True))
        return np.stack([self._known[key] for key in keys])


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

    The problem remembers it for the same function, with its utilities.

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
    asked = problem.once if isinstance(fit, Hashable) else lambda make, *given: make(problem, *given)
    return asked(_own, fit, retries, seed, n_jobs)


def _own(problem: ValuationProblem, fit: Fit, retries: int, seed: int, n_jobs: int | None) -> UnlearningGame:
    # One at a time, so that nothing is trained again where another one fails.
    return UnlearningGame(problem, OwnFit(fit, retries), seed=seed, on_error="exclude", chunk=1, n_jobs=n_jobs)


def _seeded(problem: ValuationProblem, n_jobs: int | None, store: Path | None, seed: int) -> UnlearningGame:
    return problem.once(_game, n_jobs, store).with_seed(seed)


def _game(problem: ValuationProblem, n_jobs: int | None, store: Path | None) -> UnlearningGame:
    return UnlearningGame(problem, f"{BUILTIN}:{Retrain.name}", n_jobs=n_jobs, store=store)
