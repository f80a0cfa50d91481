"""Failures of a model or a metric on request, and a watch on the models that an evaluator fits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from sklearn.exceptions import NotFittedError

__all__ = ["ERRORS", "Fault", "FaultError", "Watch"]


class FaultError(Exception):
    """Error of a model that was told to fail."""


# What models raise; scikit-learn a ValueError where a coalition has only one class. None is derived from another one,
# so that one class can be derived from all.
_CAUGHT: tuple[type[Exception], ...] = (
    NotFittedError,  # a ValueError and an AttributeError
    np.linalg.LinAlgError,
    torch.cuda.OutOfMemoryError,
    NotImplementedError,
    FloatingPointError,
    ZeroDivisionError,
    MemoryError,
    IndexError,
    KeyError,
    TypeError,
    AssertionError,
)
#: Ways to fail. The first is of many types at once: whatever catches one of these catches it.
ERRORS: tuple[type[FaultError], ...] = (
    type("FaultOfManyTypes", (FaultError, *_CAUGHT), {}),
    *(
        type(f"Fault{error.__name__}", (FaultError, error), {})
        for error in (ValueError, RuntimeError, ArithmeticError, LookupError, MemoryError, TypeError, OSError)
    ),
)


@dataclass(frozen=True)
class Fault:
    """Place where a model is to fail, and its number of training rows; or the metric, which does not know them.

    Two faults in the same place are equal, whatever they raise.
    """

    where: Literal["fit", "predict", "metric"]
    rows: int | None
    error: type[FaultError] = field(default=ERRORS[0], compare=False)

    def __str__(self) -> str:
        """Return the place in words, as in ``fit on 2 rows``."""
        if self.where == "metric":
            return "second call of the metric"
        return f"fit on {self.rows} rows" if self.where == "fit" else f"prediction of a model of {self.rows} rows"


class Watch:
    """Watch on a model and all its copies: what they are fitted with, how often again, how often they fail.

    Parameters
    ----------
    fault
        Way in which they are to fail, if they are.
    """

    def __init__(self, fault: Fault | None = None) -> None:
        self.fault = fault
        self.failures = self.scores = self.refits = 0
        self.keywords: list[dict[str, Any]] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> Watch:
        """Return itself: the copies of a model are watched together."""
        return self

    def meet(self, fault: Fault) -> None:
        """Raise if this is how the model is to fail."""
        if self.fault is not None and self.fault == fault:
            self.failures += 1
            raise self.fault.error(f"told to fail in the {fault}")

    def second_score(self, score: float) -> float:
        """Return a score the first time, and raise from then on if the metric is to fail."""
        self.scores += 1
        if self.scores > 1:
            self.meet(Fault("metric", None))
        return score
