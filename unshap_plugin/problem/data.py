"""Data as users bring it, as rows and targets that a model takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from unshap_plugin.model.classes import Classes
from unshap_plugin.model.columns import Columns
from unshap_plugin.model.rows import Rows, as_rows, check_finite
from unshap_plugin.model.trained import FittedObject, TrainedModule
from unshap_plugin.problem.checks import check_pair, check_targets
from unshap_plugin.problem.loaders import as_pair

__all__ = ["Reader"]


@dataclass(frozen=True)
class Reader:
    """Reads data for one model.

    Parameters
    ----------
    trained
        The model, which says of what dtype and on which device its rows are.
    classes
        What the classes are called where labels are to be encoded.
    columns
        The columns of tables in the order that the model takes.

    Raises
    ------
    InvalidValueError, InvalidTypeError
        From both methods, if the data cannot be used.

    Examples
    --------
    >>> import torch
    >>> from unshap_plugin.losses import cross_entropy
    >>> reader = Reader(TrainedModule(torch.nn.Linear(1, 2), cross_entropy), None, Columns.of(None, None))
    >>> reader.pair(([[1.0], [2.0]], [0, 1]), "train")
    (tensor([[1.],
            [2.]]), tensor([0, 1]))
    """

    trained: TrainedModule | FittedObject
    classes: Classes | None
    columns: Columns

    def rows(self, value: Any, what: str) -> Rows:
        """Return rows ``[rows, ...]``."""
        return self.trained.read(self.columns.aligned(value, what), what)

    def pair(self, value: Any, what: str) -> tuple[Rows, Tensor]:
        """Return rows ``[rows, ...]`` and their targets ``[rows, ...]``."""
        value = as_pair(value, what)
        check_pair(value, what)
        x = self.rows(value[0], f"{what} x")
        given = list(value[1]) if isinstance(value[1], tuple) else value[1]  # of rows a tuple is several inputs
        labels = given if self.classes is None else self.classes.encode(given, f"{what} y")
        numbers = self.trained.placed(as_rows(labels, f"{what} y"))
        check_finite(numbers, f"{what} y")
        y = check_targets(x, numbers, what)
        return x, self.trained.targets(y)
