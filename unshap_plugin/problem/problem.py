"""What is to be valued: a trained model, its data, the players, and the measure of performance."""

from __future__ import annotations

import copy
import enum
import logging
import os
import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from unshap_plugin.errors import InvalidTypeError, InvalidValueError, UnknownNameError, check_integer, nearest
from unshap_plugin.losses import LOSSES, Loss, check_loss, cross_entropy, resolve_loss
from unshap_plugin.metrics import MetricLike, resolve_metric
from unshap_plugin.model.engine import Engine
from unshap_plugin.model.fit_predict import classifies, predicted
from unshap_plugin.model.frozen import cut, freeze
from unshap_plugin.model.recipe import Recipe, resolve_recipe
from unshap_plugin.model.rows import Rows, as_rows, check_finite, leaves, map_rows, n_rows, row_hashes, take, to_like
from unshap_plugin.model.same_module import change, same
from unshap_plugin.model.sklearn_linear import LinearModel, linear_model
from unshap_plugin.problem.artifacts import Artifacts

__all__ = ["Access", "ModelKind", "ValuationProblem"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

#: A smaller test set is not split into a reference set and a test set.
_FEWEST_TO_SPLIT = 4


class Access(enum.Flag):
    """What an unlearner needs to see, or a problem can show."""

    FORGET = enum.auto()
    RETAIN = enum.auto()
    REFERENCE = enum.auto()
    ARTIFACTS = enum.auto()

    def names(self) -> str:
        """Return the members in words, joined by commas."""
        return ", ".join(str(one.name) for one in Access if one in self)


class ModelKind(enum.Flag):
    """What kind of model an unlearner takes, or a problem has."""

    PARAMETERS = enum.auto()  # a torch module with trainable parameters
    FIT_PREDICT = enum.auto()  # any other object, with fit and predict

    def names(self) -> str:
        """Return the members in words, joined by commas."""
        words = {
            ModelKind.PARAMETERS: "torch modules with trainable parameters",
            ModelKind.FIT_PREDICT: "objects with fit and predict",
        }
        return ", ".join(word for kind, word in words.items() if kind in self)


class ValuationProblem:
    """A trained model, its data, and the question what each player's data was worth.

    Parameters
    ----------
    model
        The trained ``torch.nn.Module``, of which a copy is set to evaluation mode. Or any fitted object with ``fit``
        and ``predict``, which of the built-in unlearners only ``retrain`` can work with; but scikit-learn's
        ``LogisticRegression``, ``Ridge``, ``LinearRegression`` and ``SGDClassifier`` become torch modules with their
        coefficients, loss and penalty (where their settings allow it), and are retrained by their own ``fit``. Copies
        are taken: the model itself is never touched, and what happens to a module later does not matter.
    train
        ``(x, y)``: the rows to be valued, and background rows if at hand. ``x`` is an array or tensor, or a dict or
        tuple of them (passed to the model as keywords or arguments) with one common first dimension. Floating
        rows take the dtype and device of the model.
    test
        ``(x, y)`` on which utility is measured.
    loss
        The training loss: ``cross_entropy`` (logits), ``mse``, ``binary_cross_entropy_with_logits``, or a callable
        ``(outputs, targets) -> [rows]``.
    metric
        ``accuracy``, ``log_likelihood``, ``neg_mean_squared_error``, ``r2``, ``neg_loss``, a callable
        ``(outputs, targets) -> number or [t]``, or a dict of them. Higher is better.
    players
        ``None``: every row is a player. Or group labels, one per row: every group is a player.
    targets
        The groups (or rows) that are valued; the others are background, which is always kept. The values are then
        those of the game over the targets alone, which are *not* the full-data values restricted to the targets.
    reference
        ``(x, y)`` or ``x``: data outside training that an unlearner may look at. Rows of it that are test or training
        rows too are left out, with a warning. ``"test"`` insists that the test set is the reference set as well.
        ``None``: there is none; but in partial access the test set is split in two halves, one for each, and
        ``notes`` says so.
    access
        ``"full"``: ``train`` holds everything that the model was trained on. ``"partial"``: the model saw more.
    fit
        How the model was trained: a ``Recipe``, or a dict of its settings.
    artifacts
        What ``artifacts()`` of the problem with all data returned, or the file that it was saved to. In partial access
        some unlearners then work as if the rows that are not at hand were. The model has to be the same, and the
        training rows among those that they were computed from: both are checked.
    trained_rows
        In partial access, how many rows the model was trained on, if that is known: what share of them a coalition
        forgets says how far to move. Artefacts know it. Else the rows at hand are taken for all, and methods forget as
        much as if they were.
    parameters
        Which parameters of a module are unlearned; ``None``: all that are trainable. A pattern of names (``"fc.*"``,
        ``"*.bias"``), the name of a submodule, a list of these, or ``"head"``: the submodule of that name, or the last
        one that has parameters of its own. The others are frozen, in retraining too: ``retrain`` starts from the
        initial values of these alone, with the frozen layers in evaluation mode. Where all of these enter only the end
        of the module (a submodule whose outputs are the module's, or the last children of an ``nn.Sequential``),
        what the frozen part makes of the rows is computed once: ``model``, ``x``, ``x_test``, ``reference`` and
        ``recipe`` are then those of the end. Else every pass takes the whole module, to the same values.

    Attributes
    ----------
    notes
        What a reader of the values should know of how the problem was set up, in sentences.
    stored
        The artefacts that were given.
    estimator, linear
        The model as it was given (of objects a copy); and what was made of it where it is a linear model of
        scikit-learn that its own ``fit`` retrains.

    Raises
    ------
    InvalidValueError, InvalidTypeError, UnknownNameError
        If any of these cannot be used, with what to do about it.
    """

    def __init__(
        self,
        model: Any,
        train: tuple[Any, Any],
        test: tuple[Any, Any],
        *,
        loss: str | Loss = "cross_entropy",
        metric: MetricLike = "accuracy",
        players: ArrayLike | None = None,
        targets: Sequence[Any] | NDArray[Any] | None = None,
        reference: Any = None,
        access: Literal["full", "partial"] = "full",
        fit: Recipe | Mapping[str, Any] | None = None,
        artifacts: Artifacts | str | os.PathLike[str] | None = None,
        trained_rows: int | None = None,
        parameters: str | Sequence[str] | None = None,
    ) -> None:
        if access not in ("full", "partial"):
            raise UnknownNameError("access", access, ["full", "partial"])
        self.access = access
        self.estimator = model if isinstance(model, nn.Module) else copy.deepcopy(model)
        self.linear = _as_module(self.estimator, train, loss, fit, trained_rows)
        if self.linear is not None:
            model, loss, fit = self.linear.module, self.linear.loss, self.linear.recipe
        self.model = model
        self.loss = resolve_loss(loss)
        self.metric = resolve_metric(metric, self.loss)
        self.recipe = resolve_recipe(fit)
        self.engine: Engine | None = None
        self._memory: dict[Hashable, Any] = {}
        self.notes: tuple[str, ...] = ()
        if isinstance(model, nn.Module):
            if self.recipe is not None:
                self.recipe.check(model)
            self._given = copy.deepcopy(model).eval()
            self._given.zero_grad()
            note = None if parameters is None else freeze(self._given, parameters)
            self.notes += () if note is None else (note,)
            if not all(p.requires_grad for p in self._given.parameters()):
                self.linear = None  # scikit-learn's fit would not leave any as they are: retrained by the recipe
        elif not (callable(getattr(model, "fit", None)) and callable(getattr(model, "predict", None))):
            raise InvalidTypeError(
                f"model is a {type(model).__name__}, but a torch.nn.Module or an object with fit and predict is needed."
            )
        elif parameters is not None:
            raise InvalidTypeError(
                f"parameters is {parameters!r}, but {type(model).__name__} is not a torch module: leave it out."
            )
        else:
            self._given = self.estimator
        self._put_back()

        self.x, self.y = self._pair(train, "train")
        self.x_test, self.y_test = self._pair(test, "test")
        self.reference = self._reference(reference)
        self.stored = None if artifacts is None else self._checked(artifacts)

        self.trained_rows = self._all_rows(trained_rows)

        if n_rows(self.x) < 2 and access == "full":
            raise InvalidValueError("train has one row: at least two rows are needed to compare their values.")
        self.players, self.player_of_row = _players(players, targets, n_rows(self.x), alone=access == "partial")
        self._check_labels()
        self.n_classes = self._count_classes()
        self._whole: tuple[Engine, Rows] | None = None  # where the model is the end of another
        if parameters is not None:
            self._cut()
        self._check_model()

    @property
    def n_players(self) -> int:
        """Number of players."""
        return len(self.players)

    @property
    def available(self) -> Access:
        """What an unlearner can see of this problem."""
        seen = Access.FORGET
        if self.access == "full":
            seen |= Access.RETAIN
        if self.reference is not None:
            seen |= Access.REFERENCE
        if self.stored is not None:
            seen |= Access.ARTIFACTS
        return seen

    @property
    def kind(self) -> ModelKind:
        """What kind of model this is; none of them for a torch module without trainable parameters."""
        if self.engine is None:
            return ModelKind.FIT_PREDICT
        return ModelKind.PARAMETERS if self.engine.theta0 else ModelKind(0)

    def artifacts(self) -> Artifacts:
        """Compute what methods need of the full data, to be saved for when not all of it is at hand.

        Raises
        ------
        InvalidValueError
            In partial access, where not all data is at hand, or if the model has no parameters that gradients could
            change.
        """
        if self.access != "full":
            raise InvalidValueError(
                f"artefacts are computed from all rows that the model was trained on, but access is {self.access!r}: "
                f"call artifacts() on the problem with all of them and access='full'."
            )
        artifacts = Artifacts.of(self._trainable(), self.x, self.y, self.recipe)
        return artifacts if self._whole is None else artifacts.identified(*self._whole, self.y)

    def recover(self) -> str | None:
        """Put the model back as it was given where something changed it, and say what that was.

        Of an object with ``fit`` and ``predict`` its answers on the test set are compared.
        """
        if isinstance(self._given, nn.Module):
            changed = change(self._given, self.model) or self._replaced()
        else:
            now, given = self.outputs(self.model, self.x_test), self.outputs(self._given, self.x_test)
            repeatable = same(now, given) or same(given, self.outputs(self._given, self.x_test))
            changed = None if same(now, given) or not repeatable else "the answers"
        if changed is not None:
            self._put_back()
        return changed

    def versions(self) -> list[int]:
        """Return the counters with which torch tells whether data were changed in place."""
        reference = [] if self.reference is None else [*leaves(self.reference[0]), self.reference[1]]
        stored = [] if self.stored is None else self.stored.tensors().values()
        tensors = [*leaves(self.x), self.y, *leaves(self.x_test), self.y_test, *reference, *stored]
        return [tensor._version for tensor in tensors if tensor is not None]

    def retained(self, coalitions: NDArray[np.bool_]) -> Tensor:
        """Return which training rows each coalition retains: bool ``[m, n_players] -> [m, rows]``."""
        always = np.ones((len(coalitions), 1), dtype=bool)
        kept = np.concatenate([coalitions, always], axis=1)[:, self.player_of_row]
        return torch.as_tensor(kept, device=self.y.device)

    def outputs(self, model: Any, x: Rows) -> Tensor:
        """Return the outputs ``[rows, ...]`` of a model of the kind that was given."""
        if isinstance(model, nn.Module):
            assert self.engine is not None
            with torch.no_grad():
                outputs = self.engine.call(dict(model.named_parameters()), x)
            if not isinstance(outputs, Tensor) or outputs.ndim == 0:
                raise InvalidTypeError(
                    f"the model returned a {type(outputs).__name__}, but a tensor [rows, ...] is needed: wrap the "
                    f"model in a module that returns its outputs alone."
                )
            return outputs
        return predicted(model, as_array(x), self.n_classes)

    def remember(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return what ``compute`` gave the first time it was called under this key."""
        if key not in self._memory:
            self._memory[key] = compute()
        value: T = self._memory[key]
        return value

    def describe(self, coalition: NDArray[np.bool_]) -> str:
        """Return a coalition in words that fit an error message."""
        kept = [str(player) for player, keep in zip(self.players, coalition, strict=True) if keep]
        shown = ", ".join(kept[:6]) + (", ..." if len(kept) > 6 else "")
        return f"the coalition that keeps {len(kept)} of {self.n_players} players ({shown or 'none'})"

    def _trainable(self) -> Engine:
        if self.engine is None or not self.engine.theta0:
            raise InvalidValueError(
                f"artefacts are of torch modules with trainable parameters, but {type(self.model).__name__} is not one "
                f"of these."
            )
        return self.engine

    def _all_rows(self, given: int | None) -> int:
        """Return how many rows the model was trained on, as far as that is known."""
        at_hand = n_rows(self.x)
        known = at_hand if self.access == "full" else None if self.stored is None else len(self.stored)
        if given is None:
            return at_hand if known is None else known
        check_integer("trained_rows", given, 1)
        if given < at_hand or known not in (None, given):
            where = "are at hand" if known in (None, at_hand) else "were there when the artefacts were stored"
            raise InvalidValueError(
                f"trained_rows is {given}, but {at_hand if known is None else known} rows {where}: leave it out, or "
                f"give the number of rows that the model was trained on."
            )
        return int(given)

    def _checked(self, artifacts: Artifacts | str | os.PathLike[str]) -> Artifacts:
        """Return the artefacts, which are those of this model and of these rows."""
        engine = self._trainable()
        stored = artifacts if isinstance(artifacts, Artifacts) else Artifacts.load(artifacts)
        stored.check(engine, self.x, self.y)
        if self.access == "full" and len(stored) != len(self.y):
            raise InvalidValueError(
                f"the artefacts are of {len(stored)} rows and train has {len(self.y)}, but access is 'full': pass "
                f"access='partial' where train does not hold everything that the model was trained on."
            )
        if self.access == "partial":
            self.notes += (
                f"artefacts of {len(stored)} rows stand in for those that are not at hand; newton takes one step then.",
            )
        return stored

    def _reference(self, given: Any) -> tuple[Rows, Tensor | None] | None:
        """Return the reference set, which shares no row with the test set unless the user says so."""
        if given is None:
            return self._half_of_test() if self.access == "partial" else None
        if isinstance(given, str):
            if given != "test":
                raise UnknownNameError("reference", given, ["test"])
            return self.x_test, self.y_test
        pair = isinstance(given, tuple) and len(given) == 2
        x, y = self._pair(given, "reference") if pair else (self._rows(given, "reference"), None)
        kept = self._elsewhere(x)
        left_out = n_rows(x) - len(kept)
        if len(kept) == 0:
            raise InvalidValueError(
                f"all {left_out} reference rows are test or training rows too: give other rows, or reference='test' if "
                f"the test set is to be the reference set as well."
            )
        if left_out:
            warnings.warn(
                f"{left_out} of {n_rows(x)} reference rows are test or training rows too, and are left out; pass "
                f"reference='test' if the test set is to be the reference set as well.",
                stacklevel=3,
            )
        return (x, y) if not left_out else (take(x, kept), None if y is None else y[kept.to(y.device)])

    def _half_of_test(self) -> tuple[Rows, Tensor] | None:
        """Split the test set into the reference set, which is returned, and a smaller test set."""
        x, y = self.x_test, self.y_test
        if len(y) < _FEWEST_TO_SPLIT:
            self.notes += (f"there is no reference set: the {len(y)} test rows are too few to split.",)
            return None
        order = np.random.default_rng(0).permutation(len(y))
        if y.ndim == 1 and not y.is_floating_point():  # by class, so that both halves have their share of each
            order = order[np.argsort(y.cpu().numpy()[order], kind="stable")]
        test, other = (torch.as_tensor(np.sort(order[begin::2]), device=y.device) for begin in (0, 1))
        self.x_test, self.y_test = take(x, test), y[test.to(y.device)]
        other = other[self._elsewhere(take(x, other))]
        half = f"only one set was given beside the training rows: {len(test)} of its {len(y)} rows are the test set"
        if len(other) == 0:
            self.notes += (f"{half}, and there is no reference set, since the others are test or training rows too.",)
            return None
        self.notes += (f"{half}, and {len(other)} others the reference set.",)
        return take(x, other), y[other.to(y.device)]

    def _elsewhere(self, x: Rows) -> Tensor:
        """Return the numbers of the rows that are neither test nor training rows."""
        known = set(row_hashes(self.x_test).tolist()) | set(row_hashes(self.x).tolist())
        kept = [i for i, one in enumerate(row_hashes(x).tolist()) if one not in known]
        return torch.tensor(kept, dtype=torch.long, device=leaves(x)[0].device)

    def _put_back(self) -> None:
        self.model = copy.deepcopy(self._given)
        if isinstance(self.model, nn.Module):
            self.engine = Engine(self.model, self.loss)
        self._memory.clear()  # of what was computed from the model

    def _cut(self) -> None:
        """Go on with the end of the module that has the parameters, and what the rest makes of the rows."""
        assert self.engine is not None
        others = [] if self.reference is None else [self.reference[0]]
        part = cut(self._given, [self.x, self.x_test, *others])
        if part is None:
            _log.info("no end of %s holds what is unlearned: every pass takes all of it", type(self.model).__name__)
            return
        self._whole = self.engine, self.x
        self._given, self.recipe = part.module, part.recipe(self.recipe)
        self.x, self.x_test, *others = part.rows
        if self.reference is not None:
            self.reference = others[0], self.reference[1]
        self._put_back()

    def _replaced(self) -> str | None:
        """Say which parameter the engine no longer shares with the model, if any."""
        assert self.engine is not None
        theirs = {name: p.detach() for name, p in self.model.named_parameters() if p.requires_grad}
        odd = [n for n, p in self.engine.theta0.items() if n not in theirs or theirs[n].data_ptr() != p.data_ptr()]
        return f"{odd[0]!r}" if odd else None

    def _rows(self, value: Any, what: str) -> Rows:
        rows = as_rows(value, what)
        if self.engine is not None and self.engine.theta0:
            rows = to_like(rows, next(iter(self.engine.theta0.values())))
        elif self.engine is None:  # the answers of an object with fit and predict are on the CPU
            rows = map_rows(Tensor.cpu, rows)
        check_finite(rows, what)
        return rows

    def _pair(self, value: Any, what: str) -> tuple[Rows, Tensor]:
        if not (isinstance(value, tuple | list) and len(value) == 2):
            raise InvalidTypeError(f"{what} is a {type(value).__name__}, but a pair (x, y) is needed.")
        x = self._rows(value[0], f"{what} x")
        y = self._rows(value[1], f"{what} y")
        if not isinstance(y, Tensor):
            raise InvalidTypeError(f"{what} y is a {type(value[1]).__name__}, but one array of labels is needed.")
        if len(y) != n_rows(x):
            raise InvalidValueError(
                f"{what} has {n_rows(x)} rows of x but {len(y)} labels: one label per row is needed."
            )
        if self.loss is cross_entropy:
            y = y if y.is_floating_point() else y.long()
        elif self.loss in LOSSES.values() and self.engine is not None and self.engine.theta0:
            y = y.to(next(iter(self.engine.theta0.values())).dtype)
        return x, y

    def _check_labels(self) -> None:
        sorts = classifies(self.estimator) or (self.engine is not None and self.loss is cross_entropy)
        binary = self.engine is not None and self.loss is LOSSES["binary_cross_entropy_with_logits"]
        if classifies(self.estimator):
            self._check_classifier()
        if binary and self.access == "full" and len(self.y.unique()) < 2:
            raise InvalidValueError(
                f"train has the single class {float(self.y[0].flatten()[0]):g}: at least two classes are needed to "
                f"learn anything."
            )
        if not sorts or self.y.ndim != 1 or self.y.is_floating_point() or self.access != "full":
            return
        classes, tested = self.y.unique(), self.y_test.unique()
        if len(classes) < 2:
            raise InvalidValueError(
                f"train has the single class {int(classes[0])}: at least two classes are needed to learn anything."
            )
        missing = sorted(set(tested.tolist()) - set(classes.tolist()))
        if missing:
            raise InvalidValueError(
                f"test has class {missing[0]}, which train lacks (train has {classes.tolist()}): no training row can "
                f"be worth anything for it; drop those test rows or add training rows of that class."
            )

    def _check_classifier(self) -> None:
        for what, y in (("train", self.y), ("test", self.y_test)):
            if y.is_floating_point() or y.ndim != 1:
                raise InvalidTypeError(
                    f"{what} y has dtype {y.dtype} and shape {list(y.shape)}, but a classifier needs one integer class "
                    f"label per row: convert them."
                )
        classes = getattr(self.estimator, "classes_", None)
        if classes is not None and not np.array_equal(classes, np.arange(len(classes))):
            raise InvalidValueError(
                f"the classifier was fitted on the classes {list(classes)[:10]}, but 0..{len(classes) - 1} are needed: "
                f"encode the labels before fitting."
            )

    def _count_classes(self) -> int:
        if self.y.is_floating_point() or not classifies(self.estimator):
            return 0
        labels = [self.y, self.y_test]
        if self.reference is not None and self.reference[1] is not None:
            labels.append(self.reference[1])  # which may be the other half of the test set
        return int(max(y.max() for y in labels)) + 1

    def _check_model(self) -> None:
        outputs = {}
        for what, x, y in (("train", self.x, self.y), ("test", self.x_test, self.y_test)):
            try:
                outputs[what] = self.outputs(self.model, x)
            except InvalidTypeError:
                raise
            except Exception as error:
                raise InvalidValueError(
                    f"the model cannot be applied to the {what} rows ({type(error).__name__}: {error}): pass a trained "
                    f"model and the data in the form that it takes."
                ) from error
            if not torch.isfinite(outputs[what]).all():
                raise InvalidValueError(f"the model as given has outputs that are not finite on the {what} rows.")
            if self.engine is not None:
                check_loss(self.loss, outputs[what], y)
        try:
            utility = self.metric.score(outputs["test"][None], self.y_test)
        except InvalidValueError:
            raise
        except Exception as error:
            raise InvalidValueError(
                f"metric {self.metric.name!r} cannot be computed from outputs {list(outputs['test'].shape)} and "
                f"targets {list(self.y_test.shape)} ({type(error).__name__}: {error}): "
                f"use a metric that matches the outputs."
            ) from error
        if len(utility) != 1 or utility.ndim > 2:
            raise InvalidValueError(
                f"metric {self.metric.name!r} gave shape {list(utility.shape[1:])} for one model, but one number or a "
                f"vector is needed."
            )
        if not torch.isfinite(utility).all():
            raise InvalidValueError(
                f"metric {self.metric.name!r} is {utility[0].tolist()} for the model as given: "
                f"a finite number is needed."
            )
        #: Of the outputs for one row.
        self.output_shape = outputs["test"].shape[1:]
        self.given_utility: NDArray[np.float64] = utility[0].double().cpu().numpy()


def _as_module(
    model: Any, train: Any, loss: str | Loss, fit: Recipe | Mapping[str, Any] | None, trained_rows: int | None
) -> LinearModel | None:
    """Return a linear model of scikit-learn as a module, unless it is something else or none that can be one."""
    if isinstance(model, nn.Module) or not isinstance(train, tuple | list) or len(train) != 2:
        return None
    if not hasattr(train[1], "__len__"):  # which is refused later
        return None
    if trained_rows is not None:
        check_integer("trained_rows", trained_rows, 1)
    found = linear_model(model, trained_rows or len(train[1]))
    if found is not None and fit is not None:
        raise InvalidValueError(
            f"fit was given, but {type(model).__name__} says itself how it was trained: leave it out."
        )
    if (
        found is not None
        and not (isinstance(loss, str) and loss == "cross_entropy")
        and resolve_loss(loss) is not found.loss
    ):
        raise InvalidValueError(
            f"loss is {loss!r}, but {type(model).__name__} was fitted with another one, which is known: leave it out."
        )
    return found


def as_array(x: Rows) -> NDArray[Any]:
    """Return rows as one array, for models that are not torch modules."""
    if not isinstance(x, Tensor):
        raise InvalidTypeError("x is a dict or tuple of tensors, but a model with fit and predict takes one array.")
    array: NDArray[Any] = x.cpu().numpy()
    return array


def _players(
    labels: ArrayLike | None, targets: Sequence[Any] | NDArray[Any] | None, rows: int, *, alone: bool
) -> tuple[list[Any], NDArray[np.int64]]:
    """Return the players, and the player of every row (-1: background); ``alone``: there may be a single one."""
    per_row = np.arange(rows) if labels is None else _labels(labels)
    if per_row.shape != (rows,):
        raise InvalidValueError(
            f"players has shape {list(per_row.shape)}, but one label for each of the {rows} training rows is needed."
        )
    groups = np.unique(per_row)
    if targets is None:
        if len(groups) < 2 and not alone:
            raise InvalidValueError(
                f"players has the single group {groups.tolist()[0]!r}, to which all the value belongs: at least two "
                f"groups are needed, or targets that leave a background."
            )
        chosen = groups.tolist()
    else:
        wanted = np.asarray(targets)
        if wanted.ndim != 1:
            raise InvalidTypeError(f"targets is {targets!r}, but a list of players is needed.")
        chosen = list(dict.fromkeys(wanted.tolist()))
        known = groups.tolist()
        for target in chosen:
            if target not in known:
                raise InvalidValueError(
                    f"target {target!r} is not among the players{nearest(target, [str(one) for one in known])}; "
                    f"the players are {', '.join(map(repr, known[:10]))}{', ...' if len(known) > 10 else ''}."
                )
        if not chosen:
            raise InvalidValueError("targets is empty: name at least one player, or leave it out to value all of them.")
    number = {player: index for index, player in enumerate(chosen)}
    return chosen, np.array([number.get(label, -1) for label in per_row.tolist()], dtype=np.int64)


def _labels(labels: ArrayLike) -> NDArray[Any]:
    """Return group labels as an array that can be sorted: numbers, or text where any of them is text."""
    listed = labels.tolist() if isinstance(labels, Tensor | np.ndarray) else list(labels)  # type: ignore[arg-type]
    try:
        missing = int(pd.isna(pd.Series(listed, dtype=object)).sum())
    except (TypeError, ValueError) as error:
        raise InvalidTypeError(f"players cannot be read ({error}): one label per row is needed.") from error
    if missing:
        raise InvalidValueError(f"players has no label in {missing} rows: every row needs one.")
    per_row = np.asarray([str(one) if isinstance(one, str) else one for one in listed], dtype=object)
    if per_row.ndim == 1 and all(isinstance(one, bool | int | float | np.number) for one in listed):
        return np.asarray(listed)
    if per_row.ndim == 1:
        return np.asarray([str(one) for one in listed])
    return per_row
