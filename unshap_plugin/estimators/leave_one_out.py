"""``loo``: what is lost without each player, all others being there."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.errors import BudgetError
from unshap_plugin.estimators.base import Estimate, Estimator, check_ends

__all__ = ["LeaveOneOut"]


class LeaveOneOut(Estimator):
    """The leave-one-out values ``v(N) - v(N - i)``, from ``n + 1`` utilities.

    They are a semivalue, and no estimate of Shapley values: it is not among the estimators of these.

    Raises
    ------
    BudgetError
        If the budget is below ``n + 1``.

    Examples
    --------
    >>> LeaveOneOut(3, None, 0).run(lambda coalitions: coalitions.any(axis=1) + coalitions @ [0.0, 0.0, 2.0]).values
    array([0., 0., 2.])
    """

    name: ClassVar[str] = "loo"
    summary: ClassVar[str] = "What is lost without each player."
    source: ClassVar[str] = "Cook 1977"
    exact: ClassVar[bool] = True

    def __init__(self, n_players: int, budget: int | None, seed: int) -> None:
        super().__init__(n_players, budget, seed)
        if budget is not None and budget < self.total:
            raise BudgetError(
                f"budget={budget} is too small: leave-one-out values of {n_players} players need {self.total} "
                f"evaluations; give that."
            )
        self._told = 0
        self._utilities: list[NDArray[np.float64]] = []

    @property
    def total(self) -> int:
        """Number of utilities that it will ask for: that of all players, and those without each."""
        return self.n_players + 1

    def ask(self) -> NDArray[np.bool_]:
        """Return the full coalition, then those that lack one player each."""
        lacking = np.arange(self._told, min(self._told + self.block, self.total))
        return lacking[:, None] != np.arange(1, self.n_players + 1)

    def tell(self, coalitions: NDArray[np.bool_], utilities: NDArray[np.float64]) -> None:
        """Take the utilities."""
        check_ends(coalitions, utilities, "leave-one-out values need the utility of each")
        self._told += len(utilities)
        self._utilities.append(utilities)

    def estimate(self) -> Estimate:
        """Return the values, with standard errors of zero."""
        utilities = np.concatenate(self._utilities)
        values = utilities[:1] - utilities[1:]
        return Estimate(values, np.zeros_like(values), np.full_like(values, np.inf))
