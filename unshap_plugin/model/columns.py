"""The columns of tables, which go by their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np
import pandas as pd
from scipy.sparse import issparse

from unshap_plugin.errors import SHOWN, InvalidValueError, nearest

__all__ = ["Columns"]


@dataclass(frozen=True)
class Columns:
    """The columns that a model takes, in its order.

    Parameters
    ----------
    names
        Their names; of a dict or tuple of tables those of each, by its key or place.
    source
        Where they come from, in words.

    Examples
    --------
    >>> table = pd.DataFrame({"age": [31], "dose": [0.2]})
    >>> columns = Columns.of(None, table)
    >>> columns.aligned(table[["dose", "age"]], "test x").columns.tolist()
    ['age', 'dose']
    """

    names: dict[Any, tuple[Any, ...]]
    source: str

    @classmethod
    def of(cls, model: Any, x: Any) -> Columns:
        """Return the columns that a model was fitted on, or else those of training rows ``x``, where there are names.

        Raises
        ------
        InvalidValueError
            If a table has a name twice.
        """
        fitted = getattr(model, "feature_names_in_", None)
        if fitted is not None:
            return cls({None: tuple(fitted)}, "the model was fitted on")
        return cls({key: _unique(table, "train x") for key, table in _tables(_framed(x))}, "train x has")

    def aligned(self, x: Any, what: str) -> Any:
        """Return rows whose tables have these columns in this order; arrays go by position, as in scikit-learn.

        Raises
        ------
        InvalidValueError
            If a table has other names, or a name twice.
        """
        x = _framed(x)
        found = {key: self._ordered(table, key, what) for key, table in _tables(x)}
        if not found:
            return x
        if _keyed(x):
            return {**x, **found}
        return tuple(found.get(key, item) for key, item in enumerate(x)) if isinstance(x, tuple) else found[None]

    def _ordered(self, table: pd.DataFrame, key: Any, what: str) -> pd.DataFrame:
        names = _unique(table, what)
        wanted = self.names.get(key, names)
        if names == wanted:
            return table
        lacking, extra = ([one for one in a if one not in set(b)] for a, b in ((wanted, names), (names, wanted)))
        if lacking or extra:
            faults = []
            if lacking:
                close = nearest(lacking[0], [one for one in extra if isinstance(one, str)])
                faults.append(f"lacks the columns {_listed(lacking)}{close}")
            if extra:
                faults.append(f"has the columns {_listed(extra)} beyond them")
            raise InvalidValueError(
                f"{self.source} the columns {_listed(wanted)}, but {what} {' and '.join(faults)}: "
                f"{_remedy(len(lacking), len(extra))}."
            )
        return table.iloc[:, [names.index(one) for one in wanted]]


def _remedy(lacking: int, extra: int) -> str:
    """Return what to do about so many columns that are lacking, and beyond those that are wanted."""
    if not (lacking and extra):
        return "add them" if lacking else "drop them"
    if lacking == extra:
        return "rename columns, or pass arrays, which go by position"
    return f"rename columns, and {'add' if lacking > extra else 'drop'} others"


def _framed(x: Any) -> Any:
    """Return rows whose tables are frames of pandas, also where another library made them."""
    if isinstance(x, tuple):
        return tuple(_framed(item) for item in x)
    if _keyed(x):
        return {key: _framed(item) for key, item in x.items()}
    if hasattr(x, "columns") and hasattr(x, "__getitem__") and not isinstance(x, pd.DataFrame):
        return pd.DataFrame({name: np.asarray(x[name]) for name in x.columns})
    return x


def _keyed(x: Any) -> TypeGuard[Mapping[Any, Any]]:
    """Tell whether rows are several arrays by name (a sparse matrix by keys is a dict too)."""
    return isinstance(x, Mapping) and not issparse(x)


def _tables(x: Any) -> list[tuple[Any, pd.DataFrame]]:
    """Return the tables among rows, by key (``None`` where the rows are one table)."""
    items = x.items() if _keyed(x) else enumerate(x) if isinstance(x, tuple) else [(None, x)]
    return [(key, item) for key, item in items if isinstance(item, pd.DataFrame)]


def _unique(table: pd.DataFrame, what: str) -> tuple[Any, ...]:
    twice = table.columns[table.columns.duplicated()].unique().tolist()
    if twice:
        raise InvalidValueError(f"{what} has the columns {_listed(twice)} more than once: rename or drop them.")
    return tuple(table.columns)


def _listed(names: Iterable[Any]) -> str:
    shown = [repr(name) for name in names]
    return ", ".join(shown[:SHOWN]) + (", ..." if len(shown) > SHOWN else "")
