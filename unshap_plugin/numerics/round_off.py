"""How far numbers of a result may be apart that are the same up to round-off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from unshap_plugin.results.result import ValuationResult

__all__ = ["round_off"]

#: Numbers that differ by less than this share of the largest utility or value are the same up to round-off.
_ROUND_OFF = 1e-9


def round_off(result: ValuationResult) -> NDArray[np.float64]:
    """Return how far values of a result may be apart that are the same up to round-off: a scalar or ``[t]``."""
    # Leave-one-out values know no utility of nobody.
    ends = np.fmax(np.abs(result.utility_all), np.abs(result.utility_none))
    size: NDArray[np.float64] = np.maximum(ends, np.abs(result.values).max(axis=0, initial=0.0))
    return _ROUND_OFF * size
