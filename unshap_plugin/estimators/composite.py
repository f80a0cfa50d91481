"""``composite``: stratified values, each of them drawn towards what is known of such players."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.estimators.base import Estimate
from unshap_plugin.estimators.stratified import Stratified

__all__ = ["Composite", "composed"]

#: Points of the grid on which the spread of what covariates do not say is integrated, and the ends of the grid: as
#: shares of the typical standard error, and of the spread of the values.
_POINTS, _LOW, _HIGH = 80, 1e-2, 4.0


class Composite(Stratified):
    """Stratified values, corrected player by player by covariates that are known to go with them.

    Small-area statistics has the same question: an unbiased but noisy estimate for each of many areas, and cheap
    covariates that are biased. Fay & Herriot (1979) take ``y_i = x_i beta + u_i + e_i`` with the known variance
    ``s_i^2`` of the noise ``e_i`` and an unknown variance ``tau^2`` of what covariates do not say. The value of a
    player is then ``gamma_i y_i + (1 - gamma_i) x_i beta``, ``gamma_i = tau^2 / (tau^2 + s_i^2)``: useless covariates
    have a large ``tau``, and the more utilities there are, the less any covariates count. The standard errors are those
    of this model, the uncertainty of ``beta`` and ``tau`` included; ``tau`` has a flat prior, as Gelman (2006) advises.

    An unlearner that has marginal contributions gives the covariates (see ``Unlearner.marginals``). Without any, the
    values are those of ``stratified``.

    Parameters
    ----------
    n_players, budget, seed
        See ``Stratified``.
    covariates
        ``[n_players, q]``, or ``None``.

    Raises
    ------
    BudgetError
        See ``Stratified``.

    Examples
    --------
    >>> worth = np.arange(100.0)
    >>> def game(coalitions):
    ...     return coalitions @ worth + 99 * np.sin(coalitions @ worth)
    >>> errors = [
    ...     Composite(100, 250, 0, covariates=one).run(game).std_errors.mean() for one in (None, worth[:, None])
    ... ]
    >>> bool(errors[1] < errors[0] / 2)
    True
    """

    name: ClassVar[str] = "composite"
    summary: ClassVar[str] = "Stratified, drawn towards what first-order marginals of the unlearner say."
    source: ClassVar[str] = "this project; Fay & Herriot 1979 (composition)"
    weighted: ClassVar[bool] = False
    assisted: ClassVar[bool] = True

    def __init__(
        self, n_players: int, budget: int | None, seed: int, covariates: NDArray[np.float64] | None = None
    ) -> None:
        super().__init__(n_players, budget, seed)
        self._covariates = covariates

    def estimate(self) -> Estimate:
        """Return the values, and their standard errors."""
        direct = super().estimate()
        return direct if self._covariates is None else composed(direct, self._covariates)


def composed(direct: Estimate, covariates: NDArray[np.float64]) -> Estimate:
    """Return an estimate that is composed of a direct one, without bias, and of covariates.

    The sum of the values stays what it is.

    Parameters
    ----------
    direct
        Values ``[n_players]`` or ``[n_players, t]``.
    covariates
        ``[n_players, q]``; those that are the same for all players say nothing and are left out.

    Examples
    --------
    >>> direct = Estimate(np.array([0.0, 3.0, 1.0, 5.0, 4.0]), np.full(5, 1.5), np.full(5, 9.0))
    >>> found = composed(direct, np.arange(5.0)[:, None])
    >>> round(float(found.values.sum()), 9), bool((found.std_errors < 1.5).all())
    (13.0, True)
    """
    spread = covariates.std(axis=0)
    standard = (covariates - covariates.mean(axis=0))[:, spread > 0] / spread[spread > 0]
    x = np.column_stack([np.ones(len(covariates)), standard])
    values, errors = direct.values.reshape(len(x), -1).copy(), direct.std_errors.reshape(len(x), -1).copy()
    for column in range(values.shape[1]):
        noise = errors[:, column].copy()
        if noise.min() > 0:  # else values are exact, and nothing can be better
            total = values[:, column].sum()
            values[:, column], errors[:, column] = _column(values[:, column], noise, x)
            values[:, column] += (total - values[:, column].sum()) / len(x)
    shape = direct.values.shape
    return Estimate(values.reshape(shape), errors.reshape(shape), direct.degrees_of_freedom)


def _column(
    y: NDArray[np.float64], noise: NDArray[np.float64], x: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the means and standard deviations of the values, given direct estimates and their standard errors."""
    s2 = noise**2
    low = _LOW * np.sqrt(s2.mean())
    grid = np.concatenate([[0.0], np.geomspace(low, max(_HIGH * y.std(), 10 * low), _POINTS)])
    likelihood, means, variances = [], [], []
    for tau in grid:
        weight = 1 / (tau**2 + s2)
        precision = x.T @ (weight[:, None] * x)
        inverse = np.linalg.pinv(precision, hermitian=True)
        fitted = x @ (inverse @ (x.T @ (weight * y)))
        # Restricted likelihood (Patterson & Thompson 1971): beta is integrated out.
        likelihood.append(
            (np.log(weight).sum() - np.linalg.slogdet(precision)[1] - (weight * (y - fitted) ** 2).sum()) / 2
        )
        gamma = tau**2 * weight
        means.append(gamma * y + (1 - gamma) * fitted)
        variances.append(gamma * s2 + (1 - gamma) ** 2 * ((x @ inverse) * x).sum(axis=1))
    probability = np.exp(np.array(likelihood) - max(likelihood)) * np.gradient(grid)
    probability /= probability.sum()
    mean = probability @ np.array(means)
    return mean, np.sqrt(probability @ (np.array(variances) + (np.array(means) - mean) ** 2))
