"""How the learning rate of a training changes from step to step."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from unshap_plugin.errors import InvalidTypeError, InvalidValueError, UnknownNameError, check_number, in_short

__all__ = ["SCHEDULES", "check_schedule", "factors"]

#: Factors of the learning rate by the share of the steps after the warmup that are done, elementwise.
SCHEDULES: dict[str, Callable[[Tensor], Tensor]] = {
    "constant": torch.ones_like,
    "linear": lambda done: 1 - done,
    "cosine": lambda done: (1 + torch.cos(math.pi * done)) / 2,
}


def check_schedule(optimizer: str, schedule: object, warmup: object, clip: object) -> None:
    """Raise unless an optimiser can have such a schedule, such a warmup, and such a bound of gradients.

    Parameters
    ----------
    optimizer, schedule, warmup, clip
        See ``Recipe``.

    Raises
    ------
    UnknownNameError, InvalidTypeError, InvalidValueError
        If it cannot.

    Examples
    --------
    >>> check_schedule("adam", "cosine", 1.5, None)
    Traceback (most recent call last):
    unshap_plugin.errors.InvalidValueError: warmup is 1.5, but a whole number of steps, or a share of ... is needed.
    """
    if not isinstance(schedule, str) or schedule not in SCHEDULES:
        raise UnknownNameError("schedule", schedule, SCHEDULES)
    needed = "a whole number of steps, or a share of them as a float below 1, is needed"
    if isinstance(warmup, bool) or not isinstance(warmup, int | float | np.integer | np.floating):
        raise InvalidTypeError(f"warmup is {in_short(warmup)}, but {needed}.")
    if not (warmup >= 0 and (isinstance(warmup, int | np.integer) or warmup < 1)):
        raise InvalidValueError(f"warmup is {in_short(warmup)}, but {needed}.")
    if clip is not None:
        check_number("clip", clip, zero=False)
    if optimizer == "lbfgs" and (schedule != "constant" or warmup > 0 or clip is not None):
        raise InvalidValueError(
            "schedule, warmup and clip are of optimisers that take a step for each batch, which lbfgs does not: leave "
            "them out."
        )


def factors(schedule: str, warmup: float, steps: Tensor, step: int) -> Tensor:
    """Return what the learning rate of trainings is multiplied with at a step.

    Over the first ``w`` steps the factor is ``step / w``. Then it goes by the share of the others that are done,
    ``(step - w) / (steps - w)``.

    Parameters
    ----------
    schedule
        One of ``SCHEDULES``.
    warmup
        ``w``; a float is the share of the steps, rounded up to whole ones.
    steps
        How many steps each training takes, ``[m]``.
    step
        The step, from 0; below that number.

    Returns
    -------
    float64 ``[m]``, from 0 to 1.

    Examples
    --------
    >>> [round(factors("linear", 2, torch.tensor([6]), step).item(), 2) for step in range(6)]
    [0.0, 0.5, 1.0, 0.75, 0.5, 0.25]
    >>> factors("linear", 0.5, torch.tensor([2, 6]), 1)
    tensor([1.0000, 0.3333], dtype=torch.float64)
    """
    total = steps.to(torch.float64)
    first = torch.ceil(total * warmup) if isinstance(warmup, float | np.floating) else torch.full_like(total, warmup)
    done = (step - first) / (total - first).clamp(min=1)
    return torch.where(step < first, step / first.clamp(min=1), SCHEDULES[schedule](done.clamp(0, 1)))
