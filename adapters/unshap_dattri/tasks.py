"""dattri's tasks: the trained models that a task stands for, and what its functions are of outputs and targets.

A task says what is trained and what is attributed by functions of parameters and data, which hide the model. Unlearning
is fast where it knows loss and outputs, so they are recognised by their numbers: on single rows, for the parameters of
the checkpoint and for half of these, they are those of one of the core's losses.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from dattri.task import AttributionTask
from torch import Tensor, nn
from torch.func import functional_call

from unshap_plugin.errors import InvalidValueError
from unshap_plugin.losses import LOSSES, Loss, resolve_loss
from unshap_plugin.model.generators import kept
from unshap_plugin.model.given import copied
from unshap_plugin.model.rows import Rows, arguments, as_rows, map_rows, take, to_like

__all__ = ["loss_of", "models_of", "target_of"]

#: So many rows a function of the task is asked about.
_ROWS = 8


def models_of(task: AttributionTask) -> list[nn.Module]:
    """Return a trained model for every checkpoint of a task, in evaluation mode; the task's own is left as it is.

    Examples
    --------
    >>> module = nn.Linear(2, 1)
    >>> task = AttributionTask(lambda params, data: None, module, [module.state_dict(), module.state_dict()])
    >>> [model is module for model in models_of(task)], module.training
    ([False, False], True)
    """
    return [task.checkpoints_load_func(copied(task.model), one).eval() for one in task.get_checkpoints()]


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
        If it is none of the core's losses on single rows.

    Examples
    --------
    >>> module, y = nn.Linear(2, 1), torch.tensor([[1.0], [2.0]])
    >>> def squares(params, data):
    ...     return (functional_call(module, params, data[0]) - data[1]).square().mean()
    >>> loss_of(AttributionTask(squares, module, module.state_dict()), module, torch.eye(2), y).__name__
    'mse'
    """
    found = _recognised(task.original_loss_func, task, model, x, y)
    if found is None:
        raise InvalidValueError(
            f"the loss_func of the task is none of {', '.join(LOSSES)} on single rows: pass loss=, one of these or a "
            f"callable (outputs, targets) -> [rows]."
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
        What the user says that it is; ``None``: one of the core's losses.

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
    found = _recognised(task.original_target_func, task, model, x, y, target)
    if found is None:
        said = "none of " + ", ".join(LOSSES) if target is None else "not what target= says"
        raise InvalidValueError(
            f"the target_func of the task is {said} on single rows: pass target=, a callable (outputs, targets) -> "
            f"[rows] with the same numbers."
        )
    return found


def _recognised(
    function: Callable[..., Any],
    task: AttributionTask,
    model: nn.Module,
    x: Any,
    y: Any,
    said: str | Loss | None = None,
) -> Loss | None:
    """Return the loss whose numbers the function of a task gives, if there is one."""
    some = torch.arange(min(_ROWS, len(y)))
    like = next(model.parameters())
    rows, targets = (to_like(take(as_rows(part, what), some), like) for part, what in ((x, "x"), (y, "y")))
    if not isinstance(targets, Tensor):
        return None
    candidates = list(LOSSES.values()) if said is None else [resolve_loss(said)]
    places, named = arguments(rows)
    with kept(), torch.no_grad(), _evaluating(task.model):
        for shrunk in (1.0, 0.5):
            state = {name: p * shrunk for name, p in model.named_parameters()}
            own = _row_by_row(function, state | dict(model.named_buffers()), rows, targets)
            outputs = functional_call(model, state, places, named)
            candidates = [one for one in candidates if _same(one, outputs, targets, own)]
    # Of log-probabilities the cross entropy is the same function as nll_loss, which says more of them and comes later.
    return candidates[-1] if candidates else None


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


def _row_by_row(function: Callable[..., Any], state: dict[str, Tensor], rows: Rows, targets: Tensor) -> Tensor | None:
    """Return what a function of a task gives for each row, ``[rows]``: as a batch of one, or without a batch.

    dattri's influence functions ask for the one, its TRAK for the other.
    """
    ones = [torch.tensor([row]) for row in range(len(targets))]
    for form in (ones, [one[0] for one in ones]):
        try:
            numbers = [torch.as_tensor(function(state, (_row(rows, one), targets[one]))).reshape(()) for one in form]
        except Exception:  # whatever the function of somebody else makes of the form that it does not take
            continue
        return torch.stack(numbers)
    return None


def _row(rows: Rows, index: Tensor) -> Rows:
    return map_rows(lambda tensor: tensor[index], rows)


def _same(loss: Loss, outputs: Tensor, targets: Tensor, numbers: Tensor | None) -> bool:
    if numbers is None:
        return False
    try:
        mine = loss(outputs, targets)
    except Exception:  # of outputs and targets that are not its own
        return False
    return mine.shape == numbers.shape and bool(torch.isclose(mine, numbers.to(mine), rtol=1e-4, atol=1e-5).all())
