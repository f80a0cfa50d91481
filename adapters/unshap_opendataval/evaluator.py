"""``UnlearningShapley``: the Shapley value of every training point, by unlearning, as an OpenDataVal evaluator."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from opendataval.dataval import DataEvaluator, ModelMixin
from sklearn.utils import check_random_state
from torch import Tensor, nn

from unshap_opendataval.conventions import Refit, as_tensor, log_likelihood, mediator_metric, recipe_of, training_loss
from unshap_plugin import Metric, Unlearner, UnlearningGame, ValuationProblem, ValuationResult, shapley_values
from unshap_plugin.errors import InvalidTypeError, InvalidValueError, UnknownNameError
from unshap_plugin.model.generators import seeded
from unshap_plugin.plugins.registry import resolve_unlearner

__all__ = ["UnlearningShapley"]

_UTILITIES = ("log_likelihood", "metric")


class UnlearningShapley(DataEvaluator, ModelMixin):  # type: ignore[misc]
    """Data values by unlearning, without retraining (Ma et al. 2025, arXiv 2505.16147).

    The prediction model is trained once, with the training keywords of the mediator. Coalitions of training points are
    then unlearned from it, and the Shapley values of the utility on the validation set are estimated.

    Parameters
    ----------
    unlearner
        Name of a registered unlearner, or an instance. ``"auto"`` takes Newton for linear models, the replay of
        their training for networks, retraining for models without parameters (scikit-learn wrappers).
    estimator
        ``"permutation"`` or ``"exact"``.
    budget
        Utilities that the estimator may ask for. By default 5,000, or what two antithetic pairs of permutations take
        if that is more.
    groups
        Labels, one per training point, to value groups (providers). Every point then gets an equal share of
        the value of its group; ``result`` has the groups.
    utility
        ``"log_likelihood"`` on the validation set (for regression minus the mean squared error): smooth, and so far
        less noisy for single points than the accuracy. ``"metric"``: the metric of the mediator. Or a callable
        ``(y, y_hat) -> float``.
    pretrained
        Take the model as it comes, already trained.
    settings
        Settings of an unlearner that is given by name.
    random_state
        Source of the seeds of training, unlearner and estimator. It is not moved, and the same for every ``train``.

    Attributes
    ----------
    result
        The full ``ValuationResult``: values, standard errors, and how they were made.
    """

    #: Traits under which the conformance suite plays games with it: utility is the metric, the model has no parameters.
    conformance: ClassVar[dict[str, Any]] = {
        "kwargs": {"unlearner": "retrain", "estimator": "exact", "utility": "metric"},
        "exact": True,
    }

    def __new__(cls, *args: Any, **kwargs: Any) -> UnlearningShapley:
        """Record the arguments for the repr, which keys the rows of OpenDataVal's tables: arrays by their content."""
        named = {name: _short(value) for name, value in kwargs.items()}
        made: UnlearningShapley = super().__new__(cls, *map(_short, args), **named)
        return made

    def __init__(
        self,
        unlearner: str | Unlearner = "auto",
        estimator: str = "permutation",
        budget: int | None = None,
        groups: ArrayLike | None = None,
        utility: str | Callable[[Tensor, Tensor], float] = "log_likelihood",
        pretrained: bool = False,
        settings: Mapping[str, Any] | None = None,
        random_state: int | RandomState | None = None,
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

    def input_data(self, x_train: Any, y_train: Tensor, x_valid: Any, y_valid: Tensor) -> UnlearningShapley:
        """Take the data, and forget the values of any earlier data."""
        self.__dict__.pop("data_values", None)
        self.__dict__.pop("result", None)
        super().input_data(x_train, y_train, x_valid, y_valid)
        return self

    def train_data_values(self, *args: Any, **kwargs: Any) -> UnlearningShapley:
        """Train the model with these keywords (unless it is pretrained), unlearn coalitions, estimate the values."""
        if args:
            raise InvalidTypeError(
                f"train_data_values got {len(args)} positional training arguments: pass them by name (epochs=...)."
            )
        self.__dict__.pop("data_values", None)
        if not isinstance(self.unlearner, str) or self.unlearner != "auto":
            resolve_unlearner(self.unlearner, self.settings)  # before the model is trained
        problem = self._problem(kwargs)
        game = UnlearningGame(problem, self.unlearner, seed=self.seed, **(self.settings or {}))
        self.result: ValuationResult = shapley_values(game, self.estimator, self.budget, self.seed)
        self._player_of_row = problem.player_of_row
        return self

    def evaluate_data_values(self) -> NDArray[np.float64]:
        """Return one value per training point, ``(n,)``."""
        if "result" not in self.__dict__:
            raise InvalidValueError("there are no values yet: call train, or input_data and train_data_values, first.")
        share = self.result.values / np.bincount(self._player_of_row, minlength=len(self.result.players))
        values: NDArray[np.float64] = share[self._player_of_row]
        return values

    def _problem(self, kwargs: Mapping[str, Any]) -> ValuationProblem:
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

    def _metric(self, y: Tensor) -> Metric:
        if callable(self.utility):
            return mediator_metric(self.utility)
        if self.utility == "metric":
            return mediator_metric(self.metric)
        return log_likelihood(self.pred_model, y)


def _short(value: Any) -> Any:
    if isinstance(value, np.ndarray | Tensor | list | tuple) and len(value) > 0:
        array = np.asarray(value, dtype=object)
        return f"<{len(array)} labels {hashlib.sha1(repr(array.tolist()).encode()).hexdigest()[:8]}>"
    return value
