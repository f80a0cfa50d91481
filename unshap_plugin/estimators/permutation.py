"""``permutation``: antithetic permutation sampling."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.errors import BudgetError
from unshap_plugin.estimators import stratified
from unshap_plugin.estimators.base import EXCLUDES_NONE, Estimate, Estimator, check_ends

__all__ = ["Permutation", "least_budget"]

DEFAULT_BUDGET = 5_000


def least_budget(n_players: int) -> int:
    """Return the utilities that two antithetic pairs take.

    Examples
    --------
    >>> least_budget(3)
    10
    """
    return 2 + 4 * (n_players - 1)


class Permutation(Estimator):
    """Marginal contributions along random permutations and their reverses.

    A permutation adds the players one by one, and the value of a player is its expected contribution (Castro, Gomez &
    Tejada 2009). Each permutation is followed by its reverse (antithetic sampling, Mitchell, Cooper, Frank & Holmes
    2022, section 4.1), and the mean over such a pair is one independent observation, from whose spread the standard
    errors come. The contributions along a permutation sum to ``v(N) - v(none)``, so the values do too.

    Raises
    ------
    BudgetError
        If the budget does not suffice for two pairs, without which there is no standard error.
    """

    name: ClassVar[str] = "permutation"
    summary: ClassVar[str] = "Marginal contributions along random permutations and their reverses."
    source: ClassVar[str] = "Castro, Gomez & Tejada 2009; Mitchell, Cooper, Frank & Holmes 2022"

    def __init__(self, n_players: int, budget: int | None, seed: int) -> None:
        super().__init__(n_players, budget, seed)
        # Both ends of every permutation are the same two coalitions, which are asked for once.
        self._pair = 2 * (n_players - 1)
        needed = least_budget(n_players)
        available = max(DEFAULT_BUDGET, needed) if budget is None else budget
        if available < needed:
            cheaper = ", or use estimator='stratified'" if available >= stratified.least_budget(n_players) else ""
            if 1 << n_players < needed:
                cheaper = f", or use estimator='exact' with budget={1 << n_players}"
            raise BudgetError(
                f"budget={budget} is too small: one permutation of {n_players} players takes {n_players + 1} "
                f"evaluations, and values with standard errors need two antithetic pairs, {needed} evaluations; give "
                f"that{cheaper}."
            )
        self._pairs = (available - 2) // self._pair if n_players > 1 else 2
        self._rng = np.random.default_rng(np.random.SeedSequence(seed))
        self._asked_pairs = 0
        self._orders: list[NDArray[np.int64]] = []
        self._ends: NDArray[np.float64] | None = None
        self._count = self._mean = self._squares = np.zeros(0)

    @property
    def total(self) -> int:
        """Number of utilities that it will ask for: the two ends, and the inner coalitions of all pairs."""
        return 2 + self._pairs * self._pair

    @property
    def anytime_from(self) -> int:
        """Utilities from which on it can estimate: those of two pairs."""
        return min(2 + 2 * self._pair, self.total)

    def ask(self) -> NDArray[np.bool_]:
        """Return the empty and the full coalition, then some pairs of permutations at a time."""
        n = self.n_players
        if self._ends is None:
            return np.array([[False] * n, [True] * n])
        pairs = min(max(1, self.block // max(self._pair, 1)), self._pairs - self._asked_pairs)
        self._asked_pairs += pairs
        orders = [self._rng.permutation(n) for _ in range(pairs)]
        self._orders = [direction for order in orders for direction in (order, order[::-1])]
        blocks = [np.argsort(order)[None, :] < np.arange(1, n)[:, None] for order in self._orders]
        return np.concatenate(blocks) if blocks else np.zeros((0, n), dtype=bool)

    def tell(self, coalitions: NDArray[np.bool_], utilities: NDArray[np.float64]) -> None:
        """Take the utilities; a contribution next to an excluded coalition drops its pair for that player."""
        n = self.n_players
        if self._ends is None:
            check_ends(coalitions, utilities, "every permutation begins or ends there")
            self._ends = utilities
            self._count = np.zeros((n, *utilities.shape[1:]))
            self._mean, self._squares = self._count.copy(), self._count.copy()
            if n == 1:  # the two ends are all there is
                self._observe(utilities[1:] - utilities[:1])
                self._observe(utilities[1:] - utilities[:1])
        inner = utilities[:0] if len(self._orders) == 0 else utilities
        chains = inner.reshape(len(self._orders), max(n - 1, 0), *utilities.shape[1:])
        contributions = []
        for order, chain in zip(self._orders, chains, strict=True):
            steps = np.diff(np.concatenate([self._ends[:1], chain, self._ends[1:]]), axis=0)
            contribution = np.empty_like(steps)
            contribution[order] = steps
            contributions.append(contribution)
        for first, second in zip(contributions[::2], contributions[1::2], strict=True):
            self._observe((first + second) / 2)

    def estimate(self) -> Estimate:
        """Return the means over pairs, and their standard errors."""
        if (self._count < 2).any():
            left = self._count.reshape(self.n_players, -1).min(axis=1)
            player = int(left.argmin())
            budget = ("a larger budget",) if left[player] else ()  # which does not help where none is left of many
            raise BudgetError(
                f"after the exclusions player number {player} has {int(left[player])} of {self._asked_pairs} pairs of "
                f"contributions, but two are needed",
                (*budget, EXCLUDES_NONE),
            )
        variance = self._squares / (self._count - 1)
        return Estimate(self._mean.copy(), np.sqrt(variance / self._count), self._count - 1)

    def _observe(self, value: NDArray[np.float64]) -> None:
        """Update count, mean and sum of squares (Welford 1962) where the value is a number."""
        good = ~np.isnan(value)
        self._count += good
        delta = np.where(good, value - self._mean, 0.0)
        self._mean += delta / np.maximum(self._count, 1)
        self._squares += delta * np.where(good, value - self._mean, 0.0)
