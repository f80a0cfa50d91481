"""What is to be valued: a trained model, its data, the players, and the measure of performance."""

from __future__ import annotations

import copy
import enum
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from unshap_plugin.engine import Engine
from unshap_plugin.errors import InvalidTypeError, InvalidValueError, UnknownNameError, nearest
from unshap_plugin.fit_predict import classifies, predicted
from unshap_plugin.losses import LOSSES, Loss, check_loss, cross_entropy, resolve_loss
from unshap_plugin.metrics import MetricLike, resolve_metric
from unshap_plugin.recipe import Recipe, resolve_recipe
from unshap_plugin.rows import Rows, as_rows, check_finite, n_rows, to_like

__all__ = ["Access", "ValuationProblem"]

T = TypeVar("T")


class Access(enum.Flag):
    """What an unlearner needs to see, or a problem can show."""

    FORGET = enum.auto()
    RETAIN = enum.auto()
    REFERENCE = enum.auto()
    ARTIFACTS = enum.auto()

    def names(self) -> str:
        """Return the members in words, joined by commas."""
        return ", ".join(str(one.name) for one in Access if one in self)


class ValuationProblem:
    """A trained model, its data, and the question what each player's data was worth.

    Parameters
    ----------
    model
        The trained ``torch.nn.Module``. A copy is taken, and set to evaluation mode: the model itself is never
        touched, and what happens to it later does not matter. Or any fitted object with ``fit`` and ``predict``,
        which only the unlearner ``retrain`` can work with.
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
        ``(x, y)`` or ``x``: data outside training that an unlearner may look at.
    access
        ``"full"``: ``train`` holds everything that the model was trained on. ``"partial"``: the model saw more.
    fit
        How the model was trained: a ``Recipe``, or a dict of its settings.

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
    ) -> None:
        if access not in ("full", "partial"):
            raise UnknownNameError("access", access, ["full", "partial"])
        self.access = access
        self.model = model
        self.loss = resolve_loss(loss)
        self.metric = resolve_metric(metric, self.loss)
        self.recipe = resolve_recipe(fit)
        self.engine: Engine | None = None
        self._memory: dict[Hashable, Any] = {}
        if isinstance(model, nn.Module):
            module = copy.deepcopy(model).eval()
            self.engine = Engine(module, self.loss)
            self.model = module
        elif not (callable(getattr(model, "fit", None)) and callable(getattr(model, "predict", None))):
            raise InvalidTypeError(
                f"model is a {type(model).__name__}, but a torch.nn.Module or an object with fit and predict is needed."
            )

        self.x, self.y = self._pair(train, "train")
        self.x_test, self.y_test = self._pair(test, "test")
        self.reference: tuple[Rows, Tensor | None] | None = None
        if reference is not None:
            pair = isinstance(reference, tuple) and len(reference) == 2
            self.reference = self._pair(reference, "reference") if pair else (self._rows(reference, "reference"), None)

        if n_rows(self.x) < 2 and access == "full":
            raise InvalidValueError("train has one row: at least two rows are needed to compare their values.")
        self.players, self.player_of_row = _players(players, targets, n_rows(self.x))
        self._check_labels()
        self.n_classes = self._count_classes()
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
        return seen

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
                return self.engine.call(dict(model.named_parameters()), x)
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

    def _rows(self, value: Any, what: str) -> Rows:
        rows = as_rows(value, what)
        if self.engine is not None and self.engine.theta0:
            rows = to_like(rows, next(iter(self.engine.theta0.values())))
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
        if self.loss is not cross_entropy or self.y.ndim != 1 or self.y.is_floating_point() or self.access != "full":
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

    def _count_classes(self) -> int:
        if self.y.is_floating_point():
            if classifies(self.model):
                raise InvalidTypeError(
                    f"train y has dtype {self.y.dtype}, but a classifier needs integer class labels: convert them."
                )
            return 0
        return int(max(self.y.max(), self.y_test.max())) + 1

    def _check_model(self) -> None:
        outputs = {}
        for what, x, y in (("train", self.x, self.y), ("test", self.x_test, self.y_test)):
            try:
                outputs[what] = self.outputs(self.model, x)
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
        except (RuntimeError, IndexError, TypeError, ValueError) as error:
            if isinstance(error, InvalidValueError):
                raise
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
        self.given_utility: NDArray[np.float64] = utility[0].double().cpu().numpy()


def as_array(x: Rows) -> NDArray[Any]:
    """Return rows as one array, for models that are not torch modules."""
    if not isinstance(x, Tensor):
        raise InvalidTypeError("x is a dict or tuple of tensors, but a model with fit and predict takes one array.")
    array: NDArray[Any] = x.cpu().numpy()
    return array


def _players(
    labels: ArrayLike | None, targets: Sequence[Any] | NDArray[Any] | None, rows: int
) -> tuple[list[Any], NDArray[np.int64]]:
    """Return the players, and the player of every row (-1: background)."""
    per_row = np.arange(rows) if labels is None else np.asarray(labels)
    if per_row.shape != (rows,):
        raise InvalidValueError(
            f"players has shape {list(per_row.shape)}, but one label for each of the {rows} training rows is needed."
        )
    if per_row.dtype.kind == "f" and np.isnan(per_row).any():
        raise InvalidValueError(f"players has NaN in {int(np.isnan(per_row).sum())} rows: every row needs a label.")
    if per_row.dtype.kind == "O":
        missing = sum(label is None or label != label for label in per_row)
        if missing:
            raise InvalidValueError(f"players has no label in {missing} rows: every row needs one.")
        per_row = per_row.astype(str) if any(isinstance(label, str) for label in per_row) else per_row
    groups = np.unique(per_row)
    if targets is None:
        if len(groups) < 2:
            raise InvalidValueError(
                f"players has the single group {groups.tolist()[0]!r}, to which all the value belongs: at least two "
                f"groups are needed, or targets that leave a background."
            )
        chosen = groups.tolist()
    else:
        chosen = list(dict.fromkeys(np.asarray(targets).tolist()))
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
