"""``UnlearningShapley``: the Shapley value of every training point, by unlearning, as an OpenDataVal evaluator."""

from __future__ import annotations

from typing import Any, ClassVar

from unshap_opendataval.base import UnlearningEvaluator
from unshap_plugin import UnlearningGame, ValuationResult

__all__ = ["UnlearningShapley"]


class UnlearningShapley(UnlearningEvaluator):
    """Data values by unlearning, without retraining (Ma et al. 2025, arXiv 2505.16147).

    The prediction model is trained once, with the training keywords of the mediator. Coalitions of training points are
    then unlearned from it, and the Shapley values of the utility on the validation set are estimated.

    Parameters
    ----------
    unlearner
        As in ``UnlearningGame``: the name of a registered unlearner, or an instance. ``"auto"`` takes Newton for linear
        models, retraining or the replay of their training for networks, and retraining for models without parameters
        (scikit-learn wrappers).
    estimator, budget, target_error, max_time, stable_top
        As in ``shapley_values``.
    groups
        Labels ``[rows]``, one per training point, to value groups (providers). Every point then gets an equal share of
        the value of its group; ``result`` has the groups.
    utility
        ``"log_likelihood"`` on the validation set (for regression minus the mean squared error): smooth, and so far
        less noisy for single points than the accuracy. ``"metric"``: the metric of the mediator. Or a callable
        ``(y, y_hat) -> float``, of labels and predictions ``[rows, k]``.
    pretrained
        Take the model as it comes, already trained.
    settings
        Settings of an unlearner that is given by name.
    random_state
        Of the training, the unlearner and the estimator. It is not moved, and every ``train`` starts with it anew.
    n_jobs
        Processes that evaluate coalitions at a time, -1 for one on each core; see ``UnlearningGame``.
    store
        The file that keeps utilities: what was evaluated there, by any of these evaluators with the same data, model,
        unlearner and ``random_state``, is not evaluated again. A network is the same if its first parameters are.
    retrainings
        Train anew on so many coalitions, and return the values of that: see ``corrected_values``.

    Attributes
    ----------
    data_values
        One value per training point, ``[rows]``.
    result
        The full ``ValuationResult``: values, standard errors, and how they were made.

    Raises
    ------
    UnknownNameError, InvalidValueError
        If there is no such utility, ``random_state`` cannot seed anything, ``n_jobs`` is no number of jobs, or an
        estimator is named beside ``retrainings``. All else is checked in training.

    Examples
    --------
    >>> from opendataval.dataloader import DataFetcher
    >>> from opendataval.model import LogisticRegression
    >>> fetcher = DataFetcher("iris", random_state=0).split_dataset_by_count(8, 40, 40)
    >>> evaluator = UnlearningShapley(random_state=0).train(fetcher, LogisticRegression(4, 3), epochs=5)
    >>> evaluator.data_values.shape, evaluator.result.unlearner, evaluator.result.estimator
    ((8,), 'newton', 'exact')
    """

    #: How the conformance suite plays games with it: their utility is the metric, of a model without parameters.
    conformance: ClassVar[dict[str, Any]] = {
        "kwargs": {"unlearner": "retrain", "estimator": "exact", "utility": "metric"},
        "exact": True,
    }

    def _values(self, game: UnlearningGame) -> ValuationResult:
        return self._estimated(game)
