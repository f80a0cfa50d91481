"""Values with their uncertainty and provenance."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from unshap_plugin.errors import InvalidValueError
from unshap_plugin.serialization import from_text, to_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ValuationResult"]

_FORMAT = "unshap-result/1"
_ARRAYS = ("values", "std_errors", "degrees_of_freedom", "utility_all", "utility_none")
_MAX_BARS = 40


@dataclass(frozen=True, eq=False)
class ValuationResult:
    """The values of the players, with what is needed to trust and to repeat them.

    Parameters
    ----------
    players
        The players, in the order of the values.
    values, std_errors, degrees_of_freedom
        ``[n_players]``, or ``[n_players, t]`` for a metric that measures ``t`` things. The values are in the units of
        the metric; degrees of freedom are infinite where the values are exact.
    metric, columns
        The name of the metric, and of its ``t`` parts where they have names.
    utility_all, utility_none
        The utility with every player, and with none: scalars or ``[t]``.
    evaluations
        Distinct coalitions that the game had evaluated when this was made.
    asked
        Utilities that the estimator asked for.
    excluded
        Distinct coalitions whose utility is not finite (only with ``on_error="exclude"``).
    estimator, unlearner, settings, seed, game_seed, access
        How the values were made; ``game_seed`` is that of the unlearner.
    seconds
        Wall time.
    versions
        Of the packages involved.
    notes
        What a reader of the values should know of how the problem was set up, in sentences.
    """

    players: tuple[Any, ...]
    values: NDArray[np.float64]
    std_errors: NDArray[np.float64]
    degrees_of_freedom: NDArray[np.float64]
    metric: str
    columns: tuple[str, ...]
    utility_all: NDArray[np.float64]
    utility_none: NDArray[np.float64]
    evaluations: int
    asked: int
    excluded: int
    estimator: str
    unlearner: str
    settings: Mapping[str, Any]
    seed: int
    game_seed: int
    access: str
    seconds: float
    versions: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def interval(self, level: float = 0.95) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return lower and upper ends of the confidence intervals of the values (Student's t).

        They cover what the estimator's sampling leaves open, not how far unlearning is from retraining. With fewer
        than some twenty pairs of permutations they are too narrow for values whose contributions are skewed.
        """
        if not 0 < level < 1:
            raise InvalidValueError(f"level is {level}, but a number between 0 and 1 is needed.")
        half = stats.t.ppf((1 + level) / 2, self.degrees_of_freedom) * self.std_errors
        return self.values - half, self.values + half

    def to_frame(self) -> pd.DataFrame:
        """Return a table with player, value, std_error, ci_low, ci_high (95%) and rank (1 = most valuable).

        A metric that measures several things gives one row per player and column ``metric``.
        """
        low, high = self.interval()
        data = {"value": self.values, "std_error": self.std_errors, "ci_low": low, "ci_high": high}
        if self.values.ndim == 1:
            frame = pd.DataFrame({"player": self.players, **data})
            frame["rank"] = _ranks(self.values)
            return frame
        t = self.values.shape[1]
        names = self.columns or tuple(f"{self.metric}[{k}]" for k in range(t))
        frames = []
        for k, name in enumerate(names):
            one = pd.DataFrame({"player": self.players, "metric": name, **{key: a[:, k] for key, a in data.items()}})
            one["rank"] = _ranks(self.values[:, k])
            frames.append(one)
        return pd.concat(frames, ignore_index=True)

    def to_json(self) -> str:
        """Return everything as JSON, from which ``from_json`` makes an equal result."""
        return to_text(self, _FORMAT)

    @classmethod
    def from_json(cls, text: str) -> ValuationResult:
        """Return the result that ``to_json`` wrote.

        Raises
        ------
        InvalidValueError
            If the text is not such a result.
        """
        data = from_text(text, _FORMAT, cls)
        for name in _ARRAYS:
            data[name] = np.array(data[name], dtype=np.float64)  # numpy reads "inf"
        for name in ("players", "columns", "notes"):
            data[name] = tuple(data[name])
        return cls(**data)

    def plot(self, ax: Axes | None = None, *, highlight: Collection[Any] = (), label: str = "highlighted") -> Axes:
        """Draw the values: sorted bars with 95% intervals up to 40 players, a histogram for more.

        Parameters
        ----------
        ax
            Where to draw; a new figure by default.
        highlight
            Players to draw in another colour.
        label
            What the highlighted players are called in the legend.

        Raises
        ------
        InvalidValueError
            If the values are vectors: draw one metric at a time.
        """
        from unshap_plugin.plots import draw_bars, draw_histogram

        if self.values.ndim > 1:
            raise InvalidValueError("plot draws one value per player, but the metric measures several things.")
        draw = draw_bars if len(self.players) <= _MAX_BARS else draw_histogram
        return draw(self, ax, frozenset(highlight), label)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.int64]:
    ranks: NDArray[np.int64] = stats.rankdata(-values, method="min").astype(np.int64)
    return ranks
