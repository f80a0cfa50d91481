"""``UnlearningIssueManager``: rows without which a trained model would be better, found by Datalab."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from cleanlab import Datalab
from cleanlab.datalab.internal.issue_manager import IssueManager
from cleanlab.datalab.internal.issue_manager_factory import register
from numpy.typing import ArrayLike
from scipy.special import expit

from unshap_cleanlab.labels import labels_for
from unshap_plugin import Recipe, UnlearningGame, ValuationProblem, ValuationResult
from unshap_plugin.by_name import chosen_by_name, values_by_name
from unshap_plugin.errors import InvalidTypeError, InvalidValueError
from unshap_plugin.estimators.semivalue import Kind
from unshap_plugin.estimators.stopping import Stopping
from unshap_plugin.losses import Loss
from unshap_plugin.metrics import MetricLike
from unshap_plugin.numerics.round_off import round_off
from unshap_plugin.plugin import Unlearner
from unshap_plugin.problem.players import shares_of_rows
from unshap_plugin.results.intervals import check_level

__all__ = ["UnlearningIssueManager"]


class UnlearningIssueManager(IssueManager):  # type: ignore[misc]
    """Issues of the type ``"negative_value"``: rows whose value is below zero by more than its error.

    The values are those of what a trained model is worth on test rows, by unlearning. Importing
    ``unshap_cleanlab`` registers the type for classification and regression; its parameters are what
    ``issue_types={"negative_value": {...}}`` holds. Scores are in [0, 1] and the lower the further the upper end of the
    interval of a value lies below zero; they are one half where it is zero.

    Parameters
    ----------
    datalab
        The ``Datalab``, which passes itself; its labels are those of the training rows.
    model, features, test
        The trained model; the training rows ``[rows, ...]`` as it takes them, in the order of the data set; and the
        pair ``(x, y)``, ``[rows, ...]`` each, that it is tested on, with labels as in the data set.
    loss, metric, groups, fit
        As in ``ValuationProblem``; groups are labels ``[rows]``, and every row gets an equal share of its group's
        value.
    unlearner, seed, n_jobs, store, settings
        As in ``UnlearningGame``.
    estimator, budget, target_error, max_time
        As in ``shapley_values``.
    semivalue
        Other values than Shapley's, as in ``semivalues``: ``"banzhaf"`` has smaller errors, and so finds more rows with
        the same budget.
    level
        Of the confidence interval of each value that must lie below zero.

    Attributes
    ----------
    issues, summary, info
        What Datalab collects after ``find_issues``. ``lab.get_info("negative_value")`` has the ``values`` and
        ``std_errors`` of the rows, ``[rows]`` each, the ``level``, the ``average_value`` of a row, and the
        ``ValuationResult`` as ``result``.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If model, features or test are missing, the data set has no labels, the level is none, or a metric measures
        several things.
    UnshapError
        If anything else cannot be used, before any work. What fails later, Datalab prints.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> x, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression(max_iter=1000).fit(x[::2], y[::2])
    >>> lab = Datalab({"species": y[::2]}, label_name="species", verbosity=0)
    >>> asked = {"model": model, "features": x[::2], "test": (x[1::2], y[1::2]), "budget": 600}
    >>> lab.find_issues(issue_types={"negative_value": asked})
    >>> list(lab.get_issues("negative_value")), lab.get_info("negative_value")["values"].shape
    (['is_negative_value_issue', 'negative_value_score'], (75,))
    >>> manager = UnlearningIssueManager(lab, **asked)
    >>> manager.find_issues()
    >>> bool((manager.issues == lab.get_issues("negative_value")).all(axis=None))
    True
    """

    description: ClassVar[str] = (
        "This row makes the model worse: without it, the model would do better on the test rows."
    )
    issue_name: ClassVar[str] = "negative_value"
    verbosity_levels: ClassVar[dict[int, list[str]]] = {0: [], 1: ["average_value"], 2: ["values", "std_errors"]}

    def __init__(
        self,
        datalab: Datalab,
        model: Any = None,
        features: Any = None,
        test: Any = None,
        *,
        loss: str | Loss = "cross_entropy",
        metric: MetricLike | None = None,
        groups: ArrayLike | None = None,
        fit: Recipe | Mapping[str, Any] | None = None,
        unlearner: str | Unlearner = "auto",
        estimator: str = "auto",
        budget: int | None = None,
        target_error: float | str | None = None,
        max_time: float | None = None,
        semivalue: Kind | None = None,
        level: float = 0.95,
        seed: int = 0,
        n_jobs: int | None = None,
        store: str | os.PathLike[str] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(datalab)
        given = {"model": model, "features": features, "test": test}
        missing = [name for name, one in given.items() if one is None]
        if missing:
            raise InvalidTypeError(
                f"issue type 'negative_value' lacks {' and '.join(missing)}: pass issue_types={{'negative_value': "
                f"{{'model': ..., 'features': ..., 'test': (x, y)}}}}."
            )
        if not (isinstance(test, tuple | list) and len(test) == 2):
            raise InvalidTypeError(f"test is a {type(test).__name__}, but a pair (x, y) is needed.")
        check_level(level)
        y, y_test = labels_for(model, datalab, test[1])
        problem = ValuationProblem(
            model, (features, y), (test[0], y_test), loss=loss, metric=metric, groups=groups, fit=fit
        )
        if problem.given_utility.ndim:
            raise InvalidValueError(
                f"metric {problem.metric.name!r} measures {problem.given_utility.size} things, but a row has one value "
                f"here: name a metric that is one number."
            )
        self.level = level
        stopping = Stopping(target_error, max_time)
        self.game = UnlearningGame(problem, unlearner, seed=seed, n_jobs=n_jobs, store=store, **settings)
        self.asked = (semivalue, estimator, budget, seed, stopping)
        chosen_by_name(self.game, *self.asked)  # which refuses what nothing can be estimated by

    def find_issues(self, **_: Any) -> None:
        """Estimate the values, and say which rows are issues.

        ``_`` is what Datalab passes, which is known already.

        Raises
        ------
        BudgetError, DivergenceError, UnknownNameError
            If the estimator cannot be used within the budget, or if unlearning a coalition fails.
        """
        result = values_by_name(self.game, *self.asked)
        owners = self.game.problem.player_of_row
        high = result.interval(self.level)[1]
        # Without errors nothing lies beyond them: such values are ranked, and none of them is an issue.
        below = np.nan_to_num(high, nan=np.inf) < -round_off(result)
        values = shares_of_rows(result.values, owners)
        spread = values.std()
        spread = spread if spread > round_off(result).max() else 1.0  # of values that are equal, round-off says nothing
        ends = shares_of_rows(np.where(np.isnan(high), result.values, high), owners)
        self.issues = pd.DataFrame(
            {
                f"is_{self.issue_name}_issue": below[owners],
                self.issue_score_key: expit(ends / spread),
            }
        )
        self.summary = self.make_summary(score=float(self.issues[self.issue_score_key].mean()))
        self.info = self._info(result)

    def _info(self, result: ValuationResult) -> dict[str, Any]:
        owners = self.game.problem.player_of_row
        values = shares_of_rows(result.values, owners)
        return {
            "values": values,
            "std_errors": shares_of_rows(result.std_errors, owners),
            "average_value": float(values.mean()),
            "level": self.level,
            "result": result,
        }


for _task in ("classification", "regression"):
    register(UnlearningIssueManager, task=_task)
