"""Strata of pairs: how coalitions and their complements are divided by size."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.estimators.sizes import Sizes

__all__ = ["Stratum", "blocks", "deal", "divide", "pairs_in_all", "populations", "two_of_each"]

#: Populations from here on are as good as infinite.
MANY = 1 << 62
#: Pairs to a stratum, where there are too few for two of every size.
SHARED = 4
#: Entries of a matrix of pairs that are floating-point numbers at a time.
_ENTRIES = 1 << 23


@dataclass(frozen=True)
class Stratum:
    """Pairs of a coalition and its complement, of one size or of several that follow each other.

    Attributes
    ----------
    sizes
        Sizes of the smaller member, ``[c]``.
    population
        How many such pairs there are; ``MANY`` stands for more, and for those of several sizes, which are drawn with
        replacement.
    drawn
        How many of them are drawn.

    Examples
    --------
    >>> Stratum(np.array([1]), 5, 3).population
    5
    """

    sizes: NDArray[np.int64]
    population: int
    drawn: int

    @property
    def finished(self) -> bool:
        """Whether all its pairs are drawn."""
        return self.drawn == self.population


def pairs_in_all(sizes: Sizes) -> int:
    """Return the number of pairs of the sizes that count, ``MANY`` for more.

    Examples
    --------
    >>> from unshap_plugin.estimators.sizes import sizes_of
    >>> pairs_in_all(sizes_of(np.full(4, 0.25)))
    7
    """
    return min(MANY, sum(count for count, mass in zip(populations(sizes.n_players), sizes.mass, strict=True) if mass))


def two_of_each(sizes: Sizes) -> int:
    """Return how many pairs give each size that counts two, or all that there are, and so a stratum of its own.

    Examples
    --------
    >>> from unshap_plugin.estimators.sizes import sizes_of
    >>> [two_of_each(sizes_of(np.full(n, 1 / n))) for n in (2, 6)]
    [1, 6]
    """
    return sum(min(2, count) for count, mass in zip(populations(sizes.n_players), sizes.mass, strict=True) if mass)


def divide(sizes: Sizes, pairs: int) -> list[Stratum]:
    """Return strata of the sizes that count, and how many of ``pairs`` each of them gets.

    Each size is a stratum where every one can have two pairs (or all that there are). Otherwise neighbouring sizes
    share one. The shares are those of Neyman (1934): the mass of a stratum, times the length of the vector with which a
    residual counts, times how residuals are taken to spread (``Sizes.claims``).

    Examples
    --------
    >>> from unshap_plugin.estimators.sizes import sizes_of
    >>> [(one.sizes.tolist(), one.drawn, one.population) for one in divide(sizes_of(np.full(6, 1 / 6)), 12)]
    [([1], 6, 6), ([2], 4, 15), ([3], 2, 10)]
    >>> [one.sizes.tolist() for one in divide(sizes_of(np.full(6, 1 / 6)), 2)]
    [[1, 2, 3]]
    """
    counted = np.flatnonzero(sizes.mass)
    there = [populations(sizes.n_players)[k] for k in counted]
    weight = sizes.claims[counted]
    parts = [np.array([k]) for k in range(len(counted))]
    if pairs < two_of_each(sizes):
        middle = (np.cumsum(weight) - weight / 2) / weight.sum()
        group = np.floor(middle * max(1, pairs // SHARED)).astype(int)
        parts = [np.flatnonzero(group == one) for one in np.unique(group)]
    most = [there[part[0]] if len(part) == 1 else MANY for part in parts]
    dealt = islice(deal(most, [float(weight[part].sum()) for part in parts]), pairs)
    drawn = np.bincount(np.fromiter(dealt, dtype=np.int64, count=pairs), minlength=len(parts)).tolist()
    return [Stratum(counted[part] + 1, one, count) for part, one, count in zip(parts, most, drawn, strict=True)]


def deal(most: Sequence[int], weight: Sequence[float]) -> Iterator[int]:
    """Yield the number of the stratum that gets the next pair, until each has as many as there are.

    That is first two to each, then in proportion to the weights (Webster's method, which takes nothing back: who gets
    more pairs in all has those of before).

    Parameters
    ----------
    most
        How many pairs there are of each.
    weight
        Their weights.

    Examples
    --------
    >>> list(deal([3, 9, 1], [1.0, 3.0, 1.0]))[:9]
    [0, 1, 2, 0, 1, 1, 1, 1, 1]
    """
    for place in range(2):
        yield from (k for k, one in enumerate(most) if place < one)
    share = [min(2, one) for one in most]
    queue = [(-one / (share[k] + 0.5), k) for k, one in enumerate(weight) if share[k] < most[k]]
    heapq.heapify(queue)
    while queue:
        k = queue[0][1]
        share[k] += 1
        yield k
        if share[k] < most[k]:
            heapq.heapreplace(queue, (-weight[k] / (share[k] + 0.5), k))
        else:
            heapq.heappop(queue)


def blocks(pairs: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Return the rows ``[m, n_players]`` in parts of which each fits into memory as floating-point numbers.

    Examples
    --------
    >>> [len(block) for block in blocks(np.zeros((9000, 2000), dtype=bool))]
    [3000, 3000, 3000]
    """
    return np.array_split(pairs, max(1, -(-pairs.size // _ENTRIES)))


def populations(n_players: int) -> list[int]:
    """Return how many pairs there are of each size of the smaller member, ``MANY`` for more.

    Examples
    --------
    >>> populations(6)
    [6, 15, 10]
    """
    found, coalitions = [], 1
    for size in range(1, n_players // 2 + 1):
        if coalitions < 2 * MANY:
            coalitions = coalitions * (n_players - size + 1) // size
        found.append(min(MANY, coalitions // 2 if 2 * size == n_players else coalitions))
    return found
