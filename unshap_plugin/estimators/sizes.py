"""What pairs of each size count in a semivalue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Along", "Sizes", "sizes_of"]

#: Sizes that count less than this share of all are below round-off.
NOTHING = 1e-15


@dataclass(frozen=True)
class Along:
    """How half the difference, or half the sum, of the utilities of a pair goes into the values.

    Attributes
    ----------
    inside, outside
        Its factor for the players in the smaller member, and for the others, ``[n_players // 2]``.

    Examples
    --------
    >>> sizes_of(np.full(4, 0.25)).odd
    Along(inside=array([1. , 0.5]), outside=array([-0.33333333, -0.5       ]))
    """

    inside: NDArray[np.float64]
    outside: NDArray[np.float64]


@dataclass(frozen=True)
class Sizes:
    """What pairs of a coalition and its complement count, by the size of the smaller member.

    With ``o(S) = (v(S) - v(N - S)) / 2``, ``e(S) = (v(S) + v(N - S)) / 2``, and ``w`` the weights of the semivalue,

    ``phi_i = w_{n-1} v(N) - w_0 v(none) + sum over sizes s <= n / 2 of mass_s * mean over |S| = s of o g_i + e h_i``

    The even part ``e`` has no part in it where weights are symmetric, as those of Shapley and Banzhaf are.

    Attributes
    ----------
    n_players
        Number of players.
    mass
        For the sizes 1 to ``n_players // 2``: of Shapley 2, or 1 for half the players. Zero where it is below
        round-off.
    odd, even
        ``g`` and ``h``; ``even`` is ``None`` where it is zero.
    ends
        The factor of ``v(N) - v(none)``, of utilities that are counted from the middle between both.
    falls
        Residuals are taken to spread as ``|S| ** -falls``, where pairs are shared out among the sizes.

    Examples
    --------
    >>> shapley = sizes_of(np.full(4, 0.25))
    >>> shapley.mass, shapley.even, shapley.ends
    (array([2., 1.]), None, 0.25)
    """

    n_players: int
    mass: NDArray[np.float64]
    odd: Along
    even: Along | None
    ends: float
    falls: float = 0.0

    @property
    def parts(self) -> list[Along]:
        """The odd part, and the even one if there is any."""
        return [self.odd] if self.even is None else [self.odd, self.even]

    @property
    def lengths(self) -> NDArray[np.float64]:
        """How large the contributions of a pair of each size are: the length of ``(g, h)``, ``[n_players // 2]``."""
        size = np.arange(1, len(self.mass) + 1)
        return np.sqrt(
            np.sum([size * one.inside**2 + (self.n_players - size) * one.outside**2 for one in self.parts], axis=0)
        )

    @property
    def claims(self) -> NDArray[np.float64]:
        """In which proportion sizes are given pairs: by what they add to the error (Neyman 1934)."""
        return self.mass * self.lengths * np.arange(1.0, len(self.mass) + 1) ** -self.falls

    def contributions(
        self, size: NDArray[np.int64], halves: list[NDArray[np.float64]]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what pairs add to the players in their smaller members, and to the others, ``[m, t]`` each.

        Parameters
        ----------
        size
            That of the smaller member, ``[m]``.
        halves
            The odd part, and the even one if there is any, ``[m, t]`` each.
        """
        inside = sum(one.inside[size - 1][:, None] * half for one, half in zip(self.parts, halves, strict=True))
        outside = sum(one.outside[size - 1][:, None] * half for one, half in zip(self.parts, halves, strict=True))
        return np.asarray(inside), np.asarray(outside)


def sizes_of(weights: NDArray[np.float64]) -> Sizes:
    """Return what pairs of each size count in the semivalue of these weights, ``[n_players]``.

    Examples
    --------
    >>> small = sizes_of(np.array([0.5, 0.5, 0.0, 0.0]))
    >>> small.mass, small.even
    (array([2., 1.]), Along(inside=array([1. , 0.5]), outside=array([-0.33333333,  0.5       ])))
    """
    n = len(weights)
    size = np.arange(1, n // 2 + 1)
    # Of what the smaller member and the larger one gain with a player, and with one that is there.
    joins, stays = weights[size - 1], weights[n - size - 1]
    leaves, joined = weights[n - size], weights[size]
    every = joins + leaves + joined + stays
    mass = np.where(2 * size == n, 0.5, 1.0) * n * every / 2
    mass[mass < NOTHING * mass.sum()] = 0.0
    scale = np.divide(2.0, every, out=np.zeros_like(every), where=mass > 0)
    odd = Along(scale * (joins + leaves) / size, -scale * (joined + stays) / (n - size))
    even = Along(scale * (joins - leaves) / size, scale * (stays - joined) / (n - size))
    symmetric = np.allclose(weights, weights[::-1], rtol=0, atol=NOTHING)
    return Sizes(n, mass, odd, None if symmetric else even, float(weights[0] + weights[-1]) / 2)
