"""dattri's tasks: the trained models that a task stands for, and what its functions are of outputs and targets.

A task says what is trained and what is attributed by functions of parameters and data, which hide the model. Unlearning
is fast where it knows loss and outputs, so they are recognised by their numbers: on single rows of every class, and of
a training loss on all of these together, for the parameters of the checkpoint, for half of these and for their
opposites, with which no model is right, they are those of one of the core's losses.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from dattri.task import AttributionTask
from torch import Tensor, nn
from torch.func import functional_call

from unshap_plugin.errors import InvalidTypeError, InvalidValueError, UnknownNameError
from unshap_plugin.losses import LOSSES, Loss, resolve_loss
from unshap_plugin.model.generators import kept
from unshap_plugin.model.given import copied, logits_of, unwrapped
from unshap_plugin.model.rows import Rows, arguments, as_rows, map_rows, take, to_like

__all__ = ["loss_of", "models_of", "target_of"]

#: So many rows a function of the task is asked about, spread over all, and of so many classes one more.
_ROWS, _CLASSES = 32, 200
#: What the given parameters are multiplied by. Numbers near zero tell nothing apart: the last makes them large.
_SCALES = (1.0, 0.5, -0.5)


def models_of(task: AttributionTask) -> list[nn.Module]:
    """Return a trained model for every checkpoint of a task, in evaluation mode; the task's own is left as it is.

    Raises
    ------
    InvalidValueError
        If there is no checkpoint, or one cannot be loaded into the model.

    Examples
    --------
    >>> module = nn.Linear(2, 1)
    >>> task = AttributionTask(lambda params, data: None, module, [module.state_dict(), module.state_dict()])
    >>> [model is module for model in models_of(task)], module.training
    ([False, False], True)
    """
    checkpoints = task.get_checkpoints()
    if not checkpoints:
        raise InvalidValueError("the task has no checkpoint, but at least one trained model is needed.")
    return [_loaded(task, number, one) for number, one in enumerate(checkpoints)]


def _loaded(task: AttributionTask, number: int, checkpoint: Any) -> nn.Module:
    try:
        # Copied at once, below: a function that loads into a module of its own does so for the next one too.
        found = task.checkpoints_load_func(copied(unwrapped(task.model)), checkpoint)
    except Exception as error:  # whatever torch, or a function of somebody else, makes of it
        raise InvalidValueError(
            f"checkpoint {number} of the task cannot be loaded into its model ({_told(error)}): pass checkpoints of "
            f"this model, or a checkpoints_load_func that returns it."
        ) from error
    if not isinstance(found, nn.Module):
        raise InvalidValueError(
            f"checkpoints_load_func of the task returns a {type(found).__name__} for checkpoint {number}, but the "
            f"model is needed."
        )
    if next(found.parameters(), None) is None:
        raise InvalidValueError("the model of the task has no parameters, which unlearning would change.")
    return copied(unwrapped(found)).eval()


def _told(error: Exception) -> str:
    """Return what an error says, in a line."""
    first = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {first[0]}"


def loss_of(task: AttributionTask, model: nn.Module, x: Any, y: Any) -> Loss:
    """Return the training loss of a task as a function ``(outputs, targets) -> [rows]``.

    Parameters
    ----------
    task
        The task.
    model
        Its trained model.
    x, y
        Training rows ``[rows, ...]``.

    Raises
    ------
    InvalidValueError
        If it is none of the core's losses on single rows, or no plain mean or sum of them.

    Examples
    --------
    >>> module, y = nn.Linear(2, 1), torch.tensor([[1.0], [2.0]])
    >>> def squares(params, data):
    ...     return (functional_call(module, params, data[0]) - data[1]).square().mean()
    >>> loss_of(AttributionTask(squares, module, module.state_dict()), module, torch.eye(2), y).__name__
    'mse'
    """
    found, failure = _recognised(task.original_loss_func, task, model, x, y, together=True)
    if found is None:
        raise InvalidValueError(
            f"the loss_func of the task is none of {', '.join(LOSSES)}, on single rows and as their mean or sum"
            f"{failure}: pass loss=, one of these or a callable (outputs, targets) -> [rows]."
        )
    return found


def target_of(task: AttributionTask, model: nn.Module, x: Any, y: Any, target: str | Loss | None) -> Loss:
    """Return what a task attributes as a function ``(outputs, targets) -> [rows]``.

    Parameters
    ----------
    task
        The task.
    model
        Its trained model.
    x, y
        Test rows ``[rows, ...]``.
    target
        What the user says that it is, of float64 outputs; ``None``: one of the core's losses.

    Raises
    ------
    InvalidValueError, UnknownNameError, InvalidTypeError
        If it is not that.

    Examples
    --------
    >>> module = nn.Linear(2, 3)
    >>> def margin(params, data):
    ...     outputs = functional_call(module, params, data[0])
    ...     return -outputs[0, data[1][0]]
    >>> task, x, y = AttributionTask(margin, module, module.state_dict()), torch.eye(2), torch.tensor([2, 0])
    >>> target_of(task, module, x, y, lambda outputs, targets: -outputs.gather(1, targets[:, None])[:, 0]) is None
    False
    """
    if target is not None and not callable(target) and target not in LOSSES:
        if isinstance(target, str):
            raise UnknownNameError("target", target, LOSSES)
        raise InvalidTypeError(
            f"target is a {type(target).__name__}, but a name ({', '.join(LOSSES)}) or a callable (outputs, targets) "
            f"-> [rows] is needed."
        )
    found, failure = _recognised(task.original_target_func, task, model, x, y, target)
    if found is None:
        said = "none of " + ", ".join(LOSSES) if target is None else "not what target= says"
        raise InvalidValueError(
            f"the target_func of the task is {said} on single rows{failure}: pass target=, a callable (outputs, "
            f"targets) -> [rows] with the same numbers."
        )
    return found


def _recognised(
    function: Callable[..., Any],
    task: AttributionTask,
    model: nn.Module,
    x: Any,
    y: Any,
    said: str | Loss | None = None,
    *,
    together: bool = False,
) -> tuple[Loss | None, str]:
    """Return the loss whose numbers the function of a task gives; if there is none, also what the function raised."""
    like = next(model.parameters())
    rows, targets = (to_like(as_rows(part, what), like) for part, what in ((x, "x"), (y, "y")))
    if not isinstance(targets, Tensor):
        return None, ""
    some = _spread(targets)
    rows, targets = take(rows, some), targets[some]
    candidates = list(LOSSES.values()) if said is None else [resolve_loss(said)]
    places, named = arguments(rows)
    with kept(), torch.no_grad(), _evaluating(task.model):
        for scale in _SCALES:
            state = {name: p * scale for name, p in model.named_parameters()}
            whole = state | dict(model.named_buffers())
            try:
                outputs = logits_of(functional_call(model, state, places, named)).double()
            except Exception as error:
                raise InvalidValueError(f"the model fails on the rows x ({_told(error)}).") from error
            own, failure = _row_by_row(function, whole, rows, targets)
            if own is None:
                return None, failure
            candidates = [one for one in candidates if _same(one, outputs, targets, own)]
            if together and candidates and not _plain(function, whole, rows, targets, own):
                return None, ""
    # Of log-probabilities the cross entropy is the same function as nll_loss, which says more of them and comes later.
    return (candidates[-1] if candidates else None), ""


def _spread(targets: Tensor) -> Tensor:
    """Return the places of some rows that are spread over all, with one of each class."""
    places = torch.linspace(0, len(targets) - 1, min(_ROWS, len(targets))).long()
    if targets.ndim == 1 and not targets.is_floating_point():
        firsts = np.unique(targets.cpu().numpy(), return_index=True)[1]
        places = torch.cat([places, torch.from_numpy(firsts[:_CLASSES])])
    return places.unique()


@contextlib.contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Set a module to evaluation mode for a while: its functions see it, whatever parameters they are given."""
    modes = [(layer, layer.training) for layer in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for layer, training in modes:
            layer.training = training


def _row_by_row(
    function: Callable[..., Any], state: dict[str, Tensor], rows: Rows, targets: Tensor
) -> tuple[Tensor | None, str]:
    """Return what a function of a task gives for each row, ``[rows]``: as a batch of one, or without a batch.

    dattri's influence functions ask for the one, its TRAK for the other. Where it takes neither, what it raised.
    """
    failure = ""
    ones = [torch.tensor([row]) for row in range(len(targets))]
    for form in (ones, [one[0] for one in ones]):
        try:
            numbers = [torch.as_tensor(function(state, (_row(rows, one), targets[one]))).reshape(()) for one in form]
        except Exception as error:  # whatever the function of somebody else makes of the form that it does not take
            failure = failure or f" (of a batch of one row it raises {_told(error)})"
            continue
        return torch.stack(numbers), ""
    return None, failure


def _plain(function: Callable[..., Any], state: dict[str, Tensor], rows: Rows, targets: Tensor, own: Tensor) -> bool:
    """Tell whether a function of a batch is the mean, the sum or each of its numbers of single rows.

    A mean that weighs classes is not: of a single row the weight cancels. Where it takes no batch, there is no mean.
    """
    try:
        whole = torch.as_tensor(function(state, (rows, targets)))
    except Exception:  # it may be one of those that take a row without a batch
        return True
    expected = own if whole.ndim else torch.stack([own.mean(), own.sum()])
    close = torch.isclose(whole.reshape(-1).to(expected), expected, rtol=1e-4, atol=1e-5)
    return bool(close.all() if whole.ndim else close.any())


def _row(rows: Rows, index: Tensor) -> Rows:
    return map_rows(lambda tensor: tensor[index], rows)


def _same(loss: Loss, outputs: Tensor, targets: Tensor, numbers: Tensor) -> bool:
    try:
        mine = loss(outputs, targets.double() if targets.is_floating_point() else targets)
        return mine.shape == numbers.shape and bool(torch.isclose(mine, numbers.to(mine), rtol=1e-4, atol=1e-5).all())
    except Exception:  # of outputs and targets that are not its own
        return False
