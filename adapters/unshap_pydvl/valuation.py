"""``UnlearningValuation``: values by unlearning, as a method of pyDVL's."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydvl.utils.status import Status
from pydvl.valuation import Dataset
from pydvl.valuation import ValuationResult as PydvlResult
from pydvl.valuation.base import Valuation
from pydvl.valuation.stopping import StoppingCriterion
from typing_extensions import Self

from unshap_plugin import ValuationResult
from unshap_plugin.by_name import values_by_name
from unshap_plugin.errors import DivergenceError, InvalidTypeError, InvalidValueError
from unshap_plugin.estimators.base import Estimate
from unshap_plugin.estimators.semivalue import Kind, semivalue_of
from unshap_plugin.estimators.stopping import NEVER
from unshap_plugin.estimators.stratified import DEFAULT_BUDGET
from unshap_plugin.evaluation.evaluation import EXCLUDING
from unshap_pydvl.stopping import criterion_of
from unshap_pydvl.utility import UnlearningUtility

__all__ = ["UnlearningValuation"]


class UnlearningValuation(Valuation):  # type: ignore[misc]
    """Shapley values, or other semivalues, by unlearning: many coalitions at a time, with standard errors.

    Parameters
    ----------
    utility
        Model, test data and unlearner.
    kind
        As in ``semivalues``; ``None`` for Shapley values.
    is_done
        A stopping criterion of pyDVL's, or several combined by ``|`` and ``&``. It is asked when values are looked at:
        from five utilities to a player on, and whenever there are half as many more. What pyDVL calls updates of a
        value are utilities here, of which each says something of every value. A ``MaxTime`` that alone may end the run
        is held between looks too.
    estimator, budget, seed
        As in ``shapley_values``; with ``is_done`` no budget is no limit.

    Attributes
    ----------
    result
        pyDVL's ``ValuationResult``, in the order of the data: counts are utilities that were asked for, and variances
        such that ``stderr`` is the standard error. Its status is what ``is_done`` says, and converged without one or
        where the values are exact.
    details
        Our ``ValuationResult`` of the same values: intervals, ranks, payments, provenance.

    Raises
    ------
    InvalidTypeError, InvalidValueError, UnknownNameError
        If the utility or the criterion is another thing, or there are no such values.

    Examples
    --------
    >>> from pydvl.valuation import GroupedDataset
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> x, y = load_iris(return_X_y=True)
    >>> utility = UnlearningUtility(LogisticRegression(max_iter=1000), Dataset(x[1::2], y[1::2]), "newton")
    >>> data = GroupedDataset(x[::2], y[::2], [0, 1, 2] * 25, group_names=["acme", "bolt", "cairn"])
    >>> valuation = UnlearningValuation(utility).fit(data)
    >>> valuation.result.names, valuation.result.stderr, str(valuation)
    (array(['acme', 'bolt', 'cairn'], dtype='<U5'), array([0., 0., 0.]), 'Unlearning-shapley-newton')
    >>> valuation.details.estimator, valuation.details["acme"] == valuation.result.get(0).value
    ('exact', True)
    """

    algorithm_name = "Unlearning"

    def __init__(
        self,
        utility: UnlearningUtility,
        kind: Kind | None = None,
        *,
        is_done: StoppingCriterion | None = None,
        estimator: str = "auto",
        budget: int | None = None,
        seed: int = 0,
    ) -> None:
        if not isinstance(utility, UnlearningUtility):
            raise InvalidTypeError(
                f"utility is a {type(utility).__name__}, but an UnlearningUtility is needed: make one of a model and "
                f"test data."
            )
        if is_done is not None and not isinstance(is_done, StoppingCriterion):
            raise InvalidTypeError(
                f"is_done is a {type(is_done).__name__}, but a stopping criterion of pyDVL is needed: pass one, "
                f"such as MaxTime(60)."
            )
        if isinstance(kind, str | tuple):
            semivalue_of(kind, 1)  # before anything is fitted
        super().__init__()
        self.utility, self.kind, self.is_done = utility, kind, is_done
        self.estimator, self.budget, self.seed = estimator, budget, seed

    def fit(self, data: Dataset, continue_from: PydvlResult | None = None) -> Self:
        """Value the rows of a data set, or the groups of a ``GroupedDataset``.

        Parameters
        ----------
        data
            The data, all of which the model is trained on.
        continue_from
            A result of the same method, seed and data, which the values go on from: they are those of one run with so
            many utilities more (without a budget, as many as ``is_done`` wants, and no fewer than before), and nothing
            is evaluated twice where utility, or its store, are the same.

        Returns
        -------
        The valuation itself, which then has its ``result`` and ``details``.

        Raises
        ------
        UnshapError
            If the data, or the result to go on from, cannot be used, or if unlearning a coalition fails.
        """
        self._result = None
        self.utility = self.utility.with_dataset(data)
        game, budget, before = self.utility.game, self.budget, 0
        if continue_from is not None:
            before = self._asked_before(data, continue_from)
            if self.budget is not None or self.is_done is None:
                budget = before + (self.budget or max(DEFAULT_BUDGET, 4 * game.n_players))
        order = self.utility.players_of(data.indices)

        def result_of(estimate: Estimate | ValuationResult, asked: int) -> PydvlResult:
            return PydvlResult(
                values=estimate.values[order],
                variances=estimate.std_errors[order] ** 2 * asked,  # pyDVL divides them by the counts
                counts=np.full(len(order), asked, dtype=np.int_),
                indices=data.indices,
                data_names=data.names,
                algorithm=str(self),
                asked=asked,
                seed=self.seed,
            )

        stopping = NEVER
        if self.is_done is not None:
            self.is_done.reset()
            stopping = criterion_of(self.is_done, result_of, before)
        try:
            details = values_by_name(game, self.kind, self.estimator, budget, self.seed, stopping)
        except DivergenceError as error:  # the game takes no policy from here
            raise error.advising(tuple(way for way in error.advice if way != EXCLUDING)) from error
        self.details: ValuationResult = details
        result = result_of(details, details.asked)
        result._status = Status.Converged
        if self.is_done is not None and details.stopped != "interrupted" and details.std_errors.any():
            result._status = self.is_done(result)  # which did not end it
        self._result = result
        return self

    def _asked_before(self, data: Dataset, result: PydvlResult) -> int:
        """Return how many utilities a result rests on that this valuation can go on from."""
        if not isinstance(result, PydvlResult) or "asked" not in result._extra_values:
            raise InvalidValueError(
                f"continue_from is a {getattr(result, 'algorithm', type(result).__name__)!r} result, which says "
                f"nothing of the coalitions that it rests on: pass one of UnlearningValuation."
            )
        for what, its, own in (("method", result.algorithm, str(self)), ("seed", result.seed, self.seed)):
            if its != own:
                raise InvalidValueError(
                    f"continue_from has the {what} {its!r}, but this valuation has {own!r}: pass a result of the "
                    f"same one."
                )
        theirs, ours = (dict(zip(one.indices.tolist(), one.names.tolist(), strict=True)) for one in (result, data))
        if theirs != ours:
            raise InvalidValueError(
                "continue_from is a result of other data: pass one of the same indices and names, or leave it out."
            )
        return int(result.asked)

    def __str__(self) -> str:
        kind: Any = "shapley" if self.kind is None else self.kind
        if isinstance(kind, tuple):
            kind = f"{kind[0]}({', '.join(map(str, kind[1:]))})"
        unlearner = self.utility.unlearner
        name = unlearner if isinstance(unlearner, str) else unlearner.name
        return f"{self.algorithm_name}-{kind if isinstance(kind, str) else 'weights'}-{name}"
