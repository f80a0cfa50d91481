"""The promises of a semivalue, as plain functions ``(subject, game)`` that raise ``Violation``.

Values of an estimator that declares itself exact are compared as they are. Those of a sampler are compared in the mean
over ``len(subject.seeds)`` runs: the allowed difference is then ``Z`` standard errors, taken from the spread over the
runs, so that an identity which a sampler keeps in every run has to hold as exactly as for an exact estimator.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unshap_conformance.checks import compare
from unshap_conformance.games import Game, random_game
from unshap_conformance.semivalues import Semivalue, by_subsets, label

__all__ = [
    "TOLERANCE",
    "Outcome",
    "Player",
    "Z",
    "agreement",
    "compare_runs",
    "duality",
    "efficiency",
    "exact_values",
    "linearity",
    "null_player",
    "renaming",
    "runs",
    "scaling",
    "shift",
    "symmetry",
]

#: Round-off of sums of some hundred numbers of the size of the utilities.
TOLERANCE = 1e-9
#: Standard errors by which the mean over 40 runs of a correct sampler is off once in two million comparisons.
Z = 6.0


class Outcome(Protocol):
    """Result of playing a game."""

    @property
    def values(self) -> NDArray[np.float64]:
        """One value per player, ``[n]``."""
        ...


class Player(Protocol):
    """Subject of the axioms: all that they need of one."""

    @property
    def semivalue(self) -> Semivalue | None:
        """The values that it promises; ``None`` for none that are known."""
        ...

    @property
    def seeds(self) -> range:
        """The seeds of the runs that are compared in the mean; one for an exact subject."""
        ...

    def play(self, game: Game, seed: int = 0) -> Outcome:
        """Play a game."""
        ...


_FACTOR, _CONSTANT, _PARTNER_SEED = Fraction(5, 2), Fraction(7), 11


def exact_values(subject: Player, game: Game) -> NDArray[np.float64]:
    """Return the values that the subject is to find, float64 ``[n]``."""
    assert subject.semivalue is not None
    return np.array([float(value) for value in by_subsets(game.utilities, subject.semivalue)])


def runs(subject: Player, game: Game) -> NDArray[np.float64]:
    """Return the values of one run for every seed, float64 ``[runs, n]``."""
    return np.stack([subject.play(game, seed).values for seed in subject.seeds])


def compare_runs(
    what: str, expected: ArrayLike, got: NDArray[np.float64], players: Sequence[Any] | None = None
) -> None:
    """Compare the mean of runs ``[runs, k]`` with what is expected, ``[k]`` or ``[runs, k]``, entry by entry."""
    e = np.broadcast_to(np.asarray(expected, dtype=np.float64), got.shape)
    tolerance = np.full(got.shape[1], TOLERANCE)
    if len(got) > 1:
        tolerance += Z * np.std(got - e, axis=0, ddof=1) / np.sqrt(len(got))
    compare(what + _over(got), e.mean(axis=0), got.mean(axis=0), tolerance, players=players)


def efficiency(subject: Player, game: Game) -> None:
    """Check that ``sum of phi_i = v(N) - v(none)``, in every single run."""
    for seed in subject.seeds[:10]:
        values = subject.play(game, seed).values
        compare(
            "the values of all players do not sum to what they bring together",
            [float(game.total)],
            [values.sum()],
            TOLERANCE,
            players=[tuple(range(game.n_players))],
        )


def symmetry(subject: Player, game: Game) -> None:
    """Check that players that can take each other's place have the same value."""
    values = runs(subject, game)
    one, other = np.array(game.symmetric_pairs).T
    compare_runs(
        "players that can take each other's place differ", values[:, one], values[:, other], game.symmetric_pairs
    )


def null_player(subject: Player, game: Game) -> None:
    """Check that a player that adds nothing to any coalition has the value 0."""
    players = list(game.null_players)
    values = runs(subject, game)[:, players]
    compare_runs("a player that adds nothing is paid", np.zeros(len(players)), values, players)


def linearity(subject: Player, game: Game) -> None:
    """Check that ``phi(v + w) = phi(v) + phi(w)``."""
    partner = random_game(game.n_players, _PARTNER_SEED)
    expected = runs(subject, game) + runs(subject, partner)
    compare_runs(
        f"the values of the sum with {partner.name} are not the sums of the values",
        expected,
        runs(subject, game.plus(partner)),
    )


def scaling(subject: Player, game: Game) -> None:
    """Check that ``phi(c v) = c phi(v)`` for ``c > 0``."""
    compare_runs(
        f"the values of the game times {float(_FACTOR):g} are not that multiple of the values",
        float(_FACTOR) * runs(subject, game),
        runs(subject, game.times(_FACTOR)),
    )


def shift(subject: Player, game: Game) -> None:
    """Check that ``phi(v + c) = phi(v)`` for a constant ``c``, which the empty coalition gets too."""
    compare_runs(
        f"adding {float(_CONSTANT):g} to every utility changes the values",
        runs(subject, game),
        runs(subject, game.shifted(_CONSTANT)),
    )


def duality(subject: Player, game: Game) -> None:
    """Check that ``phi(v*) = phi(v)`` for the dual game ``v*(S) = v(N) - v(N without S)``."""
    compare_runs("the values of the dual game differ", runs(subject, game), runs(subject, game.dual()))


def renaming(subject: Player, game: Game) -> None:
    """Check that the values follow the players when these change their places."""
    for order in _orders(game.n_players):
        compare_runs(
            f"the values do not follow the players when player i becomes player {list(order)}[i]",
            runs(subject, game)[:, order],
            runs(subject, game.renamed(order)),
        )


def agreement(subject: Player, game: Game) -> None:
    """Check that the values are those of the definition, computed in rational arithmetic."""
    assert subject.semivalue is not None
    compare_runs(
        f"the values are not the {label(subject.semivalue)} values", exact_values(subject, game), runs(subject, game)
    )


def _orders(n: int) -> Iterable[list[int]]:
    """Return all players reversed, and all moved on by one."""
    return ([*range(n)][::-1], [*range(1, n), 0])


def _over(got: NDArray[np.float64]) -> str:
    return f" in the mean over {len(got)} runs" if len(got) > 1 else ""
