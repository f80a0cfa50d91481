"""``corrected``: stratified values of a dear game, of which cheap ones that go along with it spare most of the noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.estimators.base import Estimate
from unshap_plugin.estimators.cross_fitting import CrossFitted, cross_fitted
from unshap_plugin.estimators.stratified import Stratified
from unshap_plugin.estimators.surrogates import CHOSEN

__all__ = ["Corrected"]


class Corrected(Stratified):
    """Stratified values of a game ``v``, with the utilities ``u`` of others as features of the surrogate.

    The surrogate of a fold is ``f + b u``, with ``f`` that of ``Stratified`` and multiples ``b`` that are fitted with it
    to the other folds, where their errors say that ``u`` helps. What ``u`` itself adds to the values, ``b`` times the
    mean of ``u g`` over all pairs of a size, comes from all utilities of ``u``, or from far more of them than there are
    of ``v``: by ``Stratified`` again, whose variance, for those multiples, adds to that of the residuals. So the values
    are those of ``v`` whatever ``u`` is, and a useless ``u`` gets multiples near zero.

    Parameters
    ----------
    n_players, budget, seed, surrogate, weights
        See ``Stratified``; the budget is one of utilities of ``v``.
    helpers
        The games ``u``, from bool ``[m, n_players]`` to ``[m]`` or ``[m, t]`` as of ``v``.
    help_budget
        How many utilities of each of these may be asked for, beside those of the coalitions of ``v``; ``None``: see
        ``Stratified``.

    Raises
    ------
    BudgetError, UnknownNameError, InvalidValueError
        See ``Stratified``.

    Examples
    --------
    >>> worth = np.arange(10.0)
    >>> def dear(coalitions):
    ...     return np.tanh(coalitions @ worth / 20)
    >>> def cheap(coalitions):
    ...     return np.sin(coalitions @ worth / 20)
    >>> methods = Stratified(10, 40, 0), Corrected(10, 40, 0, helpers=[cheap])
    >>> alone, helped = (one.run(dear).std_errors.mean() for one in methods)
    >>> bool(helped < alone / 2)
    True
    """

    name: ClassVar[str] = "corrected"
    summary: ClassVar[str] = "Stratified, with the utilities of cheaper games as features of the surrogate."
    source: ClassVar[str] = "this project"

    def __init__(
        self,
        n_players: int,
        budget: int | None,
        seed: int,
        surrogate: str = CHOSEN,
        weights: NDArray[np.float64] | None = None,
        helpers: tuple[Callable[[NDArray[np.bool_]], NDArray[np.float64]], ...] = (),
        help_budget: int | None = None,
    ) -> None:
        super().__init__(n_players, budget, seed, surrogate, weights)
        self._helpers = tuple(helpers)
        # Drawn apart from the coalitions of the dear game, so that both errors have nothing in common.
        other = int(np.random.SeedSequence([seed, 1]).generate_state(1)[0])
        self._help = Stratified(n_players, help_budget, other, surrogate, weights)
        self._features: list[NDArray[np.float64]] = []

    def tell(self, coalitions: NDArray[np.bool_], utilities: NDArray[np.float64]) -> None:
        """Take the utilities, and look up those of the helpers."""
        super().tell(coalitions, utilities)
        if self._ends_only():
            self._help.run(self._helped)
        else:
            self._features.append(self._helped(coalitions))

    def _ends_only(self) -> bool:
        return not self._told

    def _helped(self, coalitions: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the utilities of all helpers side by side, ``[m, t * q]``."""
        found = [np.asarray(helper(coalitions), dtype=np.float64) for helper in self._helpers]
        return np.stack(found, axis=-1).reshape(len(coalitions), -1)

    def _corrected(self, told: NDArray[np.float64], columns: list[int]) -> CrossFitted:
        kept, given = self._kept(told)
        t, q = self._ends.reshape(2, -1).shape[1], len(self._helpers)
        halves = self._halves(np.concatenate(self._features))
        features = [one.reshape(len(one), t, q)[:, columns][kept] for one in halves]
        found = cross_fitted(*given, features=features)
        unfinished = np.any([one.any(axis=(1, 2)) for one in found.counted], axis=0)
        if not unfinished.any():
            return found
        return _added(found, self._of_helpers(found.counted, unfinished, t, columns))

    def _halves(self, utilities: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """Return half the differences, and half the sums, of the helpers' utilities of pairs; unknown ones are zero."""
        assert self._help._ends is not None
        middle = np.nan_to_num(self._help._ends.mean(axis=0))
        pairs = (utilities - middle).reshape(len(utilities) // 2, 2, -1)
        made = [(pairs[:, 0] - pairs[:, 1]) / 2, (pairs[:, 0] + pairs[:, 1]) / 2]
        return [np.nan_to_num(one) for one in made[: len(self._sizes.parts)]]

    def _of_helpers(
        self, counted: list[NDArray[np.float64]], unfinished: NDArray[np.bool_], t: int, columns: list[int]
    ) -> CrossFitted:
        """Return what the helpers add to the values, by as much as each size of them counts."""
        help_, mass = self._help, self._sizes.mass
        help_._sort(sum(map(len, help_._told)) // 2)
        size = help_._pairs.sum(axis=1) - 1
        halves = []
        for part, half in zip(counted, self._halves(np.concatenate(help_._told)), strict=True):
            multiple = np.where(unfinished[:, None, None], part, 0) / np.where(unfinished, mass, 1)[:, None, None]
            multiple[~unfinished] = multiple[unfinished].mean(axis=0)  # which count for nothing, and go on smoothly
            u = half.reshape(len(half), t, -1)[:, columns]
            halves.append(np.einsum("mtq,mtq->mt", u, multiple[size]))
        sizes = replace(self._sizes, mass=np.where(unfinished, mass, 0.0))
        return cross_fitted(
            help_._strata, sizes, help_._pairs, halves, help_._stratum, help_._fold, help_._surrogate
        )

    def unhelped(self) -> Estimate:
        """Return what the values would be without the helpers."""
        raise NotImplementedError


def _added(one: CrossFitted, other: CrossFitted) -> CrossFitted:
    """Return the sum of two that are independent of each other; degrees of freedom are Satterthwaite's (1946)."""
    variance = one.variance + other.variance
    squares = one.variance**2 / one.freedom + other.variance**2 / other.freedom
    freedom = np.full_like(variance, np.inf)
    np.divide(variance**2, squares, out=freedom, where=squares > 0)
    return CrossFitted(one.values + other.values, variance, freedom, [])
