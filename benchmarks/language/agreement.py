"""How utilities of all coalitions agree with those of retraining."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr

from unshap_plugin import shapley_values

__all__ = ["additive", "agreement", "all_of", "values_of"]

Numbers = NDArray[np.float64]


class Known:
    """The game of utilities that are known, in the order of ``all_of``."""

    def __init__(self, utilities: Numbers) -> None:
        self.utilities = utilities
        self.n_players = len(utilities).bit_length() - 1

    def __call__(self, coalitions: NDArray[np.bool_]) -> Numbers:
        """Return the utilities ``[m]``."""
        return self.utilities[np.asarray(coalitions) @ (1 << np.arange(self.n_players))]


def all_of(players: int) -> NDArray[np.bool_]:
    """Return all coalitions, ``[2^players, players]``.

    Examples
    --------
    >>> all_of(2).astype(int).tolist()
    [[0, 0], [1, 0], [0, 1], [1, 1]]
    """
    return (np.arange(2**players)[:, None] >> np.arange(players) & 1).astype(bool)


def values_of(utilities: Numbers) -> Numbers:
    """Return the Shapley values ``[players]`` of utilities ``[2^players]``.

    Examples
    --------
    >>> values_of(np.array([0.0, 1.0, 2.0, 3.0])).round(6).tolist()
    [1.0, 2.0]
    """
    return shapley_values(Known(utilities), "exact").values


def additive(values: Numbers) -> Numbers:
    """Return the utilities of all coalitions if each player were worth the same in all of them.

    Examples
    --------
    >>> additive(np.array([1.0, 2.0])).tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    return all_of(len(values)) @ values


def left_out(utilities: Numbers) -> Numbers:
    """Return the leave-one-out values ``[players]`` of utilities ``[2^players]``."""
    game = Known(utilities)
    return utilities[-1] - game(~np.eye(game.n_players, dtype=bool))


def agreement(truth: Numbers, utilities: Numbers, players: Sequence[str]) -> dict[str, Any]:
    """Return how utilities agree with those of retraining, and the values.

    Correlations are those (Pearson) of the Shapley values, of all sources and of those that are not scrambled, which
    decides every correlation that it takes part in; those of the leave-one-out values; and that of the ranks of the
    utilities (Spearman). ``scale`` is the slope of the values over those of retraining.

    Examples
    --------
    >>> truth = additive(np.array([3.0, -9.0, 1.0, 2.0]))
    >>> found = agreement(truth, truth / 2, ["json", "scrambled", "xml", "email"])
    >>> {name: round(number, 6) for name, number in found.items() if name != "worth"}
    {'values': 1.0, 'good': 1.0, 'left out': 1.0, 'utilities': 1.0, 'scale': 0.5}
    """
    good = [source != "scrambled" for source in players]
    true, found = values_of(truth), values_of(utilities)
    centred = true - true.mean()
    return {
        "values": _correlation(true, found),
        "good": _correlation(true[good], found[good]),
        "left out": _correlation(left_out(truth), left_out(utilities)),
        "utilities": float(spearmanr(truth, utilities)[0]),
        "scale": float(centred @ found / (centred @ centred)),
        "worth": found.tolist(),
    }


def _correlation(one: Numbers, other: Numbers) -> float:
    return float(pearsonr(one, other)[0])
