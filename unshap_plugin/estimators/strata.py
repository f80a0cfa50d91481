"""Strata of pairs: how coalitions and their complements are divided by size, and drawn."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.estimators.sizes import Sizes

__all__ = ["Stratum", "blocks", "divide", "draw", "pairs_in_all"]

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
    return min(MANY, sum(count for count, mass in zip(_populations(sizes.n_players), sizes.mass, strict=True) if mass))


def divide(sizes: Sizes, pairs: int) -> list[Stratum]:
    """Return strata of the sizes that count, and how many of ``pairs`` each of them gets.

    Each size is a stratum where every one can have two pairs (or all that there are). Otherwise neighbouring sizes
    share one. The shares are those of Neyman (1934) for residuals that spread alike in all sizes: the mass of a stratum
    times the length of the vector with which a residual counts.

    Examples
    --------
    >>> from unshap_plugin.estimators.sizes import sizes_of
    >>> [(one.sizes.tolist(), one.drawn, one.population) for one in divide(sizes_of(np.full(6, 1 / 6)), 12)]
    [([1], 6, 6), ([2], 4, 15), ([3], 2, 10)]
    >>> [one.sizes.tolist() for one in divide(sizes_of(np.full(6, 1 / 6)), 2)]
    [[1, 2, 3]]
    """
    counted = np.flatnonzero(sizes.mass)
    populations = [_populations(sizes.n_players)[k] for k in counted]
    weight = (sizes.mass * sizes.lengths)[counted]
    parts = [np.array([k]) for k in range(len(counted))]
    if pairs < sum(min(2, one) for one in populations):
        middle = (np.cumsum(weight) - weight / 2) / weight.sum()
        group = np.floor(middle * max(1, pairs // SHARED)).astype(int)
        parts = [np.flatnonzero(group == one) for one in np.unique(group)]
    most = [populations[part[0]] if len(part) == 1 else MANY for part in parts]
    drawn = _shared(pairs, most, [float(weight[part].sum()) for part in parts])
    return [Stratum(counted[part] + 1, one, count) for part, one, count in zip(parts, most, drawn, strict=True)]


def draw(stratum: Stratum, sizes: Sizes, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return one member of each pair that is drawn, bool ``[drawn, n_players]``.

    Those of one size are drawn without replacement. Of several sizes each comes as often as its mass says.

    Examples
    --------
    >>> from unshap_plugin.estimators.sizes import sizes_of
    >>> draw(Stratum(np.array([1]), 3, 3), sizes_of(np.full(3, 1 / 3)), np.random.default_rng(0)).sum(axis=0)
    array([1, 1, 1])
    """
    n_players = sizes.n_players
    if len(stratum.sizes) > 1:
        mass = sizes.mass[stratum.sizes - 1]
        several = rng.choice(stratum.sizes, stratum.drawn, p=mass / mass.sum())
        return np.array([_subset(n_players, int(size), rng) for size in several])
    size = int(stratum.sizes[0])
    if stratum.population <= 2 * stratum.drawn:  # of half the players, the first half holds player 0: no complements
        listed = islice(combinations(range(n_players), size), stratum.population)
        chosen = rng.choice(stratum.population, stratum.drawn, replace=False)
        rows = np.zeros((stratum.population, n_players), dtype=bool)
        for row, members in zip(rows, listed, strict=True):
            row[list(members)] = True
        return rows[chosen]
    found: dict[bytes, NDArray[np.bool_]] = {}
    while len(found) < stratum.drawn:
        row = _subset(n_players, size, rng)
        if 2 * size == n_players and not row[0]:
            row = ~row
        found.setdefault(row.tobytes(), row)
    return np.array(list(found.values()))


def blocks(pairs: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Return the rows ``[m, n_players]`` in parts of which each fits into memory as floating-point numbers.

    Examples
    --------
    >>> [len(block) for block in blocks(np.zeros((9000, 2000), dtype=bool))]
    [3000, 3000, 3000]
    """
    return np.array_split(pairs, max(1, -(-pairs.size // _ENTRIES)))


def _subset(n_players: int, size: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    row = np.zeros(n_players, dtype=bool)
    row[rng.choice(n_players, size, replace=False, shuffle=False)] = True
    return row


def _populations(n_players: int) -> list[int]:
    """Return how many pairs there are of each size, ``MANY`` for more."""
    found, coalitions = [], 1
    for size in range(1, n_players // 2 + 1):
        if coalitions < 2 * MANY:
            coalitions = coalitions * (n_players - size + 1) // size
        found.append(min(MANY, coalitions // 2 if 2 * size == n_players else coalitions))
    return found


def _shared(pairs: int, most: list[int], weight: list[float]) -> list[int]:
    """Return whole shares in proportion to the weights, from two to ``most`` each (Webster's method)."""
    shares = [min(2, one) for one in most]
    queue = [
        (-one / (share + 0.5), k) for k, (one, share) in enumerate(zip(weight, shares, strict=True)) if share < most[k]
    ]
    heapq.heapify(queue)
    for _ in range(pairs - sum(shares)):
        k = queue[0][1]
        shares[k] += 1
        if shares[k] < most[k]:
            heapq.heapreplace(queue, (-weight[k] / (shares[k] + 0.5), k))
        else:
            heapq.heappop(queue)
    return shares
