"""The problem of valuation: a trained model, its data, the players, and the measure of performance."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from unshap_plugin.errors import InvalidValueError, UnknownNameError, check_integer
from unshap_plugin.losses import Loss
from unshap_plugin.metrics import MetricLike, resolve_metric
from unshap_plugin.model.columns import Columns
from unshap_plugin.model.given import copied, copied_object, unwrapped
from unshap_plugin.model.plain_fit import compared_with_plain_fit
from unshap_plugin.model.recipe import Recipe, resolve_recipe
from unshap_plugin.model.rows import Rows, n_rows
from unshap_plugin.problem.access import Access, shown
from unshap_plugin.problem.artifacts import Artifacts
from unshap_plugin.problem.checks import check_labels, check_pair, check_utility, checked_outputs, count_trained
from unshap_plugin.problem.data import Reader
from unshap_plugin.problem.kinds import ProblemKind
from unshap_plugin.problem.likeness import unlike
from unshap_plugin.problem.loaders import as_pair
from unshap_plugin.problem.players import players_of
from unshap_plugin.problem.reference import check_alike, seen_in_training, test_and_reference
from unshap_plugin.scoring.outputs import Outputs
from unshap_plugin.scoring.scorers import Answers

__all__ = ["ValuationProblem"]


class ValuationProblem(ProblemKind):
    """A trained model, its data, and the question what each player's data was worth.

    Parameters
    ----------
    model
        The trained ``torch.nn.Module``, of which a copy is set to evaluation mode: a ``ModuleProblem`` is returned. Or
        any fitted object with ``fit`` and ``predict``, which the built-in unlearners can only ``retrain``: an
        ``ObjectProblem``. But scikit-learn's ``LogisticRegression``, ``Ridge``, ``LinearRegression`` and
        ``SGDClassifier`` become torch modules with their coefficients, loss and penalty (where their settings allow
        it), and are retrained by their own ``fit``. The model itself is never touched: copies are.
    train
        ``(x, y)``, ``[rows, ...]`` each, or a data set or loader of torch: the rows to be valued, and background rows
        if at hand. ``x`` is what the model takes: an array or tensor, or a dict or tuple of them (passed to a module as
        keywords or arguments); of objects also a table, whose columns go by their names, a sparse matrix or texts.
    test
        ``(x, y)``, ``[rows, ...]`` each, on which utility is measured.
    loss
        The training loss: ``cross_entropy``, ``mse``, ``binary_cross_entropy_with_logits``, ``binary_cross_entropy``
        (of probabilities), ``nll_loss`` (of log-probabilities), or a callable ``(outputs, targets) -> [rows]``.
    outputs
        What a module returns: ``"logits"``, ``"probabilities"``, ``"log_probabilities"`` or ``"values"``. ``None``:
        what the loss and the module itself show. Metrics of classes then take the right link, once.
    metric
        A name such as ``accuracy``, ``log_likelihood``, ``neg_mean_squared_error``, ``r2`` or ``neg_loss``; a scorer of
        scikit-learn or its name; a callable ``(outputs, targets) -> number or [t]``; or a dict of these. Higher is
        better. ``None``: the log-likelihood of classes, minus the mean squared error of numbers, minus the training
        loss where it is another one.
    groups
        Labels ``[rows]`` that say whose each row is: every group is a player. ``None``: every row is one.
    valued
        The groups (or rows) that are valued, ``[n_players]``; the others are background, which is always kept. The
        values are those of the game over the valued players alone, *not* the values over all restricted to them.
    reference
        ``(x, y)`` or ``x``, ``[rows, ...]``: data outside training that an unlearner may look at. Test and training
        rows in it are left out, with a warning. ``"test"`` insists that the test set is the reference set as well.
        ``None``: there is none; but in partial access the test set is split in two halves, one for each.
    access
        ``"full"``: ``train`` holds everything that the model was trained on. ``"partial"``: the model saw more.
    fit
        How it was trained: a ``Recipe``, or a dict of its settings.
    artifacts
        What ``compute_artifacts`` returned for the problem with all data, or the file that it was saved to: in partial
        access some unlearners then work as if all rows were at hand. That they are of this model and data is checked.
    trained_rows
        Number of rows that the model was trained on, in partial access: the share of them that a coalition forgets says
        how far to move. ``None``: artefacts know it, else the rows at hand are taken for all.
    parameters
        Which parameters of a module are unlearned; ``None``: all that are trainable. A pattern of names (``"fc.*"``,
        ``"*.bias"``), the name of a submodule, a list of these, or ``"head"``: the submodule of that name, or the last
        one that has parameters of its own. The others are frozen, in retraining too. Where the chosen ones enter only
        the end of the module, ``model``, ``x``, ``x_test``, ``reference`` and ``recipe`` are then those of the end.

    Attributes
    ----------
    trained, model_name
        The model as it was given with the copy that is worked with, and the name of its class.
    player_of_row
        The number of the player of every training row, int64 ``[rows]``, with -1 for background.
    classes, notes
        What the classes are called where the labels were encoded (``y`` and ``y_test`` are then their numbers); what a
        reader of the values should know of how the problem was set up, in sentences.
    stored, outputs_are
        The artefacts that were given, and what the outputs of a module are, as far as that is known.
    given_utility
        The utility of the given model, float64, a scalar or ``[t]``: that of the coalition that keeps everybody.

    Raises
    ------
    InvalidValueError, InvalidTypeError, UnknownNameError
        If any of these cannot be used, with what to do about it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> x, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression(max_iter=1000).fit(x[::2], y[::2])
    >>> problem = ValuationProblem(model, train=(x[::2], y[::2]), test=(x[1::2], y[1::2]), groups=["a", "b", "c"] * 25)
    >>> problem.players, problem.n_players, problem.metric.name, problem.task, problem.answers.outputs
    (['a', 'b', 'c'], 3, 'log_likelihood', 'classification', 'logits')
    >>> problem.available.names(), problem.kind.names(), problem.given_model
    ('FORGET, RETAIN', 'torch modules with trainable parameters', LogisticRegression(max_iter=1000))
    >>> problem.model_class is LogisticRegression
    True
    >>> problem.retained(np.array([[True, False, False]])).sum(), problem.outputs(problem.model, problem.x_test).shape
    (tensor(25), torch.Size([75, 3]))
    """

    def __new__(cls, model: Any = None, *_: Any, **__: Any) -> ValuationProblem:
        """Return a problem of the kind that the model has."""
        if cls is ValuationProblem:
            cls = next(kind for kind in cls.__subclasses__() if kind._takes(model))
        return super().__new__(cls)

    def __init__(
        self,
        model: Any,
        train: tuple[Any, Any],
        test: tuple[Any, Any],
        *,
        loss: str | Loss = "cross_entropy",
        outputs: Outputs | None = None,
        metric: MetricLike | None = None,
        groups: ArrayLike | None = None,
        valued: Sequence[Any] | NDArray[Any] | None = None,
        reference: Any = None,
        access: Literal["full", "partial"] = "full",
        fit: Recipe | Mapping[str, Any] | None = None,
        artifacts: Artifacts | str | os.PathLike[str] | None = None,
        trained_rows: int | None = None,
        parameters: str | Sequence[str] | None = None,
    ) -> None:
        if access not in ("full", "partial"):
            raise UnknownNameError("access", access, ["full", "partial"])
        train, test = as_pair(train, "train"), as_pair(test, "test")
        check_pair(train, "train")
        check_pair(test, "test")
        self.access = access
        self._said = outputs
        self.notes: tuple[str, ...] = ()
        super().__init__()
        self._given_model = unwrapped(model) if isinstance(model, nn.Module) else copied_object(model)
        self.model_name = self.model_class.__name__
        if trained_rows is not None:
            check_integer("trained_rows", trained_rows, 1)
        self._take(train, test, loss, resolve_recipe(fit), parameters, trained_rows, artifacts)
        reader = Reader(self.trained, self.classes, Columns.of(self._given_model, train[0]))
        self.x, self.y = reader.pair(train, "train")
        tested, self.reference, notes = test_and_reference(reader, test, reference, self.x, access)
        if self.reference is not None:
            check_alike(self.reference[0], self.x)
        (self.x_test, self.y_test), seen = tested, seen_in_training(tested[0], self.x)
        self.notes += notes if seen is None else (*notes, seen)
        self.stored = None if artifacts is None else self._checked(artifacts)
        at_hand, stored = n_rows(self.x), None if self.stored is None else len(self.stored)
        self.trained_rows = count_trained(trained_rows, at_hand, at_hand if access == "full" else stored)
        #: Whether that is known, and not taken for what is at hand.
        self.trained_rows_told = access == "full" or stored is not None or trained_rows is not None
        if not self.trained_rows_told:
            self.notes += (
                f"how many rows the model was trained on is not known: the {at_hand} at hand were taken for all of "
                f"them, and if there were more, values are far too large; say how many, with trained_rows.",
            )
        if at_hand < 2 and access == "full":
            raise InvalidValueError("train has one row: at least two rows are needed to compare their values.")
        self._players, self.player_of_row = players_of(groups, valued, at_hand, alone=access == "partial")
        if self.task == "classification" and access == "full":
            check_labels(self.y, self.y_test, self.classes)
        rows = self.x
        self._cut(parameters)
        answers = [checked_outputs(self.trained, x, what) for x, what in ((self.x, "train"), (self.x_test, "test"))]
        self.outputs_are = self._kind_of(answers[0], outputs)
        for one, y in zip(answers, (self.y, self.y_test), strict=True):
            self._check_loss(one, y)
        if access == "full" and not isinstance(model, nn.Module):
            self.notes += compared_with_plain_fit(self._given_model, rows, self.y, self.classes)
        if self.reference is not None and access == "partial":
            others = self.reference[0]
            differs = unlike(
                self.loss, answers[0], answers[1], lambda: checked_outputs(self.trained, others, "reference")
            )
            self.notes += () if differs is None else (differs,)
        #: Shape of the outputs for one row.
        self.output_shape = answers[1].shape[1:]
        self.metric = resolve_metric(metric, self.loss, self.answers)
        utility = check_utility(self.metric, answers[1], self.y_test)
        self.given_utility: NDArray[np.float64] = utility.double().cpu().numpy()

    #: What ``help`` shows, since ``__new__`` takes anything.
    __signature__ = inspect.Signature(list(inspect.signature(__init__).parameters.values())[1:])

    @property
    def n_players(self) -> int:
        """Number of players."""
        return len(self._players)

    @property
    def players(self) -> list[Any]:
        """The players, in the order of the columns of a coalition matrix."""
        return list(self._players)

    @property
    def given_model(self) -> Any:
        """A copy of the model that was given, another one whenever it is asked for."""
        model = self._given_model
        return copied(model) if isinstance(model, nn.Module) else copied_object(model)

    @property
    def model_class(self) -> type:
        """The class of the model that was given."""
        return type(self._given_model)

    @property
    def model(self) -> Any:
        """The copy of the given model that is worked with."""
        return self.trained.model

    @property
    def answers(self) -> Answers:
        """What the outputs of the model are."""
        labels = None if self.classes is None else self.classes.labels
        return Answers(self.task, labels, outputs=self.outputs_are)

    @property
    def available(self) -> Access:
        """Access that an unlearner has to this problem."""
        reference, stored = self.reference is not None, self.stored is not None
        return shown(retained=self.access == "full", reference=reference, artifacts=stored)

    def retained(self, coalitions: NDArray[np.bool_]) -> Tensor:
        """Return which training rows are retained, bool ``[m, rows]``, by ``coalitions``, bool ``[m, n_players]``."""
        always = np.ones((len(coalitions), 1), dtype=bool)
        kept = np.concatenate([coalitions, always], axis=1)[:, self.player_of_row]
        return torch.as_tensor(kept, device=self.y.device)

    def outputs(self, model: Any, x: Rows) -> Tensor:
        """Return the outputs ``[rows, ...]`` of a ``model`` of the given kind, for rows ``x``, ``[rows, ...]``.

        Raises
        ------
        InvalidTypeError, InvalidValueError
            If it does not answer with one output for each row.
        """
        return self.trained.outputs(model, x)

    def _brought(self) -> Mapping[str, Any]:
        return {
            f"the loss {getattr(self.loss, '__name__', type(self.loss).__name__)!r}": self.loss,
            f"metric {self.metric.name!r}": self.metric.score,
            f"the model ({self.model_name})": self._given_model,
        }
