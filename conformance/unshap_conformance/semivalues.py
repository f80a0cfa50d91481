"""Exact values of the players of a game, in rational arithmetic, by two algorithms that share nothing.

A semivalue (Dubey, Neyman & Weber 1981) is the expected contribution of a player to those who are there before it,

    phi_i = sum over S without i of p(|S|) * (v(S + i) - v(S)),

and what makes one is how many are there before: for Shapley every number is equally likely, for Banzhaf each other
player is there with probability one half, for Beta(alpha, beta) (Kwon & Zou 2022) with a probability that is itself
drawn from a Beta distribution, and for leave-one-out all of them are there.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import permutations
from math import factorial, prod
from typing import Literal, TypeAlias

from unshap_plugin.errors import InvalidValueError, UnknownNameError

__all__ = ["Semivalue", "by_permutations", "by_subsets", "check_semivalue", "label"]

Semivalue: TypeAlias = Literal["shapley", "banzhaf", "leave_one_out"] | tuple[Literal["beta"], float, float]


def check_semivalue(semivalue: Semivalue) -> None:
    """Raise unless it is one of the names, or ``("beta", alpha, beta)`` with two numbers above 0."""
    if isinstance(semivalue, tuple):
        if len(semivalue) != 3 or semivalue[0] != "beta" or not all(number > 0 for number in semivalue[1:]):
            raise InvalidValueError(
                f"semivalue is {semivalue!r}, but ('beta', alpha, beta) with both above 0 is needed."
            )
    elif semivalue not in ("shapley", "banzhaf", "leave_one_out"):
        raise UnknownNameError("semivalue", semivalue, ["shapley", "banzhaf", "leave_one_out", "('beta', alpha, beta)"])


def label(semivalue: Semivalue) -> str:
    """Return what it is called in a sentence."""
    names = {"shapley": "Shapley", "banzhaf": "Banzhaf", "leave_one_out": "leave-one-out"}
    return f"Beta({semivalue[1]:g}, {semivalue[2]:g})" if isinstance(semivalue, tuple) else names[semivalue]


@lru_cache(maxsize=1024)
def by_subsets(utilities: tuple[Fraction, ...], semivalue: Semivalue = "shapley") -> tuple[Fraction, ...]:
    """Return the values by the sum over all coalitions, with the weights in closed form.

    Parameters
    ----------
    utilities
        ``2**n`` of them, by bit mask: player i is bit i.
    semivalue
        Which value.

    Returns
    -------
    ``n`` values.
    """
    n = _n_players(utilities)
    weights = [_weight(semivalue, n, size) for size in range(n)]
    return tuple(
        sum(
            (
                weights[mask.bit_count()] * (utilities[mask | 1 << player] - utilities[mask])
                for mask in range(1 << n)
                if not mask >> player & 1
            ),
            Fraction(0),
        )
        for player in range(n)
    )


def by_permutations(utilities: Sequence[Fraction], semivalue: Semivalue = "shapley") -> tuple[Fraction, ...]:
    """Return the values by the mean over all orders of the players.

    The contribution at a position counts as often as the semivalue finds so many players there before, relative to
    ``1 / n``, which is how often an order does. Parameters and result are those of ``by_subsets``.
    """
    n = _n_players(utilities)
    before = _players_before(semivalue, n)
    totals = [Fraction(0)] * n
    for order in permutations(range(n)):
        mask = 0
        for position, player in enumerate(order):
            totals[player] += n * before[position] * (utilities[mask | 1 << player] - utilities[mask])
            mask |= 1 << player
    return tuple(total / factorial(n) for total in totals)


def _n_players(utilities: Sequence[Fraction]) -> int:
    n = len(utilities).bit_length() - 1
    if n < 1 or len(utilities) != 1 << n:
        raise InvalidValueError(
            f"there are {len(utilities)} utilities, but 2**n of them for n >= 1 players are needed."
        )
    return n


def _weight(semivalue: Semivalue, n: int, size: int) -> Fraction:
    """Return the weight of a coalition of that size."""
    if semivalue == "shapley":
        return Fraction(factorial(size) * factorial(n - size - 1), factorial(n))
    if semivalue == "banzhaf":
        return Fraction(1, 2 ** (n - 1))
    if semivalue == "leave_one_out":
        return Fraction(int(size == n - 1))
    alpha, beta = Fraction(semivalue[1]), Fraction(semivalue[2])
    return _rising(beta, size) * _rising(alpha, n - 1 - size) / _rising(alpha + beta, n - 1)


def _rising(base: Fraction, steps: int) -> Fraction:
    return prod((base + step for step in range(steps)), start=Fraction(1))


def _players_before(semivalue: Semivalue, n: int) -> list[Fraction]:
    """Return the probability of 0 to n - 1 others being there, by letting them come one at a time.

    For Shapley and Beta that is Polya's urn: the more of those asked so far came, the likelier the next one comes.
    """
    chances = [Fraction(1)]
    for asked in range(n - 1):
        grown = [Fraction(0)] * (asked + 2)
        for came, chance in enumerate(chances):
            comes = _next_comes(semivalue, asked, came)
            grown[came + 1] += chance * comes
            grown[came] += chance * (1 - comes)
        chances = grown
    return chances


def _next_comes(semivalue: Semivalue, asked: int, came: int) -> Fraction:
    if semivalue == "shapley":
        return Fraction(1 + came, 2 + asked)
    if semivalue == "banzhaf":
        return Fraction(1, 2)
    if semivalue == "leave_one_out":
        return Fraction(1)
    alpha, beta = Fraction(semivalue[1]), Fraction(semivalue[2])
    return (beta + came) / (alpha + beta + asked)
