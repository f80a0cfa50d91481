"""Data as users bring it, as rows and targets that a model takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd
from torch import Tensor

from unshap_plugin.errors import SHOWN, InvalidValueError
from unshap_plugin.model.classes import Classes
from unshap_plugin.model.rows import Rows, as_rows, check_finite
from unshap_plugin.model.trained import FittedObject, TrainedModule
from unshap_plugin.problem.checks import check_pair, check_targets

__all__ = ["Reader", "columns_of"]


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
        The columns of tables in the order that the model takes, where that is known (see ``columns_of``).

    Raises
    ------
    InvalidValueError, InvalidTypeError
        From both methods, if the data cannot be used.

    Examples
    --------
    >>> import torch
    >>> from unshap_plugin.losses import cross_entropy
    >>> reader = Reader(TrainedModule(torch.nn.Linear(1, 2), cross_entropy), None)
    >>> reader.pair(([[1.0], [2.0]], [0, 1]), "train")
    (tensor([[1.],
            [2.]]), tensor([0, 1]))
    """

    trained: TrainedModule | FittedObject
    classes: Classes | None
    columns: tuple[Any, ...] | None = None

    def rows(self, value: Any, what: str) -> Rows:
        """Return rows ``[rows, ...]``."""
        if self.columns is not None and isinstance(value, pd.DataFrame) and tuple(value.columns) != self.columns:
            raise InvalidValueError(
                f"{what} has the columns {_listed(value.columns)}, but {_listed(self.columns)} are needed, in that "
                f"order."
            )
        return self._numbers(value, what)

    def _numbers(self, value: Any, what: str) -> Rows:
        rows = self.trained.rows(as_rows(value, what))
        check_finite(rows, what)
        return rows

    def pair(self, value: Any, what: str) -> tuple[Rows, Tensor]:
        """Return rows ``[rows, ...]`` and their targets ``[rows, ...]``."""
        check_pair(value, what)
        x = self.rows(value[0], f"{what} x")
        labels = value[1] if self.classes is None else self.classes.encode(value[1], f"{what} y")
        y = check_targets(x, self._numbers(labels, f"{what} y"), what)
        return x, self.trained.targets(y)


def columns_of(model: Any, x: Any) -> tuple[Any, ...] | None:
    """Return the columns that a model was fitted on, or else those of a table ``x``, where there are names."""
    fitted = getattr(model, "feature_names_in_", None)
    if fitted is not None:
        return tuple(fitted)
    return tuple(x.columns) if isinstance(x, pd.DataFrame) else None


def _listed(names: Iterable[Any]) -> str:
    shown = [repr(name) for name in names]
    return ", ".join(shown[:SHOWN]) + (", ..." if len(shown) > SHOWN else "")
