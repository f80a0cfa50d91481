"""The contract of an estimator: it asks for utilities, is told them, and estimates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.errors import DivergenceError
from unshap_plugin.estimators.running import run
from unshap_plugin.estimators.stopping import NEVER, Ending, Stopping
from unshap_plugin.support.progress import Progress

__all__ = ["EXCLUDES_NONE", "Estimate", "Estimator", "check_ends"]

#: Utilities that are asked for at a time, at first.
_BLOCK = 32

#: The advice where exclusions leave no values: an estimator knows no more of the game than its utilities.
EXCLUDES_NONE = "a game that excludes none of these"


@dataclass(frozen=True)
class Estimate:
    """Values with standard errors.

    Parameters
    ----------
    values
        ``[n_players]`` or ``[n_players, t]``.
    std_errors
        Standard errors, ``[n_players]`` or ``[n_players, t]``; NaN where one cannot be had, never a guess.
    degrees_of_freedom
        Degrees of freedom of these, ``[n_players]`` or ``[n_players, t]``; infinite where the values are exact.

    Examples
    --------
    >>> Estimate(np.array([0.5, 0.25]), np.zeros(2), np.full(2, np.inf)).values.sum().tolist()
    0.75
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
        Seed of everything random in it.

    Attributes
    ----------
    name, summary, source
        What users call it; what it does, in one line; the paper or book that it comes from.
    exact
        Whether its values are the definition's, up to round-off.
    weighted
        Whether it takes ``weights`` of a semivalue beside the rest: of the mean marginal contributions to coalitions of
        0, 1, ... others, ``[n_players]``.
    assisted
        Whether it takes ``covariates`` beside the rest, where a game has any: what is known of the players without
        utilities, ``[n_players, q]``.
    asked
        How many utilities ``run`` has asked for.
    ending
        What ended ``run``: ``"budget"``, unless it was a rule or somebody.
    block
        About how many ``ask`` asks for at a time. ``run`` asks for more where they come fast, and for fewer where they
        come slowly, so that it asks about once a second; what is asked for in all does not depend on it.

    Raises
    ------
    BudgetError
        By a subclass that cannot work within (or up to) the budget.

    Examples
    --------
    >>> from unshap_plugin.estimators import Exact
    >>> issubclass(Exact, Estimator), Exact(2, None, 0).run(lambda coalitions: coalitions @ [3.0, 5.0]).values
    (True, array([3., 5.]))
    >>> exact = Exact(2, None, 0)  # the same by hand
    >>> coalitions = exact.ask()
    >>> exact.tell(coalitions, coalitions @ [3.0, 5.0])
    >>> exact.total, exact.anytime_from, exact.equivalent
    (4, 4, 'stratified')
    >>> coalitions = exact.ask()  # the ends came first
    >>> exact.tell(coalitions, coalitions @ [3.0, 5.0])
    >>> len(exact.ask()), exact.equivalent, exact.estimate().values
    (0, 'exact', array([3., 5.]))
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    exact: ClassVar[bool] = False
    weighted: ClassVar[bool] = False
    assisted: ClassVar[bool] = False

    def __init__(self, n_players: int, budget: int | None, seed: int) -> None:
        self.n_players = n_players
        self.budget = budget
        self.seed = seed
        self.asked = 0
        self.block = _BLOCK
        self.ending: Ending = "budget"

    @property
    @abstractmethod
    def total(self) -> int:
        """Number of utilities that it will ask for."""

    @property
    def anytime_from(self) -> int | None:
        """From how many utilities on ``estimate`` may be called before the end; ``None``: it may not.

        Its values are then those of a run with a budget of what was asked for so far, bit for bit.
        """
        return None

    @property
    def equivalent(self) -> str:
        """Name of the estimator that gives the values of now with a budget of what was asked for."""
        return self.name

    @abstractmethod
    def ask(self) -> NDArray[np.bool_]:
        """Return the next coalitions, boolean ``[m, n_players]``; none when it is done."""

    @abstractmethod
    def tell(self, coalitions: NDArray[np.bool_], utilities: NDArray[np.float64]) -> None:
        """Take the ``utilities``, ``[m]`` or ``[m, t]``, of the ``coalitions`` last asked for, ``[m, n_players]``.

        Raises
        ------
        DivergenceError
            By a subclass that has to know a utility that is not a number: its coalition was excluded.
        """

    @abstractmethod
    def estimate(self) -> Estimate:
        """Return the values.

        Raises
        ------
        BudgetError
            By a subclass, if too few utilities are left after the exclusions.
        """

    def run(
        self,
        game: Callable[[NDArray[np.bool_]], NDArray[np.float64]],
        progress: Callable[[Progress], object] | None = None,
        stopping: Stopping = NEVER,
    ) -> Estimate:
        """Ask and tell until nothing is left to ask, or until a rule ends it, and return the values.

        Parameters
        ----------
        game
            Function from boolean coalitions ``[m, n_players]`` to their utilities ``[m]`` or ``[m, t]``.
        progress
            Called with the ``Progress``, about once a second where utilities are not slower; ``True`` ends the run.
            Where the game raises, it is asked once more whether the run should end: with the values so far then.
        stopping
            Rules, which only who can estimate at any time keeps (``anytime_from``). On values it looks at five
            utilities to a player and then at half as many more each time, so that it does not depend on the clock
            where it stops.

        Raises
        ------
        DivergenceError, BudgetError
            See ``tell`` and ``estimate``; what the game raises passes through.
        BudgetError
            If the callback ends the run before there are values.
        """
        return run(self, game, progress, stopping)


def check_ends(ends: NDArray[np.bool_], utilities: NDArray[np.float64], because: str) -> None:
    """Raise if a coalition that an estimator cannot do without was excluded.

    Parameters
    ----------
    ends
        Such coalitions, ``[m, n_players]``.
    utilities
        Theirs, ``[m]`` or ``[m, t]``.
    because
        Why it cannot, in words that follow a comma and "but".

    Raises
    ------
    DivergenceError
        If a utility is no number.
    """
    if np.isnan(utilities).any():
        bad = ends[np.isnan(utilities.reshape(len(ends), -1)).any(axis=1).argmax()]
        raise DivergenceError(
            f"the utility of the coalition that keeps {int(bad.sum())} of {len(bad)} players was excluded, but "
            f"{because}",
            tuple(bool(keep) for keep in bad),
            (EXCLUDES_NONE,),
        )
