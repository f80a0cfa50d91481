"""Results as tables, and in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unshap_plugin.estimators.semivalue import SHAPLEY
from unshap_plugin.results.ranks import ranks

if TYPE_CHECKING:
    from unshap_plugin.results.result import ValuationResult

__all__ = ["DERIVED", "derived", "frame_of", "line_of"]

#: What tables and files have beside the values and their errors, at 95%.
DERIVED = ("ci_low", "ci_high", "rank", "rank_low", "rank_high")
_NAMED = 3


def derived(result: ValuationResult) -> dict[str, NDArray[Any]]:
    """Return what follows from values and errors, for readers that cannot compute it: arrays like the values."""
    columns = (*result.interval(), ranks(result.values), *result.rank_intervals())
    return dict(zip(DERIVED, columns, strict=True))


def frame_of(result: ValuationResult) -> pd.DataFrame:
    """Return a table with a row per player, or per player and part of the metric."""
    unlearned: dict[str, NDArray[np.float64]] = {}
    for name, (values, errors) in result.unlearned.items():
        unlearned[f"unlearned by {name}"] = values
        if errors.any():  # else they are known exactly
            unlearned[f"std error by {name}"] = errors
    data = {"value": result.values, "std_error": result.std_errors, **derived(result), **unlearned}
    # What Shapley values are is not said: a table without the column is theirs.
    kind = {} if result.semivalue == SHAPLEY else {"semivalue": result.semivalue}
    if result.values.ndim == 1:
        return pd.DataFrame({"player": result.players, **kind, **data})
    names = result.columns or tuple(f"{result.metric}[{k}]" for k in range(result.values.shape[1]))
    frames = [
        pd.DataFrame(
            {"player": result.players, **kind, "metric": name, **{key: each[:, k] for key, each in data.items()}}
        )
        for k, name in enumerate(names)
    ]
    return pd.concat(frames, ignore_index=True)


def line_of(result: ValuationResult) -> str:
    """Return in one line how many players there are, who is worth most, and how that was found."""
    n = len(result.players)
    if result.values.ndim > 1:
        most = f"{result.values.shape[1]} values each"
    else:
        order = np.argsort(-result.values, kind="stable")[:_NAMED].tolist()
        named = (f"{result.players[i]}: {result.values[i]:.4g}{_give_or_take(result.std_errors[i])}" for i in order)
        most = ", ".join(named) + (", ..." if n > _NAMED else "")
    bias = " and the values biased" if result.biased else ""
    excluded = f", {result.excluded} excluded{bias}" if result.excluded else ""
    what = result.metric if result.semivalue == SHAPLEY else f"{result.semivalue}, {result.metric}"
    return (
        f"ValuationResult({'1 player' if n == 1 else f'{n} players'}; {most}; {what}, {result.unlearner}, "
        f"{result.estimator}, {result.evaluations} evaluations{excluded})"
    )


def _give_or_take(std_error: float) -> str:
    return " (no standard error)" if np.isnan(std_error) else f" ± {std_error:.2g}"
