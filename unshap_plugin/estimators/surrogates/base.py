"""What a surrogate is: an odd function of coalitions whose Shapley values are known in closed form."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["SIZE_FUNCTIONS", "Surrogate", "of_sizes"]

#: How many functions of the size of a coalition alone there are.
SIZE_FUNCTIONS = 4


class Surrogate(ABC):
    """A function ``f`` of coalitions with ``f(N - S) = -f(S)``, fitted to what is known of ``t`` games.

    Parameters
    ----------
    pairs
        One member of each pair of a coalition and its complement, bool ``[m, n_players]``.
    odd
        Half the difference of their utilities, ``[m, t]``. Each column is fitted for itself.

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
    def __init__(self, pairs: NDArray[np.bool_], odd: NDArray[np.float64]) -> None: ...

    @abstractmethod
    def predict(self, pairs: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return ``f`` of coalitions ``[m, n_players]``, as ``[m, t]``."""

    @abstractmethod
    def shares(self, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``sum_s weight_s * mean over |S| = s of f(S) g_i(S)``, as ``[n_players, t]``.

        Parameters
        ----------
        weight
            For the sizes 1, 2, ... up to half the players, ``[n_players // 2]``.
        """


def of_sizes(sizes: NDArray[np.int64], n_players: int) -> NDArray[np.float64]:
    """Return four odd functions of the size of a coalition alone, between -1 and 1, ``[m, 4]``.

    How a model gains with the amount of data is most of what coalitions of many players differ by. It has no part in
    any value, since the vectors ``g`` of all coalitions of a size have mean zero.

    Examples
    --------
    >>> of_sizes(np.array([1, 2]), 4).round(2)
    array([[0.5 , 0.12, 0.03, 1.  ],
           [0.  , 0.  , 0.  , 0.  ]])
    """
    x = 1 - 2 * sizes / n_players
    logit = np.log((n_players - sizes) / sizes) / np.log(max(n_players - 1, 2))
    return np.stack([x, x**3, x**5, logit], axis=1)
