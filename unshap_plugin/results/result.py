"""Values with their uncertainty and provenance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.cautions import biased
from unshap_plugin.estimators.semivalue import SHAPLEY
from unshap_plugin.numerics.round_off import round_off
from unshap_plugin.results.comparison import Comparison, compare
from unshap_plugin.results.intervals import check_level, student_interval
from unshap_plugin.results.lookup import place_of
from unshap_plugin.results.money import Amount
from unshap_plugin.results.payments import Payouts, payouts
from unshap_plugin.results.ranks import rank_intervals
from unshap_plugin.results.tables import DERIVED, derived, line_of
from unshap_plugin.results.views import Views
from unshap_plugin.support.serialization import from_text, numbers, to_text

if TYPE_CHECKING:
    pass

__all__ = ["ValuationResult"]

_FORMAT = "unshap-result/3"
_ARRAYS = ("values", "std_errors", "degrees_of_freedom", "utility_all", "utility_none")


@dataclass(frozen=True, eq=False, repr=False)
class ValuationResult(Views):
    """The values of the players, with what is needed to trust and to repeat them.

    Parameters
    ----------
    players
        The players, in the order of the values.
    values, std_errors, degrees_of_freedom
        ``[n_players]``, or ``[n_players, t]`` for a metric that measures ``t`` things. The values are in the units of
        the metric; degrees of freedom are infinite where the values are exact, and standard errors NaN where they
        cannot be had: intervals are then NaN, and ranks open.
    metric, columns
        The name of the metric, and of its ``t`` parts where they have names.
    utility_all, utility_none
        The utility with every player, and with none: scalars or ``[t]``. Leave-one-out values need none of the latter,
        which is NaN then.
    evaluations
        Distinct coalitions that the game had evaluated when this was made.
    asked
        Utilities that the estimator asked for.
    stopped
        What ended the run: ``"budget"`` (the estimator's own, or all coalitions, included), ``"target_error"``,
        ``"stable_top"``, ``"max_time"``, or ``"interrupted"`` by the callback. With a budget of ``asked`` the same
        call gives the same values.
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
    semivalue
        What the values are: ``"Shapley value"``, or another mean of marginal contributions (see ``semivalues``).
    retrainings, variance_ratio
        Of ``corrected_values``: utilities of retraining that were asked for, and how many times the variance the values
        would have from these alone, estimated from held-out errors. Otherwise 0 and 1.
    unlearned
        Of ``corrected_values``: by unlearner its own values and their standard errors, ``[2, n_players(, t)]``.

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
    (True, ['player', 'value', 'std_error', 'ci_low', 'ci_high', 'rank', 'rank_low', 'rank_high'])
    >>> best, worst = result.rank_intervals()
    >>> bool((best == worst).all()), sum(result.payouts(100).payments), bool(result.compare(result).differs.any())
    (True, Decimal('100.00'), False)
    >>> ValuationResult.from_json(result.to_json()).players
    ('acme', 'bolt', 'cairn')
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
    semivalue: str = SHAPLEY
    stopped: str = "budget"
    retrainings: int = 0
    variance_ratio: float = 1.0
    unlearned: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

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
        value = self.values[place_of(player, self.players)]
        return float(value) if value.ndim == 0 else value

    def __repr__(self) -> str:
        """Return in one line how many players there are, who is worth most, and how that was found."""
        return line_of(self)

    @property
    def missing(self) -> NDArray[np.float64]:
        """What the values lack of ``utility_all - utility_none``, which Shapley values sum to: a scalar or ``[t]``.

        Of other semivalues it is NaN: they sum to nothing in particular.
        """
        lacking: NDArray[np.float64] = np.asarray(self.utility_all - self.utility_none - self.values.sum(axis=0))
        return lacking if self.semivalue == SHAPLEY else np.full_like(lacking, np.nan)

    @property
    def biased(self) -> bool:
        """Tell whether coalitions were excluded and more of that sum is missing than the standard errors explain.

        The values are then not those of the game. That is seen where exclusions depend on size or player; where they
        cancel in the sum it is not, so that ``excluded`` counts too; and of semivalues that sum to nothing in
        particular it is seen nowhere.
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
        check_level(level)
        return student_interval(self.values, self.std_errors, self.degrees_of_freedom, level)

    def rank_intervals(self, level: float = 0.95) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the best and the worst rank that each player may have: confidence intervals of that ``level``.

        They hold for all players at once, however the errors of the values hang together (a joint confidence region,
        Klein, Wright & Wieczorek 2020). Of a value without a standard error nothing is known, and its rank is any.

        Returns
        -------
        Two arrays like the values, ``[n_players]`` or ``[n_players, t]``; 1 is the most valuable.

        Raises
        ------
        InvalidValueError, InvalidTypeError
            If the level is no number between 0 and 1.
        """
        check_level(level)
        errors = (self.std_errors, self.degrees_of_freedom)
        return rank_intervals(self.values, *errors, level, round_off(self))

    def payouts(self, total: Amount, floor: Amount = 0, *, level: float = 0.95) -> Payouts:
        """Return what each player is paid of a ``total``, to the cent: the ``floor``, and of the rest by its value.

        What is left after everybody got the floor is shared in proportion to the positive values, so that players with
        negative values are paid the floor. Amounts are numbers or texts, such as ``10_000`` or ``"10000.50"``; the
        payments are decimals that add up to the total. Each has the confidence interval of that ``level`` that the
        errors of the values leave (see ``unshap_plugin.results.payments.share_intervals``).

        Raises
        ------
        InvalidValueError, InvalidTypeError
            If the values are vectors, none of them is positive, an amount cannot be used, or the floors are more than
            the total.
        """
        return payouts(self, total, floor, level)

    def compare(self, other: ValuationResult, *, level: float = 0.95) -> Comparison:
        """Return which values differ from those of another result by more than the errors of both explain.

        Players are matched by name. The errors are taken for independent, as they are with another seed; where they are
        not, and where the ``other`` result is one of another game, the notes of the comparison say so. For all players
        together, the probability that one is named whose values do not differ is at most 1 - ``level``.

        Raises
        ------
        InvalidTypeError, InvalidValueError
            If the other is no result, is of other players or of another metric, or if the values are vectors.
        """
        return compare(self, other, level)

    def to_json(self) -> str:
        """Return everything as JSON, from which ``from_json`` makes an equal result."""
        return to_text(self, _FORMAT, **derived(self))

    @classmethod
    def from_json(cls, text: str) -> ValuationResult:
        """Return the result of which ``to_json`` wrote ``text``.

        Raises
        ------
        InvalidValueError
            If the text is not such a result.
        """
        data = from_text(text, _FORMAT, cls, *DERIVED)
        for name in _ARRAYS:
            data[name] = numbers(name, data[name])
        for name in ("players", "columns", "notes"):
            data[name] = tuple(data[name])
        data["unlearned"] = {name: numbers(name, one) for name, one in data["unlearned"].items()}
        return cls(**data)
