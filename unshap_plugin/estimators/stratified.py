"""``stratified``: pairs of a coalition and its complement, by size, corrected by a cross-fitted surrogate."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.errors import BudgetError, UnknownNameError
from unshap_plugin.estimators.base import EXCLUDES_NONE, Estimate, Estimator, check_ends
from unshap_plugin.estimators.strata import MANY, divide, draw, masses, pairs_in_all
from unshap_plugin.estimators.surrogates import Fitted, fit

__all__ = ["Stratified", "least_budget"]

DEFAULT_BUDGET = 5_000
FOLDS = 5
_BLOCK = 256


def least_budget(n_players: int) -> int:
    """Return the utilities of none and all players, and of two pairs, or of all that there are.

    Examples
    --------
    >>> [least_budget(n) for n in (1, 2, 3, 1000)]
    [2, 4, 6, 6]
    """
    return 2 + 2 * min(2, pairs_in_all(n_players))


class Stratified(Estimator):
    """Strata of pairs ``{S, N - S}`` by size, drawn without replacement, with a cross-fitted surrogate.

    Only the odd part ``o(S) = (v(S) - v(N - S)) / 2`` of a game matters. With ``g_i(S) = 1 / |S|`` for the players in
    ``S``, and ``-1 / (n - |S|)`` for the others,

    ``phi_i = (v(N) - v(none)) / n + sum over sizes s <= n / 2 of mass_s * mean over |S| = s of o(S) g_i(S)``

    where ``mass_s`` is 2, or 1 for half the players. Pairs are dealt to five folds. A surrogate that is fitted to the
    other four folds takes the place of ``o``, its means being known, and the residuals of the pairs that were drawn
    correct it: of those it was fitted to as they are, of those held out for all other pairs too, so that the values are
    unbiased. They sum to ``v(N) - v(none)``, also where coalitions are excluded. Such a pair is left out, and its
    stratum is taken to be like the others of that size: ``result.missing`` cannot show how wrong that is.

    The standard errors are those of the held-out residuals in their strata, times the share of pairs that were not
    drawn, and zero once all of them are; degrees of freedom are Satterthwaite's (1946).

    Parameters
    ----------
    n_players, budget, seed
        See ``Estimator``. Where fewer pairs can be paid than two for each size, sizes that follow each other share a
        stratum, in which they are drawn too.
    surrogate
        ``"linear"``, ``"gp"``, or ``"chosen"``: for each fold whichever has the smaller error for pairs that it was not
        fitted to; ``"linear"`` where there are many players or pairs.

    Raises
    ------
    BudgetError
        If the budget does not suffice for two pairs, without which there is no standard error.
    UnknownNameError
        If there is no such surrogate.
    """

    name: ClassVar[str] = "stratified"
    summary: ClassVar[str] = "Coalitions and their complements by size, corrected by a cross-fitted surrogate."
    source: ClassVar[str] = "this project; Maleki et al. 2013 (strata), Covert & Lee 2021 (pairs), Chernozhukov et al. 2018"

    def __init__(
        self,
        n_players: int,
        budget: int | None,
        seed: int,
        surrogate: Literal["linear", "gp", "chosen"] = "chosen",
    ) -> None:
        super().__init__(n_players, budget, seed)
        if surrogate not in ("linear", "gp", "chosen"):
            raise UnknownNameError("surrogate", surrogate, ["linear", "gp", "chosen"])
        needed = least_budget(n_players)
        available = DEFAULT_BUDGET if budget is None else budget
        if available < needed:
            raise BudgetError(
                f"budget={budget} is too small: values with standard errors need the utilities of none and of all of "
                f"{n_players} players, and of two coalitions and their complements, {needed} evaluations; give that."
            )
        self._surrogate = surrogate
        pairs = min((available - 2) // 2, pairs_in_all(n_players))
        self._strata = divide(n_players, pairs)
        rng = np.random.default_rng(np.random.SeedSequence(seed))
        drawn = [draw(stratum, n_players, rng) for stratum in self._strata]
        order = rng.permutation(pairs)
        self._pairs = np.concatenate([np.zeros((0, n_players), dtype=bool), *drawn])[order]
        self._stratum = np.repeat(np.arange(len(drawn)), [len(one) for one in drawn])[order]
        # Within a stratum in turn, and from stratum to stratum too, so that folds are of equal sizes.
        self._fold = (np.arange(pairs) % FOLDS)[order]
        self._asked_pairs = 0
        self._ends: NDArray[np.float64] | None = None
        self._odd: list[NDArray[np.float64]] = []

    @property
    def total(self) -> int:
        """Number of utilities that it will ask for: those of none, of all, and of all pairs."""
        return 2 + 2 * len(self._pairs)

    def ask(self) -> NDArray[np.bool_]:
        """Return the empty and the full coalition, then some pairs at a time, in random order."""
        if self._ends is None:
            return np.array([[False] * self.n_players, [True] * self.n_players])
        block = self._pairs[self._asked_pairs : self._asked_pairs + _BLOCK // 2]
        self._asked_pairs += len(block)
        return np.stack([block, ~block], axis=1).reshape(-1, self.n_players)

    def tell(self, coalitions: NDArray[np.bool_], utilities: NDArray[np.float64]) -> None:
        """Take the utilities."""
        if self._ends is None:
            check_ends(coalitions, utilities, "the values add up to what separates both ends")
            self._ends = utilities
        else:
            self._odd.append((utilities[::2] - utilities[1::2]) / 2)

    def estimate(self) -> Estimate:
        """Return the values, and their standard errors."""
        assert self._ends is not None
        n, shape = self.n_players, self._ends.shape[1:]
        values = np.repeat((self._ends[1:] - self._ends[:1]).reshape(1, -1) / n, n, axis=0)
        variance, freedom = np.zeros_like(values), np.full_like(values, np.inf)
        if len(self._pairs):
            odd = np.concatenate(self._odd).reshape(len(self._pairs), -1)
            patterns, which = np.unique(np.isnan(odd), axis=1, return_inverse=True)
            for k, excluded in enumerate(patterns.T):  # one, unless metrics differ in what they cannot measure
                columns = which.ravel() == k
                found = self._corrected(~excluded, odd[:, columns])
                values[:, columns] += found[0]
                variance[:, columns], freedom[:, columns] = found[1:]
        made = (one.reshape(n, *shape) for one in (values, np.sqrt(variance), freedom))
        return Estimate(*made)

    def _corrected(
        self, kept: NDArray[np.bool_], odd: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return what strata add to the values, with variances and their degrees of freedom, ``[n_players, t]``."""
        pairs, odd, fold, stratum = self._pairs[kept], odd[kept], self._fold[kept], self._stratum[kept]
        count = np.bincount(stratum, minlength=len(self._strata))
        drawn = np.array([one.drawn for one in self._strata])
        population = np.array([float(one.population) for one in self._strata]) * count / drawn
        unfinished = drawn < np.array([one.population for one in self._strata])
        self._refuse_few(count, unfinished)
        size = masses(self.n_players)
        mass = np.array([size[one.sizes - 1].sum() for one in self._strata])
        values = _along(pairs, odd * np.where(unfinished, 0, mass / count)[stratum][:, None])
        residual = np.zeros_like(odd)
        for out in (fold == k for k in range(FOLDS)):
            held = np.bincount(stratum[out & unfinished[stratum]], minlength=len(count))
            if not held.any():
                continue
            fitted = fit(pairs[~out], odd[~out], self._surrogate)
            missed = odd - fitted.predict(pairs)
            residual[out] = missed[out]
            share = mass * held / count
            unseen = (population - count + held) / np.maximum(held, 1)
            weight = np.where(unfinished, share / population, 0)[stratum] * np.where(out, unseen[stratum], 1)
            values += _along(pairs, missed * weight[:, None])
            by_size = np.concatenate([np.full(len(one.sizes), k) for k, one in enumerate(self._strata)])
            values += fitted.shares(size * (held / count)[by_size])
        scale = np.where(unfinished, mass**2 * (1 - count / population) / (count * np.maximum(count - 1, 1)), 0)
        return values, *_spread(pairs, residual * np.sqrt(scale[stratum])[:, None], stratum, count - 1, unfinished)

    def _refuse_few(self, count: NDArray[np.int64], unfinished: NDArray[np.bool_]) -> None:
        """Raise if exclusions left too few pairs of a stratum."""
        needed = 1 + unfinished
        if (count >= needed).all():
            return
        one = int(np.argmax(count < needed))
        sizes = self._strata[one].sizes
        which = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
        larger = ("a larger budget",) if unfinished[one] else ()
        raise BudgetError(
            f"after the exclusions {count[one]} of {self._strata[one].drawn} pairs of coalitions of size {which} with "
            f"their complements are left, but {'two are' if unfinished[one] else 'one is'} needed",
            (*larger, EXCLUDES_NONE),
        )


