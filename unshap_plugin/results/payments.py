"""What each player is paid of a total, by its value, with the interval that the errors of the values leave."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unshap_plugin.errors import InvalidValueError
from unshap_plugin.numerics.round_off import round_off
from unshap_plugin.results.lookup import check_one_value, place_of
from unshap_plugin.results.money import Amount, amount_of, cents_of, divide

if TYPE_CHECKING:
    from unshap_plugin.results.result import ValuationResult

__all__ = ["Payouts", "payouts", "share_intervals"]

_NAMED = 3


@dataclass(frozen=True, eq=False, repr=False)
class Payouts:
    """Payments by value, which add up to the total to the cent.

    Parameters
    ----------
    players
        The players, in the order of the result.
    values
        Their values, ``[n_players]``.
    payments
        What each is paid.
    low, high
        Ends of the confidence interval of each payment; NaN where there are no standard errors.
    total, floor
        What is paid in all, and what each is paid at least.
    level
        The confidence level of the intervals.

    Examples
    --------
    >>> from unshap_plugin import shapley_values
    >>> class Bridge:
    ...     n_players, players = 3, ("acme", "bolt", "cairn")
    ...     def __call__(self, coalitions):
    ...         return coalitions @ [3.0, 1.0, -2.0]
    >>> paid = shapley_values(Bridge()).payouts(100, floor=5)
    >>> paid
    Payouts(100.00 to 3 players; acme: 68.75, bolt: 26.25, cairn: 5.00)
    >>> paid["bolt"], sum(paid.payments)
    (Decimal('26.25'), Decimal('100.00'))
    >>> list(paid.to_frame())
    ['player', 'value', 'payment', 'low', 'high']
    """

    players: tuple[Any, ...]
    values: NDArray[np.float64]
    payments: tuple[Decimal, ...]
    low: tuple[Decimal, ...]
    high: tuple[Decimal, ...]
    total: Decimal
    floor: Decimal
    level: float

    def __len__(self) -> int:
        """Return the number of players."""
        return len(self.players)

    def __getitem__(self, player: Any) -> Decimal:
        """Return what a player is paid.

        Raises
        ------
        UnknownNameError
            If there is no such player.
        """
        return self.payments[place_of(player, self.players)]

    def __repr__(self) -> str:
        """Return in one line who is paid most."""
        order = sorted(range(len(self)), key=lambda i: -self.payments[i])
        named = ", ".join(f"{self.players[i]}: {self.payments[i]:,}" for i in order[:_NAMED])
        count = "1 player" if len(self) == 1 else f"{len(self)} players"
        return f"Payouts({self.total:,} to {count}; {named}{', ...' if len(self) > _NAMED else ''})"

    def to_frame(self) -> pd.DataFrame:
        """Return a table with player, value, payment, low and high; the amounts are decimals, which add up exactly."""
        return pd.DataFrame(
            {
                "player": self.players,
                "value": self.values,
                "payment": self.payments,
                "low": self.low,
                "high": self.high,
            }
        )


def payouts(result: ValuationResult, total: Amount, floor: Amount, level: float) -> Payouts:
    """Pay every player a floor, and what is left of the total in proportion to the values that are positive.

    Parameters
    ----------
    result
        The values.
    total, floor
        Amounts, such as ``10_000`` or ``"10000.50"``.
    level
        The confidence level of the intervals.

    Raises
    ------
    InvalidValueError, InvalidTypeError
        If the values are vectors, an amount cannot be used, the floors are more than the total, or nobody has a
        positive value.
    """
    check_one_value("payouts", result.values)
    cents, least = cents_of("total", total, zero=False), cents_of("floor", floor, zero=True)
    n, interval, same = len(result), result.interval(level), round_off(result)
    left = cents - n * least
    if left < 0:
        raise InvalidValueError(
            f"floor is {amount_of(least)}, but {n} times that is more than the total of {amount_of(cents)}: give a "
            f"floor of at most {amount_of(cents // n)}."
        )
    positive = np.where(result.values > same, result.values, 0.0)
    if not positive.any():
        raise InvalidValueError("no player has a positive value, so that nobody can be paid by value.")
    paid = [least + one for one in divide(left, positive.tolist(), list(map(str, result.players)))]
    payments = tuple(map(amount_of, paid))
    low, high = payments, payments
    if result.std_errors.any():
        efficient = abs(float(result.missing)) <= float(same)
        lows, highs = share_intervals(result.values, interval, efficient=efficient)
        low = tuple(_amount(left, least, share, own, min) for share, own in zip(lows.tolist(), paid, strict=True))
        high = tuple(_amount(left, least, share, own, max) for share, own in zip(highs.tolist(), paid, strict=True))
    return Payouts(result.players, result.values, payments, low, high, amount_of(cents), amount_of(least), level)


def _amount(left: int, least: int, share: float, own: int, outer: Callable[[int, int], int]) -> Decimal:
    """Return the amount of an end; a payment may lie a cent outside of the ends, since cents go by remainders."""
    return amount_of(outer(least + round(left * share), own)) if math.isfinite(share) else Decimal("NaN")


def share_intervals(
    values: NDArray[np.float64],
    interval: tuple[NDArray[np.float64], NDArray[np.float64]],
    *,
    efficient: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    r"""Return the ends of the intervals of the shares ``max(v_i, 0) / sum_j max(v_j, 0)``.

    A share is least where its own value is at the lower end and those of all others together are worth most, and
    largest the other way round: to first order that covers however the errors hang together, since the error of a
    difference is at most the sum of both. What the positive values of the others add up to lies between the sums of
    their ends; and where the sum of all values is known, it is that sum, less the own value, plus what the negative
    ones lack: with nobody in question it has no error, and the interval is that of the value, in proportion.

    Parameters
    ----------
    values
        ``[n_players]``, of which some are positive.
    interval
        Lower and upper ends of their intervals, ``[n_players]`` each.
    efficient
        Whether the sum of the values has no error.

    Examples
    --------
    >>> values = np.array([3.0, 1.0])
    >>> low, high = share_intervals(values, (values - 0.4, values + 0.4), efficient=True)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.65, 0.15], [0.85, 0.35])
    """
    lower, upper = interval
    low, high = np.maximum(lower, 0.0), np.maximum(upper, 0.0)
    least, most = _others(low), _others(high)
    if efficient:
        whole = values.sum()
        least = np.maximum(least, whole + _others(np.maximum(-upper, 0.0)) - high)
        most = np.minimum(most, whole + _others(np.maximum(-lower, 0.0)) - low)
    return _share(low, np.maximum(most, 0.0)), _share(high, np.maximum(least, 0.0))


def _others(amounts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each what all others add up to."""
    return amounts.sum() - amounts


def _share(own: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    whole = own + others
    share: NDArray[np.float64] = np.divide(own, whole, out=np.zeros_like(own), where=~(whole <= 0))  # NaN stays
    return share
