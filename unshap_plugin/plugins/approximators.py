"""``shapiq:NAME``: the approximators of shapiq as estimators."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.errors import BudgetError, InvalidValueError, PluginError, UnknownNameError
from unshap_plugin.estimators import exact, stratified
from unshap_plugin.estimators.base import Estimate, Estimator, check_ends
from unshap_plugin.plugins.catalogue import Provider, Registered

__all__ = ["SHAPIQ", "Approximation", "find_approximator"]

#: The distribution that they belong to, and what their names begin with.
SHAPIQ = "shapiq"
#: Without it no approximator works.
LEAST = 2


class Approximation(Estimator):
    """What an approximator of shapiq makes of the utilities of the coalitions that it asks for.

    These do not depend on utilities: a rehearsal with random ones says which coalitions it will ask for, and each is
    asked for once. It has no standard errors. How much of the budget it needs to be any good is its own affair, but a
    player that it does not reach is an error.

    Attributes
    ----------
    approximator
        The class of shapiq's, made with ``n`` and ``random_state``.

    Raises
    ------
    BudgetError
        If the budget is below 2, or the approximator reaches some player in no coalition.
    """

    approximator: ClassVar[Callable[..., Any]]

    def __init__(self, n_players: int, budget: int | None, seed: int) -> None:
        super().__init__(n_players, budget, seed)
        self._available = max(stratified.DEFAULT_BUDGET, 4 * n_players) if budget is None else budget
        if self._available < LEAST:
            raise BudgetError(
                f"budget={budget} is too small: estimator {self.name!r} needs at least {LEAST} evaluations; give more."
            )
        self._rows: dict[bytes, int] = {}
        draws = np.random.default_rng(np.random.SeedSequence(seed))
        values = self._approximated(lambda rows: draws.normal(size=len(rows)), rehearsing=True)
        rows = np.frombuffer(b"".join(self._rows), dtype=bool)
        self._coalitions = rows.reshape(len(self._rows), n_players)
        _, first = np.unique(self._coalitions, axis=1, return_index=True)
        alike = ~np.isin(np.arange(n_players), first)  # always where another player is
        unreached = np.flatnonzero((values == 0) | alike)
        if len(unreached):
            raise BudgetError(
                f"budget={self._available} is too small: with it estimator {self.name!r} reaches no coalition that "
                f"values player number {unreached[0]}; {self._instead()}."
            )
        self._told = 0
        self._utilities: list[NDArray[np.float64]] = []

    @property
    def total(self) -> int:
        """Number of utilities that it will ask for: those of distinct coalitions."""
        return len(self._coalitions)

    def ask(self) -> NDArray[np.bool_]:
        """Return the next coalitions, in the order of the approximator."""
        return self._coalitions[self._told : self._told + self.block]

    def tell(self, coalitions: NDArray[np.bool_], utilities: NDArray[np.float64]) -> None:
        """Take the utilities."""
        check_ends(coalitions, utilities, "the approximators of shapiq need the utility of each")
        self._told += len(utilities)
        self._utilities.append(utilities)

    def estimate(self) -> Estimate:
        """Return the values of each column, with standard errors of NaN."""
        utilities = np.concatenate(self._utilities)
        columns = utilities.reshape(len(utilities), -1).T
        found = [self._approximated(lambda rows, known=known: known[rows]) for known in columns]  # type: ignore[misc]
        values = np.stack(found, axis=1).reshape(self.n_players, *utilities.shape[1:])
        return Estimate(values, np.full_like(values, np.nan), np.full_like(values, np.nan))

    def _approximated(
        self, utility: Callable[[list[int]], NDArray[np.float64]], *, rehearsing: bool = False
    ) -> NDArray[np.float64]:
        """Return the values ``[n]`` by utilities that are known by the number of a coalition."""

        def game(coalitions: Any) -> NDArray[np.float64]:
            keys = [row.tobytes() for row in np.atleast_2d(np.asarray(coalitions)).astype(bool)]
            if rehearsing:
                return utility([self._rows.setdefault(key, len(self._rows)) for key in keys])
            try:
                return utility([self._rows[key] for key in keys])
            except KeyError:
                raise PluginError(
                    f"estimator {self.name!r} asks for other coalitions where utilities are others, but which ones has "
                    f"to depend on budget and seed alone: use another estimator."
                ) from None

        made = type(self).approximator(n=self.n_players, random_state=self.seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as that not all of the budget is needed
            found = made.approximate(self._available, game)
        return np.array([found[(player,)] for player in range(self.n_players)], dtype=np.float64)

    def _instead(self) -> str:
        """Return what helps where the budget reaches too little."""
        if self.n_players <= exact.MAX_PLAYERS and 1 << self.n_players <= self._available:
            return "use estimator='exact'"
        if self._available >= stratified.least_budget(self.n_players):
            return "give a larger one, or use estimator='stratified'"
        return "give a larger one"


def find_approximator(name: str) -> Registered[type[Estimator]]:
    """Return the approximator of a name ``shapiq:NAME`` as an estimator.

    Parameters
    ----------
    name
        Such as ``"shapiq:KernelSHAP"``: any class of ``shapiq.approximator`` that gives Shapley values by itself.

    Raises
    ------
    InvalidValueError
        If shapiq is not installed.
    UnknownNameError
        If it has no such approximator of Shapley values.
    """
    try:
        from shapiq import approximator
    except ImportError as error:
        raise InvalidValueError(
            f"estimator {name!r} is one of shapiq's, which cannot be imported ({error}): run pip install "
            f"'unshap-plugin[shapiq]'."
        ) from error
    classes = {key: one for key, one in vars(approximator).items() if inspect.isclass(one)}
    found = {f"{SHAPIQ}:{key}": one for key, one in classes.items() if _values(one)}
    if name not in found:
        raise UnknownNameError("estimator", name, sorted(found))
    attributes = {
        "name": name,
        "summary": f"{name.partition(':')[2]} of shapiq, without standard errors.",
        "source": "shapiq (Muschalik et al. 2024)",
        "approximator": found[name],
        "__doc__": Approximation.__doc__,
    }
    made: type[Estimator] = type(Approximation.__name__, (Approximation,), attributes)
    return Registered(made, Provider(SHAPIQ, version(SHAPIQ), "shapiq.approximator"))


def _values(approximator: Callable[..., Any]) -> bool:
    """Tell whether it gives Shapley values where nothing else is asked for."""
    try:
        stated = inspect.signature(approximator).parameters.get("index")
        if stated is not None and stated.default != "SV":
            return False  # before one is made, which may take seconds
        return bool(approximator(n=4, random_state=0).index == "SV")
    except Exception:  # some need arguments that say what is sought, some packages that are not there
        return False
