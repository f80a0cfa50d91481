"""What the evaluators share: from OpenDataVal's data, model and metric to a game, and back to a value per point."""

from __future__ import annotations

import hashlib
import os
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from opendataval.dataval import DataEvaluator, ModelMixin
from sklearn.utils import check_random_state
from torch import Tensor, nn
from typing_extensions import Self

from unshap_opendataval.conventions import Refit, as_tensor, log_likelihood, mediator_metric, recipe_of, training_loss
from unshap_plugin import (
    Metric,
    UnlearningGame,
    ValuationProblem,
    ValuationResult,
    corrected_values,
    semivalues,
    shapley_values,
)
from unshap_plugin.corrected import check_corrected
from unshap_plugin.errors import DivergenceError, InvalidTypeError, InvalidValueError, UnknownNameError
from unshap_plugin.estimators.semivalue import Kind
from unshap_plugin.estimators.stopping import Stopping
from unshap_plugin.evaluation.evaluation import EXCLUDING
from unshap_plugin.evaluation.passes import check_jobs
from unshap_plugin.model.generators import seeded
from unshap_plugin.plugin import Unlearner
from unshap_plugin.plugins.registry import find_estimator, resolve_unlearner
from unshap_plugin.problem.players import shares_of_rows

__all__ = ["UnlearningEvaluator"]

_UTILITIES = ("log_likelihood", "metric")


