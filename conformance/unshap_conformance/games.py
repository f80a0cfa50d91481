"""Games as data: at most six players, and exact rational utilities."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unshap_plugin.coalitions import as_coalitions
from unshap_plugin.errors import InvalidValueError, UnknownNameError

__all__ = ["GAMES", "Game", "by_name", "from_function", "random_game"]

MAX_PLAYERS = 6


@dataclass(frozen=True)
class Game:
    """A utility for every coalition.

    Parameters
    ----------
    name
        Name that results call it by.
    n_players
        Number of players, from one to six.
    utilities
        ``2**n_players`` of them, by bit mask: player i is bit i. That of the empty coalition need not be zero.

    Raises
    ------
    InvalidValueError
        If there are too many players, or not that many utilities.

    Examples
    --------
    >>> game = Game("either", 2, (Fraction(0), Fraction(1), Fraction(1), Fraction(1)))
    >>> game([[False, False], [True, False]])  # [m, n_players] -> float64 [m]
    array([0., 1.])
    >>> game.symmetric_pairs, game.null_players, game.total
    (((0, 1),), (), Fraction(1, 1))
    >>> game.dual().utilities  # worth something to those who have both
    (Fraction(0, 1), Fraction(0, 1), Fraction(0, 1), Fraction(1, 1))
    >>> other = game.times(Fraction(2)).shifted(Fraction(1)).renamed([1, 0])
    >>> [float(utility) for utility in game.plus(other).utilities]
    [1.0, 4.0, 4.0, 4.0]
    """

    name: str
    n_players: int
    utilities: tuple[Fraction, ...]

    def __post_init__(self) -> None:
        if not 1 <= self.n_players <= MAX_PLAYERS:
            raise InvalidValueError(
                f"game {self.name!r} has {self.n_players} players, but 1 to {MAX_PLAYERS} are needed."
            )
        if len(self.utilities) != 1 << self.n_players:
            raise InvalidValueError(
                f"game {self.name!r} of {self.n_players} players has {len(self.utilities)} utilities, "
                f"but {1 << self.n_players} are needed, one for every coalition."
            )

    def __call__(self, coalitions: ArrayLike) -> NDArray[np.float64]:
        """Return the utilities of coalitions.

        Parameters
        ----------
        coalitions
            Boolean ``[m, n_players]``, ``True`` = kept.

        Returns
        -------
        float64 ``[m]``, the nearest floating-point numbers.

        Raises
        ------
        InvalidTypeError, InvalidValueError
            If the matrix is not boolean, or not of that shape.
        """
        matrix = as_coalitions(coalitions, self.n_players)
        return self._floats[matrix @ (1 << np.arange(self.n_players))]

    @cached_property
    def _floats(self) -> NDArray[np.float64]:
        return np.array([float(utility) for utility in self.utilities])

    @property
    def total(self) -> Fraction:
        """Gain that all players bring, ``v(N) - v(none)``."""
        return self.utilities[-1] - self.utilities[0]

    @cached_property
    def null_players(self) -> tuple[int, ...]:
        """Players that add nothing to any coalition."""
        return tuple(
            player
            for player in range(self.n_players)
            if all(self.utilities[mask] == self.utilities[mask & ~(1 << player)] for mask in self._masks)
        )

    @cached_property
    def symmetric_pairs(self) -> tuple[tuple[int, int], ...]:
        """Pairs of players that can take each other's place in every coalition."""
        return tuple(
            (one, other)
            for one, other in combinations(range(self.n_players), 2)
            if all(
                self.utilities[mask | 1 << one] == self.utilities[mask | 1 << other]
                for mask in self._masks
                if not mask & (1 << one | 1 << other)
            )
        )

    @property
    def _masks(self) -> range:
        return range(1 << self.n_players)

    def plus(self, other: Game) -> Game:
        """Return the sum of this game and an ``other`` of as many players.

        Raises
        ------
        ValueError
            If it has more or fewer.
        """
        utilities = tuple(one + two for one, two in zip(self.utilities, other.utilities, strict=True))
        return Game(f"{self.name} + {other.name}", self.n_players, utilities)

    def times(self, factor: Fraction) -> Game:
        """Return the game with every utility multiplied by ``factor``."""
        return replace(
            self, name=f"{factor} * {self.name}", utilities=tuple(factor * utility for utility in self.utilities)
        )

    def shifted(self, by: Fraction) -> Game:
        """Return the game with ``by`` added to every utility, that of the empty coalition too."""
        return replace(self, name=f"{self.name} + {by}", utilities=tuple(utility + by for utility in self.utilities))

    def dual(self) -> Game:
        """Return ``S -> v(N) - v(N without S)``."""
        return replace(
            self,
            name=f"dual of {self.name}",
            utilities=tuple(self.utilities[-1] - self.utilities[~mask] for mask in self._masks),
        )

    def renamed(self, order: Sequence[int]) -> Game:
        """Return the game with the players in another ``order``: its player i is player ``order[i]`` of this one.

        Raises
        ------
        IndexError
            If the order has too few players, or one that there is not.
        """
        utilities = tuple(
            self.utilities[sum(1 << order[player] for player in range(self.n_players) if mask >> player & 1)]
            for mask in self._masks
        )
        return replace(self, name=f"{self.name} renamed", utilities=utilities)


