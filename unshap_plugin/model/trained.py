"""A given model of either kind, and the copy of it that is worked with."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from unshap_plugin.errors import InvalidTypeError
from unshap_plugin.losses import LOSSES, Loss, cross_entropy, nll_loss
from unshap_plugin.model.classes import Classes
from unshap_plugin.model.engine import Engine
from unshap_plugin.model.fit_predict import classifies, predicted
from unshap_plugin.model.frozen import cut, freeze
from unshap_plugin.model.given import copied, copied_object, unwrapped
from unshap_plugin.model.modes import dense
from unshap_plugin.model.raw import RawRows, as_raw
from unshap_plugin.model.recipe import Recipe
from unshap_plugin.model.rows import Rows, as_rows, check_finite, map_rows, to_like
from unshap_plugin.model.same_module import change, same
from unshap_plugin.model.sklearn_linear import LinearModel
from unshap_plugin.support.threads import alone

__all__ = ["FittedObject", "TrainedModule", "as_input"]


class TrainedModule:
    """A trained torch module.

    Parameters
    ----------
    module
        The module. A copy is taken, and set to evaluation mode.
    loss
        Its training loss, ``(outputs, targets) -> [rows]``.
    recipe
        Recipe by which it was trained, if that is known.
    linear
        The linear model of scikit-learn that it was made from, if it was.
    parameters
        Which of its parameters are unlearned, as ``freeze`` takes them; ``None``: all that are trainable.

    Attributes
    ----------
    model
        The copy that is worked with.
    engine
        The copy and its loss, evaluated for many coalitions at once.
    whole
        The engine and the training rows of the module of which this is the end, after ``cut``.
    note
        Which parameters are unlearned, in a sentence, where not all of them are.

    Raises
    ------
    InvalidValueError, InvalidTypeError
        If the recipe or ``parameters`` name parameters that the module does not have.

    Examples
    --------
    >>> trained = TrainedModule(nn.Linear(3, 2), cross_entropy)
    >>> trained.outputs(trained.model, torch.zeros(5, 3)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        module: nn.Module,
        loss: Loss,
        recipe: Recipe | None = None,
        linear: LinearModel | None = None,
        parameters: str | Sequence[str] | None = None,
    ) -> None:
        module = unwrapped(module)
        if recipe is not None:
            recipe.check(module)
        self.loss, self.recipe = loss, recipe
        self._given = dense(copied(module)).eval()
        self._given.zero_grad()
        self.note = None if parameters is None else freeze(self._given, parameters)
        _check_precision(self._given)
        # Where some parameters are frozen, scikit-learn's fit would not leave them as they are: the recipe does.
        self.linear = linear if all(p.requires_grad for p in self._given.parameters()) else None
        self.whole: tuple[Engine, Rows] | None = None
        self._restore()

    def read(self, value: Any, what: str) -> Rows:
        """Return rows of finite numbers, placed.

        Raises
        ------
        InvalidValueError, InvalidTypeError
            If they are something else.
        """
        rows = self.placed(as_rows(value, what))
        check_finite(rows, what)
        return rows

    def placed(self, rows: Rows) -> Rows:
        """Return rows on the device and (where they are floating) in the dtype of the parameters."""
        return to_like(rows, next(iter(self.engine.theta0.values()))) if self.engine.theta0 else rows

    def targets(self, y: Tensor) -> Tensor:
        """Return targets in the dtype that the loss takes."""
        if self.loss in (cross_entropy, nll_loss):
            column = y.ndim == 2 and y.shape[1] == 1
            return y if y.is_floating_point() else (y[:, 0] if column else y).long()
        return y.to(self.engine.dtype) if self.loss in LOSSES.values() and self.engine.theta0 else y

    def outputs(self, model: nn.Module, x: Rows) -> Tensor:
        """Return the outputs ``[rows, ...]`` of a module of this architecture.

        Raises
        ------
        InvalidTypeError
            If it returns something else than one tensor.
        """
        with torch.no_grad(), alone():
            outputs = self.engine.call(dict(model.named_parameters()), x)
        if not isinstance(outputs, Tensor) or outputs.ndim == 0:
            raise InvalidTypeError(
                f"the model returned a {type(outputs).__name__}, but a tensor [rows, ...] is needed: wrap the model in "
                f"a module that returns its outputs alone."
            )
        return outputs.detach().clone()  # it may be a view of a parameter

    def cut(self, sets: Sequence[Rows]) -> list[Rows] | None:
        """Go on with the end of the module that has the parameters, and return what the rest makes of sets of rows.

        The training rows are the first of these. ``None``: no end can be told from the rest, and nothing was done.
        """
        part = cut(self._given, sets)
        if part is None:
            return None
        self.whole = self.engine, sets[0]
        self._given, self.recipe = part.module, part.recipe(self.recipe)
        self._restore()
        return part.rows

    def put_back(self) -> str | None:
        """Put the module back as it was given where something changed it, and return what that was."""
        changed = change(self._given, self.model, self.engine.restless) or self._replaced()
        if changed is not None:
            self._restore()
        return changed

    def _restore(self) -> None:
        self.model: nn.Module = copied(self._given)
        self.engine = Engine(self.model, self.loss)

    def _replaced(self) -> str | None:
        """Say which parameter the engine no longer shares with the model, if any."""
        theirs = {name: p.detach() for name, p in self.model.named_parameters() if p.requires_grad}
        odd = [n for n, p in self.engine.theta0.items() if n not in theirs or theirs[n].data_ptr() != p.data_ptr()]
        return f"{odd[0]!r}" if odd else None


