"""Pairs in random order, of which every beginning is a stratified sample."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from itertools import islice
from math import comb

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.estimators.sizes import Sizes
from unshap_plugin.estimators.strata import MANY, deal, divide, populations, two_of_each

__all__ = ["Drawing", "subsets"]

#: Populations up to here are put in order as a whole.
_LISTED = 1 << 16
#: How many numbers are drawn at a time from a larger one.
_AT_A_TIME = 1024


class Drawing:
    """Pairs that are drawn one after the other: the first ``k`` are a sample as ``divide(sizes, k)`` says.

    So a sample that grows never loses what was drawn before. Each size has a stream of its own, without repetition.
    Where fewer are drawn in all than two of each size, sizes share strata, and the order says nothing.

    Parameters
    ----------
    sizes
        What pairs of each size count.
    pairs
        How many are drawn in all, at most ``pairs_in_all(sizes)``.
    seed
        Seed of all of it.

    Attributes
    ----------
    whole
        From how many pairs on the beginning is a sample.

    Examples
    --------
    >>> from unshap_plugin.estimators.sizes import sizes_of
    >>> shapley = sizes_of(np.full(6, 1 / 6))
    >>> rows, stratum = Drawing(shapley, 31, seed=0).take(12)
    >>> rows.shape, np.bincount(rows.sum(axis=1)).tolist(), [one.drawn for one in divide(shapley, 12)]
    ((12, 6), [0, 6, 4, 2], [6, 4, 2])
    """

    def __init__(self, sizes: Sizes, pairs: int, seed: int) -> None:
        self.n_players, self.pairs = sizes.n_players, pairs
        self.whole = min(pairs, two_of_each(sizes))
        self._left = pairs
        self._order: Iterator[int]
        self._streams: list[Iterator[NDArray[np.bool_]]]
        if pairs < two_of_each(sizes):
            strata = divide(sizes, pairs)
            self._order = iter([k for k, one in enumerate(strata) for _ in range(one.drawn)])
            self._streams = [_of_sizes(sizes, one.sizes, _generator(seed, k)) for k, one in enumerate(strata)]
        else:
            counted, there = np.flatnonzero(sizes.mass), populations(sizes.n_players)
            weight = sizes.claims[counted]
            self._order = deal([there[k] for k in counted], weight.tolist())
            self._streams = [_of_size(sizes, int(k) + 1, there[k], _generator(seed, int(k) + 1)) for k in counted]

    def take(self, count: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Return one member of each of the next pairs, bool ``[count, n_players]``, and the numbers of their strata.

        Fewer come where fewer are left.
        """
        stratum = np.fromiter(islice(self._order, min(count, self._left)), dtype=np.int64)
        self._left -= len(stratum)
        rows = np.zeros((len(stratum), self.n_players), dtype=bool)
        for k in np.unique(stratum):
            mine = np.flatnonzero(stratum == k)
            rows[mine] = list(islice(self._streams[k], len(mine)))
        return rows, stratum


def subsets(n_players: int, size: int, ranks: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return the coalitions of a size that have these places in the order of their largest members, bool ``[m, n]``.

    Of ranks below ``comb(n_players - 1, size)`` none holds the last player. That is the combinatorial number system
    (Lehmer 1964): a place is the sum of ``comb(member, k)`` over the members from the least, ``k = 1``, to the largest.

    Examples
    --------
    >>> subsets(4, 2, np.arange(6)).astype(int).tolist()
    [[1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 1, 0], [1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 1, 1]]
    """
    rows, left = np.zeros((len(ranks), n_players), dtype=bool), ranks.copy()
    for k in range(size, 0, -1):
        below = _ways(n_players, k)  # nondecreasing in the member
        member = np.searchsorted(below, left, side="right") - 1
        rows[np.arange(len(ranks)), member] = True
        left -= below[member]
    return rows


@functools.lru_cache(maxsize=256)
def _ways(n_players: int, k: int) -> NDArray[np.int64]:
    """Return ``comb(member, k)`` of every player, at most ``MANY``."""
    return np.array([min(MANY, comb(member, k)) for member in range(n_players)], dtype=np.int64)


def _generator(seed: int, stream: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([seed, stream]))


def _of_size(sizes: Sizes, size: int, population: int, rng: np.random.Generator) -> Iterator[NDArray[np.bool_]]:
    """Yield one member of each pair of a size, in random order; of half the players that without the last one."""
    if population < MANY:
        for ranks in _in_random_order(population, rng):
            yield from subsets(sizes.n_players, size, ranks)
        return
    seen: set[bytes] = set()
    for row in _of_sizes(sizes, np.array([size]), rng):
        one = ~row if 2 * size == sizes.n_players and row[-1] else row
        if one.tobytes() not in seen:
            seen.add(one.tobytes())
            yield one


def _in_random_order(population: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Yield the numbers from 0 on, some at a time."""
    if population <= _LISTED:
        ranks = rng.permutation(population)
        yield from (ranks[start : start + _AT_A_TIME] for start in range(0, population, _AT_A_TIME))
        return
    seen: set[int] = set()
    while len(seen) < population:
        drawn = dict.fromkeys(rng.integers(population, size=_AT_A_TIME).tolist())
        new = [one for one in drawn if one not in seen]
        seen.update(new)
        yield np.array(new, dtype=np.int64)


def _of_sizes(sizes: Sizes, these: NDArray[np.int64], rng: np.random.Generator) -> Iterator[NDArray[np.bool_]]:
    """Yield subsets without end, of sizes that come as often as their masses say."""
    mass = sizes.mass[these - 1]
    while True:
        row = np.zeros(sizes.n_players, dtype=bool)
        size = int(these[0]) if len(these) == 1 else int(rng.choice(these, p=mass / mass.sum()))
        row[rng.choice(sizes.n_players, size, replace=False, shuffle=False)] = True
        yield row
