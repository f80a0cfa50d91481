"""``stratified``: pairs of a coalition and its complement, by size, corrected by a cross-fitted surrogate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.errors import BudgetError, InvalidValueError, UnknownNameError
from unshap_plugin.estimators.base import EXCLUDES_NONE, Estimate, Estimator, check_ends
from unshap_plugin.estimators.cross_fitting import CrossFitted, cross_fitted
from unshap_plugin.estimators.drawing import Drawing
from unshap_plugin.estimators.sizes import Sizes, sizes_of
from unshap_plugin.estimators.strata import divide, pairs_in_all
from unshap_plugin.estimators.surrogates import CHOSEN, MOST_PLAYERS, SURROGATES

__all__ = ["Stratified", "least_budget", "least_of"]

DEFAULT_BUDGET = 5_000
#: Folds, and how many there are of fewer pairs than 500, or than three to a player: what is left out counts more there.
FOLDS, FOLDS_OF_FEW, FEW, FEW_TO_A_PLAYER = 5, 10, 500, 3


def least_budget(n_players: int) -> int:
    """Return the utilities of none and all players, and of two pairs, or of all that there are.

    Examples
    --------
    >>> [least_budget(n) for n in (1, 2, 3, 1000)]
    [2, 4, 6, 6]
    """
    return least_of(sizes_of(np.full(n_players, 1 / n_players)))


def least_of(sizes: Sizes) -> int:
    """Return the same for another semivalue.

    Examples
    --------
    >>> least_of(sizes_of(np.full(3, 1 / 3)))
    6
    """
    return 2 + 2 * min(2, pairs_in_all(sizes))


class Stratified(Estimator):
    """Strata of pairs ``{S, N - S}`` by size, drawn without replacement, with a cross-fitted surrogate.

    Only the odd part ``o(S) = (v(S) - v(N - S)) / 2`` of a game matters. With ``g_i(S) = 1 / |S|`` for the players in
    ``S``, and ``-1 / (n - |S|)`` for the others,

    ``phi_i = (v(N) - v(none)) / n + sum over sizes s <= n / 2 of mass_s * mean over |S| = s of o(S) g_i(S)``

    where ``mass_s`` is 2, or 1 for half the players. Pairs are dealt to five or ten folds. A surrogate, fitted to the
    other folds, takes the place of ``o``, its means being known, and the residuals of the pairs that were drawn
    correct it: of those it was fitted to as they are, of those held out for all other pairs too, so that the values are
    unbiased. They sum to ``v(N) - v(none)``, also where coalitions are excluded. Such a pair is left out, and its
    stratum is taken to be like the others of that size: ``result.missing`` cannot show how wrong that is.

    Of another semivalue ``g_i(S)`` and the masses are other ones (see ``Sizes``), and where its weights are not
    symmetric the even part ``(v(S) + v(N - S)) / 2`` has a surrogate as well.

    The standard errors are those of the held-out residuals in their strata, times the share of pairs that were not
    drawn, and zero once all of them are; degrees of freedom are Satterthwaite's (1946).

    Parameters
    ----------
    n_players, budget, seed
        See ``Estimator``. Where fewer pairs can be paid than two for each size, sizes that follow each other share a
        stratum, in which they are drawn too.
    surrogate
        ``"linear"``, ``"gp"``, or ``"chosen"``: for each fold whichever has the smaller error for pairs that it was not
        fitted to, of up to 200 players and 1,500 pairs, beyond which it is ``"linear"``.
    weights
        Those of the semivalue ``[n_players]``: of the mean marginal contributions to coalitions of 0, 1, ... others.
        ``None`` are those of Shapley.

    Raises
    ------
    BudgetError
        If the budget does not suffice for two pairs, without which there is no standard error.
    UnknownNameError, InvalidValueError
        If there is no such surrogate, or ``"gp"`` is asked for with more than 200 players.

    Examples
    --------
    >>> worth = np.array([5.0, 0.0, 1.0, 2.0])
    >>> found = Stratified(4, 16, seed=0).run(lambda coalitions: coalitions @ worth)  # every pair
    >>> (found.values - worth).round(6).any().item(), found.std_errors.tolist()
    (False, [0.0, 0.0, 0.0, 0.0])
    """

    name: ClassVar[str] = "stratified"
    summary: ClassVar[str] = "Coalitions and their complements by size, corrected by a cross-fitted surrogate."
    weighted: ClassVar[bool] = True
    falls: ClassVar[float] = 0.0
    source: ClassVar[str] = (
        "this project; Maleki et al. 2013 (strata), Covert & Lee 2021 (pairs), Chernozhukov et al. 2018"
    )

    def __init__(
        self,
        n_players: int,
        budget: int | None,
        seed: int,
        surrogate: str = CHOSEN,
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        super().__init__(n_players, budget, seed)
        if surrogate not in (CHOSEN, *SURROGATES):
            raise UnknownNameError("surrogate", surrogate, [CHOSEN, *SURROGATES])
        if surrogate == "gp" and n_players > MOST_PLAYERS:
            raise InvalidValueError(
                f"surrogate 'gp' is for at most {MOST_PLAYERS} players, but there are {n_players}: use 'linear'."
            )
        sizes = replace(sizes_of(np.full(n_players, 1 / n_players) if weights is None else weights), falls=self.falls)
        needed = least_of(sizes)
        available = max(DEFAULT_BUDGET, 4 * n_players) if budget is None else budget
        if available < needed:
            raise BudgetError(
                f"budget={budget} is too small: values with standard errors need the utilities of none and of all of "
                f"{n_players} players, and of two coalitions and their complements, {needed} evaluations; give that."
            )
        self._surrogate = surrogate
        self._sizes = sizes
        self._drawing = Drawing(sizes, min((available - 2) // 2, pairs_in_all(sizes)), seed)
        self._drawn: list[tuple[NDArray[np.bool_], NDArray[np.int64]]] = [self._drawing.take(0)]
        self._ends: NDArray[np.float64] | None = None
        self._told: list[NDArray[np.float64]] = []

    @property
    def anytime_from(self) -> int:
        """Utilities from which on it can estimate: those of none, of all, and of two pairs of each size."""
        return 2 + 2 * self._drawing.whole

    @property
    def total(self) -> int:
        """Number of utilities that it will ask for: those of none, of all, and of all pairs."""
        return 2 + 2 * self._drawing.pairs

    def ask(self) -> NDArray[np.bool_]:
        """Return the empty and the full coalition, then some pairs at a time, of all sizes in turn."""
        if self._ends is None:
            return np.array([[False] * self.n_players, [True] * self.n_players])
        rows, stratum = self._drawing.take(max(self.block // 2, 1))
        self._drawn.append((rows, stratum))
        return np.stack([rows, ~rows], axis=1).reshape(-1, self.n_players)

    def tell(self, coalitions: NDArray[np.bool_], utilities: NDArray[np.float64]) -> None:
        """Take the utilities."""
        if self._ends is None:
            check_ends(coalitions, utilities, "the values begin with what separates both ends")
            self._ends = utilities
        else:
            self._told.append(utilities)

    def estimate(self) -> Estimate:
        """Return the values, and their standard errors."""
        assert self._ends is not None
        n, shape = self.n_players, self._ends.shape[1:]
        gain = (self._ends[1:] - self._ends[:1]).reshape(1, -1)
        values = np.repeat(self._sizes.ends * gain, n, axis=0)
        variance, freedom = np.zeros_like(values), np.full_like(values, np.inf)
        if self._told:
            # From the middle between both ends, which changes no value, and leaves less to be learnt.
            told = np.concatenate(self._told) - self._ends.mean(axis=0)
            told = told.reshape(len(told) // 2, 2, -1)
            self._sort(len(told))
            # Columns together, unless metrics differ in what they cannot measure.
            patterns: dict[bytes, list[int]] = {}
            for column, excluded in enumerate(np.isnan(told).any(axis=1).T):
                patterns.setdefault(excluded.tobytes(), []).append(column)
            for columns in patterns.values():
                found = self._corrected(told, columns)
                values[:, columns] += found.values
                variance[:, columns], freedom[:, columns] = found.variance, found.freedom
        made = (one.reshape(n, *shape) for one in (values, np.sqrt(variance), freedom))
        return Estimate(*made)

    def _sort(self, told: int) -> None:
        """Put the first pairs into strata and folds."""
        self._strata = divide(self._sizes, told)
        self._pairs = np.concatenate([rows for rows, _ in self._drawn])[:told]
        self._stratum = np.concatenate([stratum for _, stratum in self._drawn])[:told]
        # Within a stratum in turn, and from stratum to stratum too, so that folds are of equal sizes.
        folds = FOLDS_OF_FEW if told < max(FEW, FEW_TO_A_PLAYER * self.n_players) else FOLDS
        self._fold = np.empty(told, dtype=np.int64)
        self._fold[np.argsort(self._stratum, kind="stable")] = np.arange(told) % folds

    def _corrected(self, told: NDArray[np.float64], columns: list[int]) -> CrossFitted:
        """Return what ``cross_fitted`` makes of columns in which the same pairs were excluded."""
        return self._kept(told[:, :, columns])[1]()

    def _kept(self, told: NDArray[np.float64]) -> tuple[NDArray[np.bool_], Callable[..., CrossFitted]]:
        """Return which pairs were not excluded, and ``cross_fitted`` of these."""
        kept = ~np.isnan(told).any(axis=(1, 2))
        stratum = self._stratum[kept]
        self._refuse_few(np.bincount(stratum, minlength=len(self._strata)))
        smaller, larger = told[kept, 0], told[kept, 1]
        halves = [(smaller - larger) / 2, (smaller + larger) / 2][: len(self._sizes.parts)]
        pairs, fold = self._pairs[kept], self._fold[kept]
        return kept, partial(cross_fitted, self._strata, self._sizes, pairs, halves, stratum, fold, self._surrogate)

    def _refuse_few(self, left: NDArray[np.int64]) -> None:
        """Raise if exclusions left too few pairs of a stratum."""
        for count, stratum in zip(left, self._strata, strict=True):
            needed = 1 if stratum.finished else 2
            if count >= needed:
                continue
            first, last = stratum.sizes[0], stratum.sizes[-1]
            sizes = f"{first}" if first == last else f"{first} to {last}"
            larger = () if stratum.finished else ("a larger budget",)
            raise BudgetError(
                f"after the exclusions {count} of {stratum.drawn} pairs of coalitions of size {sizes} and their "
                f"complements are left, but {needed} {'is' if needed == 1 else 'are'} needed",
                (*larger, EXCLUDES_NONE),
            )
