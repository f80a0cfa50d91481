"""What a surrogate is: an odd or even function of coalitions whose semivalues are known in closed form."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.estimators.sizes import Along

__all__ = ["SIZE_FUNCTIONS", "Surrogate", "of_sizes", "spread"]

#: How many functions of the size of a coalition alone there are.
SIZE_FUNCTIONS = 4


class Surrogate(ABC):
    """A function ``f`` of coalitions, fitted to what is known of ``t`` games.

    Either it is odd, ``f(N - S) = -f(S)``, or even, ``f(N - S) = f(S)``.

    Parameters
    ----------
    pairs
        The smaller member of each pair of a coalition and its complement, bool ``[m, n_players]``.
    half
        Half the difference of their utilities, or half their sum, ``[m, t]``. Each column is fitted for itself.
    even
        Whether it is even.

    Attributes
    ----------
    name
        What it is called.
    error
        Mean squared error for a pair that it was not fitted to, ``[t]``.
    """

    name: ClassVar[str]
    error: NDArray[np.float64]

    @abstractmethod
    def __init__(self, pairs: NDArray[np.bool_], half: NDArray[np.float64], even: bool = False) -> None: ...

    @abstractmethod
    def predict(self, pairs: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return ``f`` of coalitions ``[m, n_players]``, as ``[m, t]``."""

    @abstractmethod
    def shares(self, along: Along, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``sum_s weight_s * mean over |S| = s of f(S) g_i(S)``, as ``[n_players, t]``.

        Parameters
        ----------
        along
            ``g``, for the players in ``S`` and for the others.
        weight
            For the sizes 1, 2, ... up to half the players, ``[n_players // 2]``.
        """


def of_sizes(sizes: NDArray[np.int64], n_players: int, even: bool = False) -> NDArray[np.float64]:
    """Return four odd or even functions of the size of a coalition alone, between -1 and 1, ``[m, 4]``.

    How a model gains with the amount of data is most of what coalitions of many players differ by. The odd ones have no
    part in Shapley values, since the vectors ``g`` of all coalitions of a size have mean zero there.

    Examples
    --------
    >>> of_sizes(np.array([1, 2]), 4).round(2)
    array([[0.5 , 0.12, 0.03, 1.  ],
           [0.  , 0.  , 0.  , 0.  ]])
    >>> of_sizes(np.array([1, 2]), 4, even=True).round(2)
    array([[1.  , 0.25, 0.06, 1.  ],
           [1.  , 0.  , 0.  , 0.  ]])
    """
    x = 1 - 2 * sizes / n_players
    logit = np.log((n_players - sizes) / sizes) / np.log(max(n_players - 1, 2))
    return np.stack([np.ones_like(x), x**2, x**4, logit**2] if even else [x, x**3, x**5, logit], axis=1)


def spread(along: Along, weight: NDArray[np.float64], n_players: int) -> tuple[NDArray[np.float64], ...]:
    """Return ``g`` of a player inside and outside, times the weight and how often a player is there: ``[n // 2]`` each.

    Examples
    --------
    >>> spread(Along(np.array([1.0]), np.array([-1.0])), np.array([2.0]), 3)
    (array([0.66666667]), array([-1.33333333]))
    """
    there = np.arange(1, n_players // 2 + 1) / n_players
    return weight * along.inside * there, weight * along.outside * (1 - there)
