"""Values with their uncertainty and provenance."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from unshap_plugin.cautions import biased
from unshap_plugin.errors import InvalidTypeError, InvalidValueError, UnknownNameError, check_number
from unshap_plugin.support.serialization import from_text, to_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ValuationResult"]

_FORMAT = "unshap-result/2"
_ARRAYS = ("values", "std_errors", "degrees_of_freedom", "utility_all", "utility_none")
_MAX_BARS = 100
_NAMED = 3


@dataclass(frozen=True, eq=False, repr=False)
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
        Versions of the packages involved.
    reasons
        Why ``"auto"`` chose the ``estimator`` and the ``unlearner`` that it did, by these words; empty where named.
    notes
        What a reader should know before trusting the values, in sentences: of how the problem was set up, and of
        utilities that look wrong.

    Examples
    --------
    >>> import unshap_plugin
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> x, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression(max_iter=1000).fit(x[::2], y[::2])
    >>> groups = ["acme", "bolt", "cairn"] * 25
    >>> result = unshap_plugin.value(model, train=(x[::2], y[::2]), test=(x[1::2], y[1::2]), groups=groups)
    >>> len(result), result.estimator
    (3, 'exact')
    >>> bool(result["acme"] == result.to_series()["acme"]), result.biased, abs(float(result.missing)) < 1e-9
    (True, False, True)
    >>> low, high = result.interval(0.9)  # exact values have no errors
    >>> bool((low == high).all()), list(result.to_frame())
    (True, ['player', 'value', 'std_error', 'ci_low', 'ci_high', 'rank'])
    >>> round(float(result.payouts(100).sum()), 6), ValuationResult.from_json(result.to_json()).players
    (100.0, ('acme', 'bolt', 'cairn'))
    >>> len(result.plot(highlight=["acme"]).get_yticklabels())
    3
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
    reasons: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of players."""
        return len(self.players)

    def __iter__(self) -> Iterator[Any]:
        """Yield the players."""
        return iter(self.players)

    def __getitem__(self, player: Any) -> Any:
        """Return the value of a player: a number, or ``[t]`` for a metric that measures ``t`` things.

        Raises
        ------
        UnknownNameError
            If there is no such player.
        """
        try:
            value = self.values[self.players.index(player)]
        except ValueError:
            raise UnknownNameError("player", player, map(str, self.players)) from None
        return float(value) if value.ndim == 0 else value

    def __repr__(self) -> str:
        """Return in one line how many players there are, who is worth most, and how that was found."""
        if self.values.ndim > 1:
            most = f"{self.values.shape[1]} values each"
        else:
            order = np.argsort(-self.values, kind="stable")[:_NAMED]
            named = ", ".join(f"{self.players[i]}: {self.values[i]:.4g} ± {self.std_errors[i]:.2g}" for i in order)
            most = named + (", ..." if len(self) > _NAMED else "")
        bias = " and the values biased" if self.biased else ""
        excluded = f", {self.excluded} excluded{bias}" if self.excluded else ""
        players = "1 player" if len(self) == 1 else f"{len(self)} players"
        return (
            f"ValuationResult({players}; {most}; {self.metric}, {self.unlearner}, {self.estimator}, "
            f"{self.evaluations} evaluations{excluded})"
        )

    @property
    def missing(self) -> NDArray[np.float64]:
        """What the values lack of ``utility_all - utility_none``, which Shapley values sum to: a scalar or ``[t]``."""
        lacking: NDArray[np.float64] = np.asarray(self.utility_all - self.utility_none - self.values.sum(axis=0))
        return lacking

    @property
    def biased(self) -> bool:
        """Tell whether coalitions were excluded and more of that sum is missing than the standard errors explain.

        The values are then not those of the game. That is seen where exclusions depend on size or player; where they
        cancel in the sum it is not, so that ``excluded`` counts too.
        """
        return self.excluded > 0 and biased(self.missing, self.std_errors)

    def interval(self, level: float = 0.95) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return lower and upper ends of the confidence intervals of that ``level`` of the values (Student's t).

        They cover what the estimator's sampling leaves open, not how far unlearning is from retraining. With fewer
        than some twenty pairs of permutations, or five evaluations to a player for ``"stratified"``, they are too
        narrow for values whose contributions are skewed.

        Returns
        -------
        Two arrays like the values, ``[n_players]`` or ``[n_players, t]``.

        Raises
        ------
        InvalidValueError, InvalidTypeError
            If the level is no number between 0 and 1.
        """
        check_number("level", level, zero=False)
        if not level < 1:
            raise InvalidValueError(f"level is {level}, but a number between 0 and 1 is needed.")
        half = stats.t.ppf((1 + level) / 2, self.degrees_of_freedom) * self.std_errors
        return self.values - half, self.values + half

    def to_series(self) -> pd.Series:
        """Return the values by player, or ``[n_players, t]`` as one series by player and part of the metric."""
        frame = self.to_frame()
        index = ["player"] if self.values.ndim == 1 else ["player", "metric"]
        series: pd.Series = frame.set_index(index)["value"]
        return series

    def payouts(self, total: float) -> pd.Series:
        """Return what each player is paid of a ``total``, in proportion to its value; negative values are paid nothing.

        Raises
        ------
        InvalidValueError, InvalidTypeError
            If the values are vectors, none of them is positive, or the total is no number above 0.
        """
        check_number("total", total, zero=False)
        if self.values.ndim > 1:
            raise InvalidValueError(
                "payouts needs one value per player, but the metric measures several things: pass one of them as "
                "metric to value."
            )
        positive = np.maximum(self.values, 0.0)
        if not positive.any():
            raise InvalidValueError("no player has a positive value, so that nobody can be paid by value.")
        return pd.Series(total * positive / positive.sum(), index=pd.Index(self.players, name="player"), name="payout")

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
        """Return the result of which ``to_json`` wrote ``text``.

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
        """Draw the values: sorted bars with 95% intervals up to 100 players, a histogram for more.

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
        InvalidTypeError
            If the highlighted players are no list.
        UnknownNameError
            If a highlighted player is none of the players.
        """
        from unshap_plugin.plots import draw_bars, draw_histogram

        if self.values.ndim > 1:
            raise InvalidValueError(
                "plot draws one value per player, but the metric measures several things: pass one of them as "
                "metric to value, or draw to_frame()."
            )
        if isinstance(highlight, str) or not isinstance(highlight, Iterable):
            raise InvalidTypeError(
                f"highlight is {highlight!r}, but a list of players is needed: give [{highlight!r}]."
            )
        for player in highlight:
            self[player]
        draw = draw_bars if len(self.players) <= _MAX_BARS else draw_histogram
        return draw(self, ax, frozenset(highlight), label)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.int64]:
    ranks: NDArray[np.int64] = stats.rankdata(-values, method="min").astype(np.int64)
    return ranks
