"""Other values than Shapley's, by unlearning, as OpenDataVal evaluators: Banzhaf, Beta Shapley and leave-one-out."""

from __future__ import annotations

from typing import Any, ClassVar

from unshap_opendataval.base import UnlearningEvaluator
from unshap_plugin import UnlearningGame, ValuationResult
from unshap_plugin.estimators.semivalue import semivalue_of

__all__ = ["UnlearningBanzhaf", "UnlearningBetaShapley", "UnlearningLOO"]

#: How the conformance suite plays games with them: their utility is the metric, of a model without parameters.
_PLAYED = {"unlearner": "retrain", "utility": "metric"}


class UnlearningBanzhaf(UnlearningEvaluator):
    """Banzhaf values by unlearning: the mean contribution to coalitions of which all are as likely (Wang & Jia 2023).

    Few other values change as little in their order where utilities are noisy. They do not sum to what the data is
    worth together.

    Parameters
    ----------
    unlearner, groups, utility, pretrained, settings, random_state, n_jobs, store
        See ``UnlearningShapley``. Groups ``[rows]`` are valued as a whole.
    estimator, budget, target_error, max_time, stable_top
        As in ``semivalues``.
    retrainings
        See ``UnlearningShapley``.

    Attributes
    ----------
    data_values, result
        See ``UnlearningShapley``; values are ``[rows]``.

    Raises
    ------
    UnknownNameError, InvalidValueError, InvalidTypeError
        See ``UnlearningShapley``.

    Examples
    --------
    >>> from opendataval.dataloader import DataFetcher
    >>> from opendataval.model import LogisticRegression
    >>> fetcher = DataFetcher("iris", random_state=0).split_dataset_by_count(8, 40, 40)
    >>> evaluator = UnlearningBanzhaf(random_state=0).train(fetcher, LogisticRegression(4, 3), epochs=5)
    >>> evaluator.data_values.shape, evaluator.result.semivalue
    ((8,), 'Banzhaf value')
    """

    conformance: ClassVar[dict[str, Any]] = {
        "kwargs": {**_PLAYED, "estimator": "exact"},
        "exact": True,
        "semivalue": "banzhaf",
    }

    def _values(self, game: UnlearningGame) -> ValuationResult:
        return self._estimated(game, "banzhaf")


class UnlearningBetaShapley(UnlearningEvaluator):
    """Beta Shapley values by unlearning, which weigh small coalitions as one likes (Kwon & Zou 2022).

    Parameters
    ----------
    arguments, others
        Those of ``UnlearningBanzhaf``, by position and by name; groups are labels ``[rows]``.
    alpha, beta
        Above 0: the larger ``alpha`` is, the more small coalitions count; (1, 1) is Shapley. By default (4, 1), as in
        OpenDataVal's own.

    Attributes
    ----------
    data_values, result
        See ``UnlearningShapley``; values are ``[rows]``.

    Raises
    ------
    UnknownNameError, InvalidValueError, InvalidTypeError
        If ``alpha`` or ``beta`` is no number above 0; else see ``UnlearningShapley``.

    Examples
    --------
    >>> from opendataval.dataloader import DataFetcher
    >>> from opendataval.model import LogisticRegression
    >>> fetcher = DataFetcher("iris", random_state=0).split_dataset_by_count(8, 40, 40)
    >>> evaluator = UnlearningBetaShapley(alpha=16, random_state=0)
    >>> evaluator = evaluator.train(fetcher, LogisticRegression(4, 3), epochs=5)
    >>> evaluator.data_values.shape, evaluator.result.semivalue
    ((8,), 'Beta(16, 1) Shapley value')
    """

    conformance: ClassVar[dict[str, Any]] = {
        "kwargs": {**_PLAYED, "estimator": "exact"},
        "exact": True,
        "seedable": True,
        "semivalue": ("beta", 4, 1),
    }

    def __init__(self, *arguments: Any, alpha: float = 4, beta: float = 1, **others: Any) -> None:
        super().__init__(*arguments, **others)
        self._kind = ("beta", alpha, beta)
        semivalue_of(self._kind, 1)  # before anything is trained

    def _values(self, game: UnlearningGame) -> ValuationResult:
        return self._estimated(game, self._kind)


class UnlearningLOO(UnlearningEvaluator):
    """Leave-one-out values by unlearning: what is lost without a point, or a group, all others being there.

    They are exact, and take one evaluation more than there are players.

    Parameters
    ----------
    unlearner, groups, utility, pretrained, settings, random_state, n_jobs, store
        See ``UnlearningShapley``. Groups ``[rows]`` are left out as a whole.
    estimator, budget, target_error, max_time, stable_top, retrainings
        Nothing is estimated, so that these are left out.

    Attributes
    ----------
    data_values, result
        See ``UnlearningShapley``; values are ``[rows]``.

    Raises
    ------
    UnknownNameError, InvalidValueError, InvalidTypeError
        See ``UnlearningShapley``.

    Examples
    --------
    >>> from opendataval.dataloader import DataFetcher
    >>> from opendataval.model import LogisticRegression
    >>> fetcher = DataFetcher("iris", random_state=0).split_dataset_by_count(30, 40, 40)
    >>> evaluator = UnlearningLOO(random_state=0).train(fetcher, LogisticRegression(4, 3), epochs=5)
    >>> evaluator.data_values.shape, evaluator.result.evaluations
    ((30,), 31)
    """

    conformance: ClassVar[dict[str, Any]] = {"kwargs": _PLAYED, "exact": True, "semivalue": "leave_one_out"}

    def _values(self, game: UnlearningGame) -> ValuationResult:
        return self._estimated(game, "loo")
