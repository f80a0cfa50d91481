"""What an unlearner knows of the players beside utilities: their marginal contributions, to first order."""

from __future__ import annotations

import itertools
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.game import UnlearningGame
from unshap_plugin.plugins.registry import lent_to
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.support.threads import alone

__all__ = ["LEAST_PLAYERS", "has_marginals", "marginal_covariates"]

#: Of fewer players nothing can be learnt about how marginals go with values.
LEAST_PLAYERS = 50
#: Sizes of coalitions, as shares of the players, at which one covariate ends and the next begins: to first order, what
#: is added to few rows is too much, and the estimator is to learn by how much.
_CUTS = (0.0, 0.02, 0.1, 0.4, 1.0)
#: Of one coalition for so many utilities, of at least and at most so many.
_SHARE, _FEWEST, _MOST = 10, 400, 4_000
#: At least and at most so many coalitions at a time, and about so many rows of training or test in these: it follows
#: from the data, never from the memory that is free, since last bits go by it.
_CHUNK, _CHUNK_ROWS = (32, 128), 25_600


def has_marginals(game: object) -> bool:
    """Tell whether covariates can be had for a game.

    Examples
    --------
    >>> has_marginals(lambda coalitions: coalitions.sum(axis=1))
    False
    """
    return _has_enough_players(game) and _marginals(game, np.ones((1, game.n_players), dtype=bool)) is not None


def marginal_covariates(game: object, budget: int, seed: int) -> NDArray[np.float64] | None:
    """Return the mean marginal contributions of each player at small to large coalitions.

    Parameters
    ----------
    game
        A game of any kind.
    budget
        How many utilities there will be: a tenth of that are the coalitions, at least 400 and at most 4,000.
    seed
        Seed of the coalitions, which are as many in each range of sizes.

    Returns
    -------
    float64 ``[n_players, 4]``, of which the sum estimates the values of the training loss, to first order; or ``None``
    for a game that has none (``has_marginals``).
    """
    if not _has_enough_players(game):
        return None
    n, rng = game.n_players, np.random.default_rng(np.random.SeedSequence([seed, 1]))
    cuts = np.unique(np.round(np.array(_CUTS) * n).astype(int))
    each = min(max(budget // _SHARE, _FEWEST), _MOST) // (len(cuts) - 1)
    chunk = int(np.clip(_CHUNK_ROWS // max(len(game.problem.y), len(game.problem.y_test)), *_CHUNK))
    total, count = np.zeros((2, n, len(cuts) - 1))
    for part, (begin, end) in enumerate(itertools.pairwise(cuts)):
        sizes = begin + np.floor((np.arange(each) + rng.random(each)) / each * (end - begin)).astype(int)
        for some in np.array_split(rng.permutation(sizes), max(1, -(-each // chunk))):
            found = _marginals(game, np.stack([rng.permutation(n) < size for size in some]))
            if found is None:
                return None
            known = np.isfinite(found)
            total[:, part] += np.where(known, found, 0).sum(axis=0)
            count[:, part] += known.sum(axis=0)
    return total / np.maximum(count, 1) * np.diff(cuts) / n


def _has_enough_players(game: object) -> TypeGuard[UnlearningGame]:
    return isinstance(game, UnlearningGame) and game.n_players >= LEAST_PLAYERS


def _marginals(game: UnlearningGame, coalitions: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    if not isinstance(game.problem, ModuleProblem):
        return None
    with alone(), lent_to(game.provider, game.problem):
        return game.unlearner.marginals(game.problem, coalitions)