def from_function(name: str, n_players: int, utility: Callable[[frozenset[int]], Fraction | int]) -> Game:
    """Return the game of a function from the set of the players that are kept to its utility."""
    sets = [frozenset(player for player in range(n_players) if mask >> player & 1) for mask in range(1 << n_players)]
    return Game(name, n_players, tuple(Fraction(utility(players)) for players in sets))


def random_game(n_players: int, seed: int) -> Game:
    """Return a game whose utilities, that of the empty coalition too, are drawn from the sevenths in [-5, 5]."""
    draw = random.Random(seed)
    utilities = tuple(Fraction(draw.randint(-35, 35), 7) for _ in range(1 << n_players))
    return Game(f"random_{n_players}_{seed}", n_players, utilities)


def _additive(weights: Sequence[Fraction | int]) -> Callable[[frozenset[int]], Fraction]:
    return lambda players: sum((Fraction(weights[player]) for player in players), Fraction(0))


def _voting(quota: int, votes: Sequence[int]) -> Callable[[frozenset[int]], int]:
    return lambda players: int(sum(votes[player] for player in players) >= quota)


def _with_null_player(players: frozenset[int]) -> Fraction:
    """Player 1 adds nothing; the others are as in a random game."""
    rest = random_game(3, 5).utilities
    return rest[sum(1 << bit for bit, player in enumerate((0, 2, 3)) if player in players)]


def _with_symmetric_players(players: frozenset[int]) -> Fraction:
    """Players 1 and 3 of five count only by their number."""
    inner = {(0, 2, 4)[bit]: bit for bit in range(3)}
    mask = sum(1 << inner[player] for player in players if player in inner)
    return random_game(5, 6).utilities[8 * len(players & {1, 3}) + mask]


def _with_duplicates(players: frozenset[int]) -> Fraction:
    """Players 3 and 4 are copies of players 0 and 1: a copy adds nothing to the original."""
    originals = {player % 3 for player in players}
    return random_game(3, 7).utilities[sum(1 << player for player in originals)]


#: One game of each family, each asymmetric enough that values on the wrong players show, and some with a utility of the
#: empty coalition that is not zero. Their utilities are not all floating-point numbers: round-off has to show too.
GAMES: tuple[Game, ...] = (
    from_function("additive", 5, _additive([1, -2, Fraction(1, 3), 4, Fraction(5, 7)])),
    from_function("glove", 3, lambda players: min(len(players & {0, 1}), len(players & {2}))),
    from_function("unanimity", 4, lambda players: int(players >= {0, 2})),
    from_function("majority", 5, lambda players: int(len(players) >= 3)),
    from_function("airport", 4, lambda players: max(((1, 3, 4, 9)[player] for player in players), default=0)),
    from_function("weighted_voting", 4, _voting(51, [40, 30, 20, 10])),
    from_function("null_player", 4, _with_null_player),
    from_function("symmetric_players", 5, _with_symmetric_players),
    from_function("duplicated_players", 5, _with_duplicates),
    from_function("non_monotone", 4, lambda players: len(players) * (3 - len(players)) + 2 * (0 in players)),
    from_function("negative", 3, lambda players: -(1 + sum(players)) * len(players) - Fraction(1, 3)),
    from_function("constant", 4, lambda _: Fraction(10, 3)),
    from_function("zero", 3, lambda _: 0),
    from_function("one_player", 1, lambda players: Fraction(2, 3) + 5 * len(players)),
    from_function("two_players", 2, lambda players: (1, 4, Fraction(-1, 3), 6)[sum(1 << player for player in players)]),
    from_function("dominated", 4, _additive([300, 1, Fraction(1, 3), Fraction(-1, 2)])),
    random_game(4, 1),
    random_game(5, 2),
    random_game(6, 3),
)


def by_name(*names: str) -> tuple[Game, ...]:
    """Return the games of these names.

    Raises
    ------
    UnknownNameError
        If there is none of such a name.
    """
    known = {game.name: game for game in GAMES}
    for name in names:
        if name not in known:
            raise UnknownNameError("game", name, known)
    return tuple(known[name] for name in names)
