"""``corrected``: stratified values of a dear game, of whose noise cheap games that go along with it spare most."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.errors import InvalidValueError
from unshap_plugin.estimators.cross_fitting import CrossFitted
from unshap_plugin.estimators.helpers import Helpers
from unshap_plugin.estimators.stratified import Stratified

__all__ = ["Corrected", "DrawnFromSmall"]


class DrawnFromSmall(Stratified):
    """``Stratified`` with more pairs of small coalitions: models of little data differ by more than models of much.

    Examples
    --------
    >>> from unshap_plugin.estimators.strata import divide
    >>> sizes = [one(12, 60, 0)._sizes for one in (Stratified, DrawnFromSmall)]
    >>> [[stratum.drawn for stratum in divide(one, 29)] for one in sizes]
    [[8, 6, 5, 4, 4, 2], [9, 6, 5, 4, 3, 2]]
    """

    falls: ClassVar[float] = 0.25


class Corrected(DrawnFromSmall):
    """Stratified values of a game ``v``, with the utilities ``u`` of others as features of the surrogate.

    That of a fold is ``f + b u``, where ``f`` and the multiples ``b`` are fitted together to the other folds (see
    ``Assisted``). What ``b u`` itself adds to the values, ``b`` times the mean of ``u g`` over all pairs of a size,
    comes from all coalitions, or from far more of them than ``v`` is asked for: an error of its own then, which is
    drawn apart, so that both variances add up. The values are those of ``v`` whatever ``u`` is, as those of
    ``Stratified`` are whatever its surrogate, and a ``u`` that does not go along with ``v`` gets multiples near zero.

    Parameters
    ----------
    n_players, budget, seed, weights
        See ``Stratified``; the budget is one of utilities of ``v``.
    helpers
        The games ``u``, who have learnt.

    Raises
    ------
    BudgetError
        See ``Stratified``.

    Examples
    --------
    >>> worth = np.arange(10.0)
    >>> def dear(coalitions):
    ...     return np.tanh(coalitions @ worth / 10) + np.cos(coalitions @ worth) / 10
    >>> def cheap(coalitions):
    ...     return np.tanh(coalitions @ worth / 12) + np.cos(coalitions @ worth) / 12
    >>> helpers = Helpers([cheap], 10, None, 0)
    >>> helpers.learn()
    >>> methods = Stratified(10, 40, 0), Corrected(10, 40, 0, helpers=helpers)
    >>> alone, helped = (one.run(dear).std_errors.mean() for one in methods)
    >>> bool(helped < alone / 2)
    True
    """

    name: ClassVar[str] = "corrected"
    summary: ClassVar[str] = "Stratified, with the utilities of cheaper games as features of the surrogate."
    source: ClassVar[str] = "this project; Kennedy & O'Hagan 2000 (cheap and dear functions)"

    def __init__(
        self,
        n_players: int,
        budget: int | None,
        seed: int,
        weights: NDArray[np.float64] | None = None,
        *,
        helpers: Helpers,
    ) -> None:
        super().__init__(n_players, budget, seed, weights=weights)
        self._helpers = helpers
        self._features: list[NDArray[np.float64]] = []

    def tell(self, coalitions: NDArray[np.bool_], utilities: NDArray[np.float64]) -> None:
        """Take the utilities, and ask the helpers for theirs.

        Raises
        ------
        DivergenceError
            See ``Stratified``.
        InvalidValueError
            If the helpers measure another number of things.
        """
        features = self._helpers.features(coalitions)
        if features.shape[1] != utilities[0].size:
            raise InvalidValueError(
                f"the game measures {utilities[0].size} things, but those that help it {features.shape[1]}: give all "
                f"the same metric."
            )
        before = len(self._told)
        super().tell(coalitions, utilities)
        if len(self._told) > before:
            self._features.append(features)

    def _corrected(self, told: NDArray[np.float64], columns: list[int]) -> CrossFitted:
        kept, fitted = self._kept(told[:, :, columns])
        halves = self._helpers.halves(self._pairs, np.concatenate(self._features))
        features = [half[kept][:, columns] for half in halves]
        found = fitted(features=features, like=self._helpers.games)
        if not any(one.any() for one in found.counted):
            return found
        other = self._helpers.added(found.counted, columns)
        variance = found.variance + other.variance
        squares = found.variance**2 / found.freedom + other.variance**2 / other.freedom
        freedom = np.full_like(variance, np.inf)
        np.divide(variance**2, squares, out=freedom, where=squares > 0)
        return CrossFitted(found.values + other.values, variance, freedom, [])
