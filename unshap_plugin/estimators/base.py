"""The contract of an estimator: it asks for utilities, is told them, and estimates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Estimate", "Estimator"]


@dataclass(frozen=True)
class Estimate:
    """Values with standard errors.

    Parameters
    ----------
    values
        ``[n_players]`` or ``[n_players, t]``.
    std_errors
        Of the same shape.
    degrees_of_freedom
        Of the standard errors, ``[n_players]`` or ``[n_players, t]``; infinite where the values are exact.
    """

    values: NDArray[np.float64]
    std_errors: NDArray[np.float64]
    degrees_of_freedom: NDArray[np.float64]


class Estimator(ABC):
    """Estimates values from utilities that it asks for.

    Parameters
    ----------
    n_players
        Number of players.
    budget
        How many utilities it may ask for; a coalition that it asks for again counts again. ``None``: its own default.
    seed
        Of everything random in it.
    """

    name: ClassVar[str]

    def __init__(self, n_players: int, budget: int | None, seed: int) -> None:
        self.n_players = n_players
        self.budget = budget
        self.seed = seed

    @property
    @abstractmethod
    def total(self) -> int:
        """How many utilities it will ask for."""

    @abstractmethod
    def ask(self) -> NDArray[np.bool_]:
        """Return the next coalitions, boolean ``[m, n_players]``; none when it is done."""

    @abstractmethod
    def tell(self, coalitions: NDArray[np.bool_], utilities: NDArray[np.float64]) -> None:
        """Take the utilities ``[m]`` or ``[m, t]`` of the coalitions last asked for."""

    @abstractmethod
    def estimate(self) -> Estimate:
        """Return the values."""