class UnlearningEvaluator(DataEvaluator, ModelMixin):  # type: ignore[misc]
    """A data evaluator whose values are those of a game that is played by unlearning.

    It is a base class: it cannot be instantiated, and OpenDataVal does not list it. A subclass says in ``_values`` how
    values come out of the game, and has the parameters, attributes and errors that ``UnlearningShapley`` describes.

    Parameters
    ----------
    unlearner, estimator, budget, pretrained, settings, random_state, n_jobs, store
        See ``UnlearningShapley``.
    target_error, max_time, stable_top, retrainings
        See ``UnlearningShapley``.
    groups
        Labels ``[rows]``, one per training point, to value groups.
    utility
        ``"log_likelihood"``, ``"metric"``, or a function of labels and predictions, ``[rows, k]`` each.

    Attributes
    ----------
    seed
        Of the training, the game and the estimator: drawn from ``random_state`` once, without moving it.
    rules
        Those that end the estimate: ``target_error``, ``max_time`` and ``stable_top``.
    result
        What ``_values`` returned, after training.

    Raises
    ------
    UnknownNameError, InvalidValueError, InvalidTypeError
        If there is no such utility, ``random_state`` cannot seed anything, ``n_jobs`` is no number of jobs, or an
        estimator is named beside ``retrainings``.

    Examples
    --------
    >>> from opendataval.dataval import DataEvaluator
    >>> from unshap_opendataval import UnlearningShapley
    >>> issubclass(UnlearningShapley, UnlearningEvaluator), "unlearningevaluator" in DataEvaluator.Evaluators
    (True, False)
    >>> from opendataval.model import LogisticRegression
    >>> x, y = torch.linspace(-1, 1, 6)[:, None], torch.eye(2)[[0, 0, 0, 1, 1, 1]]
    >>> evaluator = UnlearningShapley(random_state=0).input_model_metric(LogisticRegression(1, 2), None)
    >>> evaluator.input_data(x, y, x, y).train_data_values(epochs=5).evaluate_data_values().shape
    (6,)
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Record the arguments for the repr, which keys the rows of OpenDataVal's tables: arrays by their content."""
        named = {name: _short(value) for name, value in kwargs.items()}
        made: Self = super().__new__(cls, *map(_short, args), **named)
        return made

    def __init__(
        self,
        unlearner: str | Unlearner = "auto",
        estimator: str = "auto",
        budget: int | None = None,
        groups: ArrayLike | None = None,
        utility: str | Callable[[Tensor, Tensor], float] = "log_likelihood",
        pretrained: bool = False,
        settings: Mapping[str, Any] | None = None,
        random_state: int | RandomState | None = None,
        n_jobs: int | None = None,
        store: str | os.PathLike[str] | None = None,
        target_error: float | str | None = None,
        max_time: float | None = None,
        stable_top: int | None = None,
        retrainings: int | Literal["auto"] | None = None,
    ) -> None:
        if not callable(utility) and utility not in _UTILITIES:
            raise UnknownNameError("utility", utility, _UTILITIES)
        self.unlearner = unlearner
        self.estimator = estimator
        self.budget = budget
        self.groups = None if groups is None else np.asarray(groups)
        self.utility = utility
        self.pretrained = pretrained
        self.settings = settings
        check_jobs(n_jobs)
        self.n_jobs = n_jobs
        self.store = store
        self.rules: dict[str, Any] = {"target_error": target_error, "max_time": max_time, "stable_top": stable_top}
        Stopping(**self.rules)  # before anything is trained
        check_corrected(retrainings, estimator)
        self.retrainings = retrainings
        try:
            self.random_state = check_random_state(random_state)
        except ValueError as error:
            raise InvalidValueError(
                f"random_state is {random_state!r}, which cannot seed anything: {error}."
            ) from error
        # Drawn here, so that every training starts alike; from a copy, so that the state given does not move.
        source = RandomState()
        source.set_state(self.random_state.get_state())
        self.seed = int(source.randint(2**31 - 1))

    @abstractmethod
    def _values(self, game: UnlearningGame) -> ValuationResult:
        """Return the values of the players of a game, such as those of a semivalue that ``_estimated`` returns."""

    def _estimated(self, game: UnlearningGame, kind: Kind | None = None) -> ValuationResult:
        """Return Shapley values, or those of a kind of semivalue, by all that the evaluator was told."""
        if self.retrainings is not None:
            corrected = {"kind": kind, "budget": self.budget, **self.rules}
            return corrected_values(game, self.retrainings, self.seed, **corrected)
        given = (self.estimator, self.budget, self.seed)
        if kind is None:
            return shapley_values(game, *given, **self.rules)
        return semivalues(game, kind, *given, **self.rules)

    def input_data(self, x_train: Any, y_train: Tensor, x_valid: Any, y_valid: Tensor) -> Self:
        """Take the data, and forget the values of any earlier data.

        Parameters
        ----------
        x_train, x_valid
            Covariates ``[rows, ...]``: a tensor, or a data set of arrays of one shape.
        y_train, y_valid
            Labels ``[rows, k]``: one-hot for ``k`` classes, numbers for regression.

        Returns
        -------
        The evaluator itself.
        """
        self._forget()
        super().input_data(x_train, y_train, x_valid, y_valid)
        return self

    def train_data_values(self, *args: Any, **kwargs: Any) -> Self:
        """Train the model with these keywords (unless it is pretrained), unlearn coalitions, estimate the values.

        Parameters
        ----------
        args
            None: training arguments are given by name.
        kwargs
            Keywords of the model's ``fit``: ``epochs``, ``batch_size``, ``lr``.

        Returns
        -------
        The evaluator itself, which then has its ``result``.

        Raises
        ------
        InvalidTypeError
            If training arguments come by position, or rows are not numbers of one shape.
        InvalidValueError
            If there is no model or no data yet.
        UnshapError
            If unlearner, settings, groups, estimator or budget cannot be used, or if unlearning a coalition fails.
        """
        self._forget()
        if args:
            raise InvalidTypeError(
                f"train_data_values got {len(args)} positional training arguments: pass them by name (epochs=...)."
            )
        if not isinstance(self.unlearner, str) or self.unlearner != "auto":
            resolve_unlearner(self.unlearner, self.settings)  # before the model is trained
        if self.estimator != "auto":
            find_estimator(self.estimator)
        problem = self._problem(kwargs)
        try:
            self.result: ValuationResult = self._values(self._game(problem))
        except DivergenceError as error:  # the game is made here, and takes no policy
            raise error.advising(tuple(way for way in error.advice if way != EXCLUDING)) from error
        self._player_of_row = problem.player_of_row
        return self

    def evaluate_data_values(self) -> NDArray[np.float64]:
        """Return one value per training point, ``[rows]``: an equal share of the value of its group.

        Raises
        ------
        InvalidValueError
            If nothing was trained yet.
        """
        if "result" not in self.__dict__:
            raise InvalidValueError("there are no values yet: call train, or input_data and train_data_values, first.")
        return shares_of_rows(self.result.values, self._player_of_row)

    def _forget(self) -> None:
        # OpenDataVal caches data_values on the object, and would answer them after another training too.
        for stale in ("data_values", "result"):
            self.__dict__.pop(stale, None)

    def _problem(self, kwargs: Mapping[str, Any]) -> ValuationProblem:
        """Return what is asked, of the model trained with these keywords."""
        if getattr(self, "pred_model", None) is None or not hasattr(self, "x_train"):
            raise InvalidValueError(
                "there is no prediction model or no data: pass both to train, or to input_data and input_model_metric."
            )
        x, x_valid = as_tensor(self.x_train, "x_train"), as_tensor(self.x_valid, "x_valid")
        # A copy: numpy labels of other fetchers may be anything array-like, and OpenDataVal wants float tensors.
        y, y_valid = torch.as_tensor(self.y_train), torch.as_tensor(self.y_valid)
        model: Any = self.pred_model.clone()
        with seeded(self.seed):
            if isinstance(model, nn.Module):
                forward: Any = model.eval()
                with torch.no_grad():
                    forward(x[:1].to(next(model.parameters()).device))  # lazy layers take their shape from data
                init = {name: value.detach().clone() for name, value in model.state_dict().items()}
                if not self.pretrained:
                    forward.fit(x, y, **kwargs)
                recipe = recipe_of(model, kwargs, None if self.pretrained else init)
            else:
                blank, recipe = model, None
                model = Refit(blank, kwargs)
                if not self.pretrained:
                    model.fit(x, y)
        return ValuationProblem(
            model,
            train=(x, y),
            test=(x_valid, y_valid),
            loss=training_loss(self.pred_model, y),
            metric=self._metric(y),
            groups=self.groups,
            fit=recipe,
        )

    def _game(self, problem: ValuationProblem) -> UnlearningGame:
        """Return the game that is valued: the same one for every evaluator of the same model, data and settings."""
        settings = self.settings or {}
        return UnlearningGame(problem, self.unlearner, seed=self.seed, n_jobs=self.n_jobs, store=self.store, **settings)

    def _metric(self, y: Tensor) -> Metric:
        if callable(self.utility):
            return mediator_metric(self.utility)
        if self.utility == "metric":
            return mediator_metric(self.metric)
        return log_likelihood(self.pred_model, y)


# OpenDataVal lists every subclass of its own by name, to make evaluators from: of this one none can be made.
del DataEvaluator.Evaluators[UnlearningEvaluator.__name__.lower()]


def _short(value: Any) -> Any:
    if isinstance(value, np.ndarray | Tensor | list | tuple) and len(value) > 0:
        array = np.asarray(value, dtype=object)
        return f"<{len(array)} labels {hashlib.sha1(repr(array.tolist()).encode()).hexdigest()[:8]}>"
    return value
