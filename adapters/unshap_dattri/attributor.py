"""``UnlearningAttributor``: what every training row was worth for every test point, as a dattri attributor."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # dattri compiles a function when it is imported
    from dattri.algorithm.base import BaseAttributor
    from dattri.task import AttributionTask

from unshap_dattri.loaders import Pair, places_of, rows_of
from unshap_dattri.tasks import loss_of, models_of, target_of
from unshap_plugin import Metric, Recipe, UnlearningGame, ValuationProblem, ValuationResult
from unshap_plugin.by_name import values_by_name
from unshap_plugin.errors import InvalidTypeError
from unshap_plugin.estimators.semivalue import Kind
from unshap_plugin.estimators.stopping import Stopping
from unshap_plugin.losses import Loss, losses_of
from unshap_plugin.plugin import Unlearner
from unshap_plugin.problem.players import shares_of_rows

__all__ = ["UnlearningAttributor"]


class UnlearningAttributor(BaseAttributor):  # type: ignore[misc]
    """Shapley values by unlearning, for every test point at once (Ma et al. 2025, arXiv 2505.16147).

    Every coalition is unlearned once and scored on all test points, so that the columns cost no more than one. A score
    is positive where keeping the training row makes the target of the task *smaller* at the test point: with a loss as
    target, where the row helps. That is the sign of dattri's own attributors. The scores of a test point sum to what
    its target falls from a model without data to the trained one.

    Parameters
    ----------
    task
        The task: model, checkpoints, loss and target. The scores are the means over the checkpoints. What is attributed
        is minus the target; loss and target are recognised if they are losses of the core.
    unlearner, settings
        As in ``UnlearningGame``.
    estimator, budget, target_error, max_time
        As in ``shapley_values``; errors and values are in the units of the target.
    semivalue
        Other values than Shapley's, as in ``semivalues``: ``"loo"`` for leave-one-out.
    target
        What the task's target is, where it is no loss of the core: a name, or a callable ``(outputs, targets) ->
        [rows]`` of float64 outputs. Its numbers are compared with those of the task.
    loss
        What the model was trained with, where the task's loss is none of the core's: a name, or a callable ``(outputs,
        targets) -> [rows]``.
    fit
        How the model was trained: a ``Recipe``, which some unlearners need.
    groups
        Labels ``[rows]``, one for each training row, to value groups: every row gets an equal share.
    seed
        Seed of the unlearner and the estimator, the same for every checkpoint.
    n_jobs, store
        As in ``UnlearningGame``.

    Attributes
    ----------
    results
        A ``ValuationResult`` for each checkpoint, whose values are ``[n_players, n_test]``, after ``attribute``.
    std_errors
        The standard errors of the scores, ``[n_train, n_test]``: of the sampling of coalitions. Over several
        checkpoints, which are asked about the same coalitions, their mean is the most that it can be.

    Raises
    ------
    InvalidTypeError
        If the task is no ``AttributionTask``. All else is checked by ``attribute``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from torch.utils.data import DataLoader, TensorDataset
    >>> from unshap_plugin.losses import cross_entropy
    >>> x, y = (torch.as_tensor(one) for one in load_iris(return_X_y=True))
    >>> x = (x - x.mean(dim=0)).float()
    >>> recipe = Recipe("lbfgs", lr=1.0, epochs=50, l2=0.01, batch_size=None)
    >>> model = recipe.train(torch.nn.Linear(4, 3), cross_entropy, x[::3], y[::3])
    >>> def loss(params, data):
    ...     outputs = torch.func.functional_call(model, params, data[0])
    ...     return torch.nn.functional.cross_entropy(outputs, data[1])
    >>> task = AttributionTask(loss, model, model.state_dict())
    >>> train = DataLoader(TensorDataset(x[::3], y[::3]), batch_size=16)
    >>> test = DataLoader(TensorDataset(x[1::3], y[1::3]), batch_size=16)
    >>> attributor = UnlearningAttributor(task, budget=400)
    >>> attributor.cache(train)
    >>> scores = attributor.attribute(train, test)
    >>> scores.shape, attributor.std_errors.shape, attributor.results[0].unlearner
    (torch.Size([50, 50]), torch.Size([50, 50]), 'newton')
    """

    def __init__(
        self,
        task: AttributionTask,
        unlearner: str | Unlearner = "auto",
        estimator: str = "auto",
        budget: int | None = None,
        *,
        semivalue: Kind | None = None,
        target: str | Loss | None = None,
        loss: str | Loss | None = None,
        fit: Recipe | Mapping[str, Any] | None = None,
        groups: ArrayLike | None = None,
        target_error: float | str | None = None,
        max_time: float | None = None,
        seed: int = 0,
        n_jobs: int | None = None,
        store: str | os.PathLike[str] | None = None,
        **settings: Any,
    ) -> None:
        if not isinstance(task, AttributionTask):
            raise InvalidTypeError(f"task is a {type(task).__name__}, but dattri's AttributionTask is needed.")
        self.task = task
        self.unlearner, self.settings = unlearner, settings
        self.estimator, self.budget = estimator, budget
        self.stopping = Stopping(target_error, max_time)  # before any work
        self.semivalue, self.target, self.loss, self.fit, self.groups = semivalue, target, loss, fit, groups
        self.seed, self.n_jobs, self.store = seed, n_jobs, store
        self.results: tuple[ValuationResult, ...] = ()
        self.std_errors: Tensor | None = None
        self._full: Pair | None = None

    def cache(self, full_train_dataloader: Any) -> None:
        """Take the rows that the model was trained on.

        Parameters
        ----------
        full_train_dataloader
            A loader of all training rows ``[rows, ...]``, with their labels, that does not shuffle.

        Raises
        ------
        InvalidValueError, InvalidTypeError
            If it shuffles or leaves out rows, or does not give pairs ``(x, y)``.
        """
        self._full = rows_of(full_train_dataloader, "full_train_dataloader")
        self.results, self.std_errors = (), None

    def attribute(self, train_dataloader: Any, test_dataloader: Any) -> Tensor:
        """Return what each training row was worth for each test point.

        Parameters
        ----------
        train_dataloader
            A loader of the training rows ``[rows, ...]`` whose scores are returned: all those that the model was
            trained on, or some of those that were cached. Their scores are the same either way.
        test_dataloader
            A loader of the test points ``[rows, ...]``. Neither loader may shuffle.

        Returns
        -------
        float64 ``[n_train, n_test]``, in the order of the loaders.

        Raises
        ------
        InvalidValueError, InvalidTypeError
            If a loader shuffles or leaves out rows, does not give pairs ``(x, y)`` or gives what is not finite, if a
            training row was not cached, or is there in several groups and not all of these are asked for, if a
            checkpoint cannot be loaded, or if loss or target of the task are not recognised and not given.
        UnshapError
            If unlearner, settings, groups, estimator or budget cannot be used, or if unlearning a coalition fails.
        """
        asked, test = rows_of(train_dataloader, "train_dataloader"), rows_of(test_dataloader, "test_dataloader")
        full = asked if self._full is None else self._full
        games = [self._game(model, full, test) for model in models_of(self.task)]
        places = places_of(asked, full, None if self.groups is None else games[0].problem.player_of_row)
        results, scores, errors = [], [], []
        for game in games:
            result = values_by_name(game, self.semivalue, self.estimator, self.budget, self.seed, self.stopping)
            owners = game.problem.player_of_row
            results.append(result)
            scores.append(shares_of_rows(result.values, owners))
            errors.append(shares_of_rows(result.std_errors, owners))
        self.results = tuple(results)
        self.std_errors = torch.from_numpy(np.mean(errors, axis=0)[places])
        return torch.from_numpy(np.mean(scores, axis=0)[places])

    def _game(self, model: Any, full: Pair, test: Pair) -> UnlearningGame:
        """Return the game of the utilities ``[m, n_test]``: minus the target of the task at each test point."""
        target = target_of(self.task, model, *test, self.target)
        name = getattr(target, "__name__", type(target).__name__)
        problem = ValuationProblem(
            model,
            full,
            test,
            loss=loss_of(self.task, model, *full) if self.loss is None else self.loss,
            metric=Metric(f"neg_{name}", functools.partial(_falls, target=target)),
            groups=self.groups,
            fit=self.fit,
        )
        return UnlearningGame(
            problem, self.unlearner, seed=self.seed, n_jobs=self.n_jobs, store=self.store, **self.settings
        )


def _falls(outputs: Tensor, targets: Tensor, target: Loss) -> Tensor:
    """Return minus the target of many models at each test point, ``[m, n_test]``."""
    targets = targets.double() if targets.is_floating_point() else targets
    return -losses_of(target, outputs.double(), targets)
