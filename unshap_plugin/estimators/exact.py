"""``exact``: the definition, over all coalitions."""

from __future__ import annotations

from math import comb
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.errors import BudgetError, DivergenceError
from unshap_plugin.estimators.base import EXCLUDES_NONE, Estimate
from unshap_plugin.estimators.permutation import Permutation
from unshap_plugin.estimators.stratified import Stratified, least_budget

__all__ = ["Exact"]

MAX_PLAYERS = 20


class Exact(Stratified):
    """The Shapley value by its definition (Shapley 1953), from the utilities of all ``2**n`` coalitions.

    ``phi_i = sum over S without i of |S|! (n - |S| - 1)! / n! * (v(S + i) - v(S))``

    They are asked for in the order of ``Stratified``, so that there are values on the way too.

    Of another semivalue (Dubey, Neyman & Weber 1981) it is the weight of ``|S|``, over how many ``S`` there are.

    Parameters
    ----------
    n_players, budget, seed
        See ``Estimator``.
    weights
        Those of the semivalue ``[n_players]``: of the mean marginal contributions to coalitions of 0, 1, ... others.
        ``None`` are those of Shapley.

    Raises
    ------
    BudgetError
        If there are more than 20 players, or the budget is below ``2**n``.

    Examples
    --------
    >>> Exact(3, None, 0).run(lambda coalitions: coalitions.prod(axis=1)).values.round(3)  # worth something together
    array([0.333, 0.333, 0.333])
    """

    name: ClassVar[str] = "exact"
    summary: ClassVar[str] = "The definition, over all coalitions of up to 20 players."
    source: ClassVar[str] = "Shapley 1953"
    exact: ClassVar[bool] = True
    weighted: ClassVar[bool] = True

    def __init__(
        self, n_players: int, budget: int | None, seed: int, weights: NDArray[np.float64] | None = None
    ) -> None:
        if n_players > MAX_PLAYERS:
            least = least_budget(n_players)
            more = f" with budget={least}" if budget is not None and budget < least else ""
            raise BudgetError(
                f"estimator 'exact' evaluates all 2**n coalitions, but there are {n_players} players and at most "
                f"{MAX_PLAYERS} are possible: use estimator='stratified'{more}, or fewer players (groups)."
            )
        if budget is not None and budget < 1 << n_players:
            sampled = ", or use estimator='stratified'" if budget >= least_budget(n_players) else ""
            raise BudgetError(
                f"budget={budget} is too small: estimator 'exact' over {n_players} players needs all {1 << n_players} "
                f"evaluations; give that{sampled}."
            )
        super().__init__(n_players, 1 << n_players, seed, weights=weights)
        self.budget, self._weights = budget, weights
        self._masks: list[NDArray[np.int64]] = []
        self._utilities: list[NDArray[np.float64]] = []

    @property
    def equivalent(self) -> str:
        """``"stratified"`` before all coalitions are known."""
        return self.name if sum(map(len, self._masks)) == self.total else super().name

    def tell(self, coalitions: NDArray[np.bool_], utilities: NDArray[np.float64]) -> None:
        """Take the utilities."""
        bad = np.isnan(utilities.reshape(len(utilities), -1)).any(axis=1)
        self._masks.append(coalitions @ (1 << np.arange(self.n_players)))
        self._utilities.append(utilities)
        if bad.any():
            first = coalitions[bad.argmax()]
            sampled = "estimator='permutation', whose result says what the sum of its values lacks"
            raise DivergenceError(
                f"estimator 'exact' needs the utility of every coalition, but {int(bad.sum())} were excluded, first "
                f"the one that keeps players {np.flatnonzero(first).tolist()}",
                tuple(bool(keep) for keep in first),
                (EXCLUDES_NONE, sampled) if self._can_be_sampled() else (EXCLUDES_NONE,),
            )
        super().tell(coalitions, utilities)

    def _can_be_sampled(self) -> bool:
        """Tell whether permutations would do with what was excluded so far."""
        if self._weights is not None:
            return False
        known, masks = self._table(), 1 << np.arange(self.n_players)
        try:
            Permutation(self.n_players, self.budget, self.seed).run(lambda coalitions: known[coalitions @ masks])
        except (BudgetError, DivergenceError):
            return False
        return True

    def _table(self) -> NDArray[np.float64]:
        """Return the utilities by bit mask (player i is bit i), those that are not known as zeros."""
        told = np.concatenate(self._utilities)
        table = np.zeros((1 << self.n_players, *told.shape[1:]))
        table[np.concatenate(self._masks)] = told
        return table

    def estimate(self) -> Estimate:
        """Return the values, with standard errors of zero; before all coalitions are known, those of ``Stratified``."""
        if sum(map(len, self._masks)) < self.total:
            return super().estimate()
        v = self._table()
        masks = np.arange(1 << self.n_players)
        sizes = (masks[:, None] >> np.arange(self.n_players) & 1).sum(axis=1)
        n = self.n_players
        weights = np.full(n, 1 / n) if self._weights is None else self._weights
        weight = weights / [comb(n - 1, size) for size in range(n)]
        values = []
        for player in range(n):
            without = masks[(masks >> player & 1) == 0]
            marginal = v[without | 1 << player] - v[without]
            values.append(np.tensordot(weight[sizes[without]], marginal, axes=1))
        stacked = np.array(values, dtype=np.float64)
        return Estimate(stacked, np.zeros_like(stacked), np.full_like(stacked, np.inf))
