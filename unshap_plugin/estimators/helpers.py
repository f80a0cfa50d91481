"""Games that are cheap, asked far more often than the dear one whose values they help to estimate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.coalitions import as_utilities
from unshap_plugin.errors import BudgetError, InvalidValueError
from unshap_plugin.estimators.base import Estimate
from unshap_plugin.estimators.cross_fitting import CrossFitted, cross_fitted
from unshap_plugin.estimators.strata import two_of_each
from unshap_plugin.estimators.stratified import Stratified
from unshap_plugin.support.progress import Progress

__all__ = ["Helpers"]

#: Of up to so many players all coalitions are asked for by default.
EXACT = 14

#: A game: from bool ``[m, n_players]`` to ``[m]`` or ``[m, t]``.
_Game = Callable[[NDArray[np.bool_]], NDArray[np.float64]]


class Helpers(Stratified):
    """The utilities ``u`` of some games, as features of another game's surrogate.

    Parameters
    ----------
    games
        From bool ``[m, n_players]`` to ``[m]``, or ``[m, t]`` as the other game.
    n_players
        Number of players.
    budget
        How many utilities of each may be asked for. ``None``: all of up to 14 players, else see ``Stratified``.
    seed
        Seed of the estimator that they help; their coalitions are drawn apart from those of that one.
    weights
        See ``Stratified``.

    Raises
    ------
    BudgetError
        If the budget does not suffice for two pairs of each size, or all that there are.

    Examples
    --------
    >>> worth = np.arange(4.0)
    >>> helpers = Helpers([lambda coalitions: coalitions @ worth], 4, None, 0)
    >>> helpers.learn()
    >>> helpers.estimate().values.round(6).ravel(), helpers.features(np.eye(4, dtype=bool)).shape
    (array([0., 1., 2., 3.]), (4, 1, 1))
    """

    def __init__(
        self,
        games: Sequence[_Game],
        n_players: int,
        budget: int | None,
        seed: int,
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        # Another seed, so that both errors have nothing in common.
        own = int(np.random.SeedSequence([seed, 1]).generate_state(1)[0])
        super().__init__(
            n_players, 1 << n_players if budget is None and n_players <= EXACT else budget, own, weights=weights
        )
        self._played = tuple(games)
        self._typical: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
        needed = 2 + 2 * two_of_each(self._sizes)
        if self.total < needed:
            raise BudgetError(
                f"budget={budget} is too small: what unlearned utilities help is known from two coalitions of each "
                f"size and their complements, {needed} evaluations of {n_players} players; give that."
            )

    @property
    def games(self) -> int:
        """How many they are."""
        return len(self._played)

    def learn(self, progress: Callable[[Progress], object] | None = None) -> None:
        """Ask the games for all utilities."""
        self.run(lambda coalitions: self.features(coalitions).reshape(len(coalitions), -1), progress)
        if self._told:
            utilities = np.concatenate(self._told)
            self._sort(len(utilities) // 2)
            if all(one.finished for one in self._strata):
                whole = self._halves(utilities.reshape(len(utilities), -1, len(self._played)))
                size = self._pairs.sum(axis=1)
                self._typical = [_by_size(half, size, self.n_players, even=k > 0) for k, half in enumerate(whole)]

    def features(self, coalitions: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the utilities of coalitions ``[m, n_players]``, as ``[m, t, q]`` for ``q`` games.

        Raises
        ------
        InvalidValueError
            If the games measure different numbers of things, or one gives other than finite numbers for all.
        """
        count = len(coalitions)
        found = [as_utilities(game(coalitions), count).reshape(count, -1) for game in self._played]
        if len({one.shape for one in found}) > 1:
            raise InvalidValueError(
                f"the games measure {[one.shape[1] for one in found]} things, but they have to measure the same: "
                f"give all the same metric."
            )
        return np.stack(found, axis=-1)

    def _halves(self, utilities: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """Return half the differences, and half the sums if these count, of pairs' utilities ``[2 m, t, q]``."""
        assert self._ends is not None
        middle = np.nan_to_num(self._ends.mean(axis=0)).reshape(utilities.shape[1:])
        pairs = (utilities - middle).reshape(len(utilities) // 2, 2, *utilities.shape[1:])
        return [(pairs[:, 0] - pairs[:, 1]) / 2, (pairs[:, 0] + pairs[:, 1]) / 2][: len(self._sizes.parts)]

    def halves(self, pairs: NDArray[np.bool_], utilities: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """Return what surrogates take multiples of: functions of a pair that are odd, and even ones if these count.

        These are the differences (or sums) as they are; where all coalitions are known, beside their distances from
        the mean over pairs of that size, in units of their spread there, since how far unlearning overshoots depends on
        how much is forgotten. What was excluded is zero there, a function as good as any.

        Parameters
        ----------
        pairs
            The smaller member of each, ``[m, n_players]``.
        utilities
            Those of each smaller member and its complement, ``[2 m, t, q]``.

        Returns
        -------
        ``[m, t, 2 q]`` each, or ``[m, t, q]``.
        """
        found, size = self._halves(utilities), pairs.sum(axis=1) - 1
        for k, (mean, spread) in enumerate(self._typical):
            found[k] = np.concatenate([found[k], (found[k] - mean[size]) / spread[size]], axis=2)
        return [np.nan_to_num(one) for one in found]

    def added(self, counted: list[NDArray[np.float64]], columns: list[int]) -> CrossFitted:
        """Return the sum over sizes of ``counted`` times the mean of ``u g`` over all pairs of a size.

        Parameters
        ----------
        counted
            See ``CrossFitted``, of these columns.
        columns
            Which of the ``t`` things are meant.
        """
        utilities = np.concatenate(self._told)
        utilities = utilities.reshape(len(utilities), -1, len(self._played))
        size = self._pairs.sum(axis=1) - 1
        mass = np.where(np.any([one.any(axis=(1, 2)) for one in counted], axis=0), self._sizes.mass, 0.0)
        halves = []
        for part, half in zip(counted, self.halves(self._pairs, utilities), strict=True):
            multiples = part[mass > 0] / mass[mass > 0, None, None]
            each = np.zeros_like(part) + multiples.mean(axis=0)  # of sizes that do not count, so that it is smooth
            each[mass > 0] = multiples
            halves.append(np.einsum("mtq,mtq->mt", half[:, columns], each[size]))
        sizes = replace(self._sizes, mass=mass)
        return cross_fitted(self._strata, sizes, self._pairs, halves, self._stratum, self._fold, self._surrogate)

    def alone(self) -> list[Estimate]:
        """Return the values of each of the games."""
        found, q = self.estimate(), len(self._played)
        each = (found.values, found.std_errors, found.degrees_of_freedom)
        columns = [[one.reshape(self.n_players, -1, q)[..., k] for one in each] for k in range(q)]
        return [Estimate(*one) for one in columns]


def _by_size(
    half: NDArray[np.float64], size: NDArray[np.int64], n_players: int, even: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and spread of pairs of each size, ``[n_players // 2, t, q]``; those that say nothing are 0 and 1.

    Of half the players either member may be called the smaller one, so that odd functions have mean zero there.
    """
    mean, spread = np.zeros((n_players // 2, *half.shape[1:])), np.ones((n_players // 2, *half.shape[1:]))
    for one in np.unique(size):
        own = half[size == one]
        known = ~np.isnan(own)
        count = np.maximum(known.sum(axis=0), 1)
        if even or 2 * one < n_players:
            mean[one - 1] = np.where(known, own, 0).sum(axis=0) / count
        spread[one - 1] = np.sqrt((np.where(known, own - mean[one - 1], 0) ** 2).sum(axis=0) / count)
    return mean, np.where(spread > 0, spread, 1)