def _along(pairs: NDArray[np.bool_], weights: NDArray[np.float64], power: int = 1) -> NDArray[np.float64]:
    """Return the sum of ``weights g(S) ** power`` over pairs, ``[n_players, t]``; of weights ``[m, t]``."""
    n, sizes = pairs.shape[1], pairs.sum(axis=1)[:, None]
    inside, outside = (1 / sizes) ** power, (-1 / (n - sizes)) ** power
    total: NDArray[np.float64] = np.sum(weights * outside, axis=0) + pairs.T @ (weights * (inside - outside))
    return total


def _spread(
    pairs: NDArray[np.bool_],
    residual: NDArray[np.float64],
    stratum: NDArray[np.int64],
    freedom: NDArray[np.int64],
    unfinished: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the variances of the values, and their degrees of freedom (Satterthwaite 1946), ``[n_players, t]``."""
    variance = np.zeros((pairs.shape[1], residual.shape[1]))
    squares = variance.copy()
    for one in np.flatnonzero(unfinished):
        rows = stratum == one
        own = _along(pairs[rows], residual[rows] ** 2, power=2)
        variance += own
        squares += own**2 / freedom[one]
    most = freedom[unfinished].sum() if unfinished.any() else np.inf
    found = np.full_like(variance, most)
    np.divide(variance**2, squares, out=found, where=squares > 0)
    return variance, found
