"""Checks that data, model and metric fit together: everything that can be refused before any work."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from unshap_plugin.errors import InvalidTypeError, InvalidValueError, UnshapError
from unshap_plugin.metrics import Metric
from unshap_plugin.model.classes import Classes
from unshap_plugin.model.generators import moved, states
from unshap_plugin.model.rows import Rows, n_rows
from unshap_plugin.model.torch_settings import settings_kept
from unshap_plugin.model.trained import FittedObject, TrainedModule
from unshap_plugin.support.threads import alone

__all__ = [
    "check_labels",
    "check_pair",
    "check_targets",
    "check_utility",
    "checked_outputs",
    "count_trained",
    "utilities",
]


def check_pair(value: Any, what: str) -> None:
    """Raise ``InvalidTypeError`` unless ``value`` is a pair ``(x, y)``."""
    if not (isinstance(value, tuple | list) and len(value) == 2):
        length = f" of length {len(value)}" if isinstance(value, tuple | list) else ""
        raise InvalidTypeError(f"{what} is a {type(value).__name__}{length}, but a pair (x, y) is needed.")
    for name, part in zip("xy", value, strict=True):
        if part is None:
            raise InvalidTypeError(f"{what} {name} is None, but {'rows' if name == 'x' else 'labels'} are needed.")


def check_targets(x: Rows, y: Rows, what: str) -> Tensor:
    """Return the targets of rows, which are one tensor with one entry for each.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If they are not.
    """
    if not isinstance(y, Tensor):
        raise InvalidTypeError(f"{what} y is a {type(y).__name__}, but one array of labels is needed.")
    if len(y) != n_rows(x):
        raise InvalidValueError(f"{what} has {n_rows(x)} rows of x but {len(y)} labels: one label per row is needed.")
    return y


def count_trained(given: int | None, at_hand: int, known: int | None) -> int:
    """Return how many rows the model was trained on, as far as that is known.

    Parameters
    ----------
    given
        What the user says.
    at_hand
        Number of training rows that are at hand.
    known
        Their number where it is known for sure: with full access, or from stored artefacts.

    Raises
    ------
    InvalidValueError
        If the user says something else than what is known, or fewer than are at hand.

    Examples
    --------
    >>> count_trained(None, 40, None), count_trained(100, 40, None)
    (40, 100)
    """
    if given is None:
        return at_hand if known is None else known
    if given < at_hand or known not in (None, given):
        where = "are at hand" if known in (None, at_hand) else "were there when the artefacts were stored"
        other = "give the number of rows that the model was trained on"
        if known == at_hand < given:
            other = "pass access='partial' where the model was trained on more"
        rows = at_hand if known is None else known
        raise InvalidValueError(f"trained_rows is {given}, but {rows} rows {where}: leave it out, or {other}.")
    return int(given)


def check_labels(train: Tensor, test: Tensor, classes: Classes | None) -> None:
    """Raise ``InvalidValueError`` where class labels leave nothing to learn, or are tested but not trained.

    Parameters
    ----------
    train, test
        Class numbers ``[rows]``; or numbers from 0 to 1, one for each row. Several for each row say nothing.
    classes
        What the classes are called; ``None``: by their numbers.
    """
    if train[0].numel() != 1:
        return
    if train.is_floating_point():
        if len(train.unique()) < 2:
            raise InvalidValueError(
                f"train has the single class {float(train.flatten()[0]):g}: at least two classes are needed to learn "
                f"anything."
            )
        return
    if test.is_floating_point():
        return  # the loss says what is wrong with them
    trained, tested = train.unique().tolist(), test.unique().tolist()
    called = list(range(max(*trained, *tested) + 1)) if classes is None else classes.labels.tolist()
    if len(trained) < 2:
        raise InvalidValueError(
            f"train has the single class {called[trained[0]]!r}: at least two classes are needed to learn anything."
        )
    missing = sorted(set(tested) - set(trained))
    if missing:
        numbers = "; or, where y are numbers and no classes, say loss='mse'" if classes is None else ""
        raise InvalidValueError(
            f"test has class {called[missing[0]]!r}, which train lacks (train has {[called[one] for one in trained]}): "
            f"no training row can be worth anything for it; drop those test rows or add training rows of that class"
            f"{numbers}."
        )


def checked_outputs(trained: TrainedModule | FittedObject, x: Rows, what: str) -> Tensor:
    """Return the outputs ``[rows, ...]`` of the given model.

    Raises
    ------
    InvalidValueError
        If the model cannot be applied to the rows, or has outputs that are not finite.
    """
    try:
        outputs = trained.outputs(trained.model, x)
    except InvalidTypeError:
        raise
    except Exception as error:
        raise InvalidValueError(
            f"the model cannot be applied to the {what} rows ({type(error).__name__}: {error}): pass a trained model "
            f"and the data in the form that it takes."
        ) from error
    changed = trained.put_back() if isinstance(trained, TrainedModule) else None
    if changed is not None:
        raise InvalidValueError(
            f"the forward of {type(trained.model).__name__} changes {changed} in place, also in evaluation mode, but "
            f"many models are computed from the given one: leave it alone there (an embedding with max_norm: set that "
            f"to None once it is trained, of weights that were normalised)."
        )
    if not torch.isfinite(outputs).all():
        raise InvalidValueError(f"the model as given has outputs that are not finite on the {what} rows.")
    return outputs


def check_utility(metric: Metric, outputs: Tensor, y: Tensor) -> Tensor:
    """Return the utility of the given model, a scalar or ``[t]``.

    Parameters
    ----------
    metric
        The metric.
    outputs, y
        Outputs of the given model ``[rows, ...]`` on the test set, and its targets.

    Raises
    ------
    InvalidValueError, InvalidTypeError
        If the metric cannot be computed, breaks its contract, or is not finite.
    """
    try:
        [utility] = utilities(metric, outputs[None], y, (len(metric.parts),) if metric.parts else None)
    except UnshapError:
        raise
    except (Exception, SystemExit) as error:
        raise InvalidValueError(
            f"metric {metric.name!r} cannot be computed from outputs {list(outputs.shape)} and targets "
            f"{list(y.shape)} ({type(error).__name__}: {error}): use a metric that matches the outputs."
        ) from error
    if not torch.isfinite(utility).all():
        raise InvalidValueError(
            f"metric {metric.name!r} is {utility.tolist()} for the model as given: a finite number is needed."
        )
    return utility


def utilities(metric: Metric, outputs: Tensor, y: Tensor, shape: tuple[int, ...] | None = None) -> Tensor:
    """Return the utilities of ``m`` models, ``[m]`` or ``[m, t]``, by a metric that may be anybody's.

    It is given a copy of the targets, and the global random generators and settings of torch are put back.

    Parameters
    ----------
    metric
        The metric.
    outputs, y
        Outputs of the models ``[m, rows, ...]`` on the test set, and its targets.
    shape
        That of the utility of one model, if it is known: ``()`` or ``(t,)``.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If the metric returns something else than that, draws from the global generators, or changes what it is given.

    Examples
    --------
    >>> mean = Metric("mean", lambda outputs, targets: outputs.mean())
    >>> utilities(mean, torch.zeros(2, 3, 1), torch.zeros(3))
    Traceback (most recent call last):
    unshap_plugin.errors.InvalidValueError: metric 'mean' gave shape [] for 2 models, but [m] or [m, t] is needed: ...
    """
    given = y.clone()
    versions = outputs._version, given._version
    with alone(), settings_kept():  # what another thread draws would be taken for the metric's
        generators = states()
        try:
            scores = metric.score(outputs, given)
        finally:
            generator = moved(generators)
    if not isinstance(scores, Tensor):
        raise InvalidTypeError(
            f"metric {metric.name!r} returned a {type(scores).__name__}, but a tensor [m] or [m, t] is needed: one row "
            f"for each model."
        )
    expected = (len(outputs), *(scores.shape[1:] if shape is None else shape))
    if scores.shape != expected or scores.ndim > 2 or scores.numel() == 0:
        wanted = "[m] or [m, t]" if shape is None else f"{list(expected)}"
        raise InvalidValueError(
            f"metric {metric.name!r} gave shape {list(scores.shape)} for {len(outputs)} models, but {wanted} is "
            f"needed: one row for each."
        )
    if generator is not None:
        raise InvalidValueError(
            f"metric {metric.name!r} drew from the global random generator of {generator}, but a utility is the same "
            f"whenever it is asked for: draw from a generator that every call seeds alike."
        )
    if (outputs._version, given._version) != versions:
        raise InvalidValueError(
            f"metric {metric.name!r} changed the outputs or the targets in place, which others need: work on copies."
        )
    return scores
