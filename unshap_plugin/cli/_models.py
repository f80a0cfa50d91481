"""The models of the command line: what they are called, and how they are trained."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from typing import Any

import torch
from sklearn.base import BaseEstimator, RegressorMixin, is_regressor
from torch import Tensor, nn

from unshap_plugin.cli._labels import Task
from unshap_plugin.cli._tables import Table
from unshap_plugin.errors import InvalidTypeError, InvalidValueError, UnknownNameError, UnshapError, nearest
from unshap_plugin.losses import resolve_loss
from unshap_plugin.model.fit_predict import classifies
from unshap_plugin.model.generators import seeded
from unshap_plugin.model.recipe import Recipe
from unshap_plugin.problem.evidence import kind_of_outputs
from unshap_plugin.scoring.loss_check import check_loss
from unshap_plugin.support.importing import load_object, working_directory_on_path

__all__ = ["MODELS", "Trained", "task_of", "train_model"]

#: The models by name, and the task that each is made for (``None``: any).
MODELS: dict[str, Task | None] = {"logistic": "classification", "ridge": "regression", "mlp": None}


@dataclass(frozen=True)
class Trained:
    """A trained model and how it came to be.

    Parameters
    ----------
    model
        A ``torch.nn.Module``, or a fitted object with ``fit`` and ``predict``.
    loss
        The name of its training loss.
    recipe
        How the module was trained; ``None`` for other objects, which train themselves.
    """

    model: Any
    loss: str
    recipe: Recipe | None


def task_of(name: str | None) -> Task | None:
    """Return the task that a model is made for, or ``None`` where the labels decide.

    Raises
    ------
    UnknownNameError
        If ``name`` is neither a model nor of the form ``package.module:factory``.
    """
    if name is None or ":" in name:
        return None
    if name not in MODELS:
        raise UnknownNameError("model", name, [*MODELS, "package.module:factory"])
    return MODELS[name]


def train_model(name: str | None, table: Table, seed: int) -> Trained:
    """Return the model of that name, trained on the training rows of the table.

    Parameters
    ----------
    name
        ``"logistic"`` or ``"ridge"``, trained to convergence with scikit-learn's default penalty; ``"mlp"``, one hidden
        layer of 32 units; or ``"package.module:factory"``, a callable ``(n_features, n_outputs)`` that returns an
        untrained torch module (trained like the mlp) or an unfitted object with ``fit`` and ``predict``. ``None``:
        logistic for classes, ridge for numbers.
    table
        The rows.
    seed
        Seed of the initial parameters, and of the order of the rows.

    Raises
    ------
    InvalidValueError, InvalidTypeError, UnknownNameError
        If there is no such model, or it cannot be trained on this table.
    """
    d, k = table.x.shape[1], table.n_outputs
    loss = "cross_entropy" if table.classes else "mse"
    name = name or ("logistic" if table.classes else "ridge")
    task_of(name)
    recipe = Recipe("adam", lr=0.01, epochs=30, batch_size=32)
    with seeded(seed):
        if name in ("logistic", "ridge"):
            # The strength is that of scikit-learn's defaults: its ridge penalises without the factor of 1/2, and its
            # binary logistic regression has one output w = w1 - w0, for which two outputs pay half. The bias is
            # penalised too: a free one has no optimum on rows of a single class, and the log-likelihood of such small
            # coalitions is then as low as the optimiser had patience for, which drowns all values in noise.
            recipe = Recipe("lbfgs", lr=1.0, epochs=500, batch_size=None, l2=2.0 if k <= 2 else 1.0)
            model: Any = nn.Linear(d, k, dtype=torch.float64)
            for parameter in model.parameters():
                nn.init.zeros_(parameter)
        elif name == "mlp":
            model = nn.Sequential(nn.Linear(d, 32), nn.ReLU(), nn.Linear(32, k))
        else:
            model = _made_by(name, d, k)
    return _train(model, recipe, loss, table, seed) if isinstance(model, nn.Module) else _fit(model, loss, table, seed)


def _train(module: nn.Module, recipe: Recipe, loss: str, table: Table, seed: int) -> Trained:
    parameters = [p for p in module.parameters() if p.requires_grad]
    if not parameters:
        raise InvalidTypeError(
            f"{type(module).__name__} has no trainable parameters: give a module that can be trained."
        )
    dtype = parameters[0].dtype
    if dtype not in (torch.float32, torch.float64):
        raise InvalidTypeError(
            f"{type(module).__name__} has parameters of {dtype}, in which small steps are rounded away: give a model "
            f"in single precision, as its .float() is."
        )
    x, y = torch.as_tensor(table.x, dtype=dtype), torch.as_tensor(table.y)
    y = y if table.classes else y.to(dtype)
    recipe = dataclasses.replace(recipe, init=module)
    try:
        with torch.no_grad():
            outputs = module.eval()(x)
        _check_outputs(module, loss, x, y, outputs, table)
        return Trained(recipe.train(module, resolve_loss(loss), x, y, seed=seed), loss, recipe)
    except UnshapError:
        raise
    except Exception as error:
        raise _untrainable(module, error) from error


def _check_outputs(module: nn.Module, loss: str, x: Tensor, y: Tensor, outputs: Tensor, table: Table) -> None:
    """Refuse outputs that the loss, which the task decides here, does not take."""
    name = type(module).__name__
    try:
        check_loss(resolve_loss(loss), outputs, y)
    except UnshapError as error:
        needed = [len(x), table.n_outputs]
        raise InvalidValueError(
            f"{name} gave outputs {list(outputs.shape)}, but {needed} are needed, "
            f"{'one per class' if table.classes else 'one number'} for each row: give a model that returns as many as "
            f"its factory is told."
        ) from error
    try:
        kind_of_outputs(None, module, resolve_loss(loss), x, outputs)
    except UnshapError as error:
        raise InvalidValueError(
            f"{name} ends in a softmax or a sigmoid, but is trained here by the cross-entropy, which takes a softmax "
            f"itself: give a model without that last layer."
        ) from error


def _fit(model: Any, loss: str, table: Table, seed: int) -> Trained:
    # scikit-learn refuses to say what kind of model an object is that does not derive from its base class.
    regresses = isinstance(model, RegressorMixin) or (isinstance(model, BaseEstimator) and is_regressor(model))
    if regresses if table.classes else classifies(model):
        kind = "regressor, but the labels are classes" if table.classes else "classifier, but the labels are numbers"
        raise InvalidTypeError(f"{type(model).__name__} is a {kind}: give a model for a {table.task}.")
    try:
        with seeded(seed):
            model.fit(table.x, table.y)
    except Exception as error:
        raise _untrainable(model, error) from error
    return Trained(model, loss, None)


def _untrainable(model: Any, error: Exception) -> InvalidValueError:
    return InvalidValueError(
        f"{type(model).__name__} cannot be trained on this table ({type(error).__name__}: {error}): give a model that "
        f"takes rows of features and returns one output per class, or one number."
    )


def _made_by(name: str, n_features: int, n_outputs: int) -> Any:
    """Import ``package.module:factory``, also from the working directory, and call the factory."""
    where, _, attribute = name.partition(":")
    try:
        with working_directory_on_path():
            factory, missing = load_object(name), ""
    except Exception as error:
        if where not in sys.modules:
            cause = error.__cause__ or error if isinstance(error, InvalidValueError) else error
            raise InvalidValueError(
                f"model {name!r}: the module {where!r} cannot be imported ({type(cause).__name__}: {cause}); expected "
                f"package.module:factory, importable from here."
            ) from error
        factory, missing = None, f"nothing of that name{nearest(attribute, dir(sys.modules[where]))}"
    if not callable(factory):
        raise InvalidValueError(
            f"model {name!r}: {where!r} has {missing or f'a {type(factory).__name__} there'}, but a callable "
            f"(n_features, n_outputs) that returns an untrained model is needed."
        )
    try:
        model = factory(n_features, n_outputs)
    except Exception as error:
        raise InvalidValueError(
            f"model {name!r}: calling it with ({n_features}, {n_outputs}) failed ({type(error).__name__}: {error}); "
            f"expected a callable (n_features, n_outputs) that returns an untrained model."
        ) from error
    if not isinstance(model, nn.Module) and not (callable(getattr(model, "fit", None)) and hasattr(model, "predict")):
        raise InvalidTypeError(
            f"model {name!r} returned a {type(model).__name__}, but a torch.nn.Module or an object with fit and "
            f"predict is needed."
        )
    return model
