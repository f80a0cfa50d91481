"""Coalitions of all sizes, the same number from each range of sizes (stratified sampling)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.errors import InvalidValueError
from unshap_plugin.estimators.exact import MAX_PLAYERS

__all__ = ["SizeRange", "draw", "size_ranges"]

#: Up to this many players each size is a range of its own, beyond it each quarter of the sizes is.
EACH_SIZE = 10
#: Up to this many players all coalitions are taken where no number is asked for; beyond it so many.
ALL_PLAYERS, DEFAULT_COUNT = 8, 100
#: Coalitions that a size should have, so that what depends on the size alone can be told from the rest.
_PER_SIZE = 4
_ENUMERABLE = 10_000


@dataclass(frozen=True)
class SizeRange:
    """Coalitions that keep between ``first`` and ``last`` players.

    Parameters
    ----------
    name
        ``none``, ``all``, a size, or a range of sizes.
    first, last
        The smallest and the largest size.
    """

    name: str
    first: int
    last: int

    @property
    def sizes(self) -> range:
        """The sizes in this range."""
        return range(self.first, self.last + 1)

    def count(self, n_players: int) -> int:
        """Return how many coalitions of these sizes there are."""
        return sum(comb(n_players, size) for size in self.sizes)


def size_ranges(n_players: int) -> list[SizeRange]:
    """Return the ranges of sizes: none, each size (quarters of the sizes for more than 10 players), all."""
    inner = np.arange(1, n_players)
    parts = np.array_split(inner, len(inner) if n_players <= EACH_SIZE else 4) if len(inner) else []
    ranges = [(int(part[0]), int(part[-1])) for part in parts]
    named = [SizeRange(str(a) if a == b else f"{a}-{b}", a, b) for a, b in ranges]
    return [SizeRange("none", 0, 0), *named, SizeRange("all", n_players, n_players)]


def draw(n_players: int, count: int | None, seed: int) -> NDArray[np.bool_]:
    """Return distinct coalitions ``[m, n_players]``, sorted by size, ``m`` at most ``count``.

    They are all ``2**n`` if these are no more than ``count``; otherwise none, all, and the same number from each range
    of sizes between them (all of a range that has fewer). Within a quarter of the sizes that number is shared by some
    sizes at even distances, about four coalitions each.

    Parameters
    ----------
    n_players
        Number of players.
    count
        ``None``: all for up to 8 players, otherwise 100.
    seed
        Seed of the choice.

    Raises
    ------
    InvalidValueError
        If ``count`` does not suffice for none, all and two of each range of sizes.
    """
    if count is None:
        count = 2**ALL_PLAYERS if n_players <= ALL_PLAYERS else DEFAULT_COUNT
    ranges = size_ranges(n_players)
    capacities = [one.count(n_players) for one in ranges]
    least = sum(min(2, capacity) for capacity in capacities)
    if count < least:
        raise InvalidValueError(
            f"coalitions={count} is too few: none, all and two of each of the {len(ranges) - 2} ranges of sizes "
            f"between them are the least for {n_players} players: give at least {least}."
        )
    everything = n_players <= MAX_PLAYERS and 2**n_players <= count
    quota = max(capacities) if everything else _level(count, capacities)
    rng = np.random.default_rng(np.random.SeedSequence([seed, n_players]))
    blocks = []
    for one, capacity in zip(ranges, capacities, strict=True):
        for size, number in _by_size(n_players, one, min(quota, capacity)):
            blocks.append(_of_size(n_players, size, number, rng))
    return np.concatenate(blocks)


def _level(total: int, capacities: Sequence[int]) -> int:
    """Return the largest number that all ranges can give, or all they have, without exceeding the total."""
    level = 0
    while sum(min(level + 1, capacity) for capacity in capacities) <= total:
        level += 1
    return level


def _by_size(n: int, among: SizeRange, number: int) -> list[tuple[int, int]]:
    """Share the number of a range among some of its sizes."""
    for chosen in range(max(1, number // _PER_SIZE), len(among.sizes) + 1):
        middles = np.linspace(among.first, among.last, 2 * chosen + 1)[1::2]
        spread = np.unique(middles.round().astype(int)).tolist()
        if sum(comb(n, size) for size in spread) >= number:
            break
    else:
        spread = list(among.sizes)
    counts = dict.fromkeys(spread, 0)
    for size in itertools.cycle(spread):
        if sum(counts.values()) == number:
            break
        if counts[size] < comb(n, size):
            counts[size] += 1
    return list(counts.items())


def _of_size(n: int, size: int, number: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return distinct coalitions of one size."""
    few = min(size, n - size)  # of a large coalition it is easier to say who is not in it
    if comb(n, few) <= _ENUMERABLE:
        every = list(itertools.combinations(range(n), few))
        chosen = [every[k] for k in np.sort(rng.choice(len(every), number, replace=False))]
    else:
        drawn: dict[tuple[int, ...], None] = {}
        while len(drawn) < number:
            drawn[tuple(np.sort(rng.choice(n, few, replace=False)).tolist())] = None
        chosen = list(drawn)
    coalitions = np.zeros((number, n), dtype=bool)
    for coalition, members in zip(coalitions, chosen, strict=True):
        coalition[list(members)] = True
    return coalitions if few == size else ~coalitions