def _check_precision(module: nn.Module) -> None:
    for name, p in module.named_parameters():
        if p.requires_grad and p.dtype not in (torch.float32, torch.float64):
            raise InvalidTypeError(
                f"parameter {name!r} is {p.dtype}, in which the small steps of unlearning are rounded away: pass "
                f"copy.deepcopy(model).float()."
            )


class FittedObject:
    """A fitted object with ``fit`` and ``predict``, as in scikit-learn.

    Parameters
    ----------
    model
        The object; a copy is taken.
    classes
        The labels of its classes where it is a classifier.

    Attributes
    ----------
    model
        The copy that is worked with.

    Raises
    ------
    InvalidTypeError
        If it has no ``fit`` or no ``predict``.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> fitted = FittedObject(DecisionTreeRegressor().fit([[0], [1]], [0.0, 2.0]))
    >>> fitted.outputs(fitted.model, torch.tensor([[1.0]]))
    tensor([2.], dtype=torch.float64)
    """

    def __init__(self, model: Any, classes: Classes | None = None) -> None:
        able = callable(getattr(model, "fit", None)) and callable(getattr(model, "predict", None))
        if isinstance(model, type) or not able:
            given = f"the class {model.__name__}" if isinstance(model, type) else f"a {type(model).__name__}"
            raise InvalidTypeError(
                f"model is {given}, but a torch.nn.Module or an object with fit and predict is needed."
            )
        self._given = copied_object(model)
        self.model = copied_object(self._given)
        self.classes = classes
        self._watched: Rows | None = None

    @property
    def classifies(self) -> bool:
        """Tell whether it is a classifier."""
        return classifies(self._given)

    def read(self, value: Any, what: str) -> Rows:
        """Return rows: numbers on the processor, tables, text and sparse rows in the form in which they are given.

        What may be missing in them is for the object to say.

        Raises
        ------
        InvalidValueError, InvalidTypeError
            If they are no rows.
        """
        raw = as_raw(value, what)
        return self.placed(as_rows(value, what)) if raw is None else raw

    def placed(self, rows: Rows) -> Rows:
        """Return rows on the processor, where the answers are."""
        return map_rows(Tensor.cpu, rows)

    def targets(self, y: Tensor) -> Tensor:
        """Return targets as they are: an object is given labels or numbers."""
        return y

    def outputs(self, model: Any, x: Rows, seed: int = 0) -> Tensor:
        """Return the outputs ``[rows, ...]`` of such an object; what it draws comes from the seed."""
        return predicted(model, as_input(x), self.classes, seed)

    def watch(self, x: Rows) -> None:
        """Take the answers on these rows for what tells whether the object was changed."""
        self._watched = x

    def put_back(self) -> str | None:
        """Put the object back where it answers otherwise on the watched rows, and return what was changed."""
        if self._watched is None:
            return None
        now, given = self.outputs(self.model, self._watched), self.outputs(self._given, self._watched)
        if same(now, given) or not same(given, self.outputs(self._given, self._watched)):
            return None  # or it never answers alike
        self.model = copy.deepcopy(self._given)
        return "the answers"


def as_input(x: Rows) -> Any:
    """Return a copy of rows as an object takes them: in the form in which they were given, numbers as an array.

    Raises
    ------
    InvalidTypeError
        If they are a dict or tuple of tensors.
    """
    if isinstance(x, RawRows):
        return x.handed()
    if not isinstance(x, Tensor):
        raise InvalidTypeError("x is a dict or tuple of tensors, but a model with fit and predict takes one array.")
    return x.cpu().numpy().copy()
