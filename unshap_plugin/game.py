"""The game, a function from coalitions to utilities."""

from __future__ import annotations

import contextlib
import copy
import logging
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Self

from unshap_plugin.coalitions import as_coalitions, by_size, coalitions_of, keys_of
from unshap_plugin.errors import InvalidTypeError, UnknownNameError, check_integer
from unshap_plugin.evaluation.evaluation import Evaluation
from unshap_plugin.evaluation.passes import Passes, check_jobs
from unshap_plugin.plugins.catalogue import BUILTIN, Provider
from unshap_plugin.plugins.registry import (
    advised,
    check_access,
    described,
    find_unlearner,
    provider_of,
    remade,
    resolve_unlearner,
)
from unshap_plugin.problem.problem import ValuationProblem
from unshap_plugin.store.file import Store
from unshap_plugin.store.utilities import remembered, storable
from unshap_plugin.support.memory import as_bytes
from unshap_plugin.support.portable import Portable
from unshap_plugin.support.threads import alone
from unshap_plugin.unlearners.auto import choose
from unshap_plugin.unlearners.base import Unlearner

__all__ = ["UnlearningGame"]

_log = logging.getLogger(__name__)

#: So many coalitions have a byte for each player at a time; the others have a bit.
BLOCK = 2**14


class UnlearningGame(Portable):
    """The utility ``v(S)`` of keeping ``S``, as a function from coalitions to numbers.

    Utilities are a function of the coalition: evaluated once, remembered, and the same whatever the order, the batch
    or the chunk they are asked in. That of the coalition that keeps everybody is known from the start: it
    is the given model's.

    Parameters
    ----------
    problem
        The problem: what is to be valued.
    unlearner
        A registered name (``distribution:name`` where several offer it), an instance, or ``"auto"``: the exact solution
        for linear regression, Newton for other linear models, replay, merge or fine-tuning for other modules, the
        reference teacher or gradient ascent in partial access, retraining for models without parameters or
        where that takes no longer; ``reason`` then says why.
    seed
        Seed of everything random in the unlearner, together with the coalition.
    on_error
        What to do with a coalition whose unlearning fails or whose utility is not finite: ``"raise"`` an error that
        names it, or ``"exclude"`` it (its utility is NaN, and it is counted in ``excluded``).
    chunk
        Coalitions per pass; by default as many as fit ``memory`` and a bounded working set.
    n_jobs
        As in joblib: so many processes evaluate coalitions at a time, -1 for one on each core. Each computes on one
        thread, and any number of them gives the same bits. ``None``: what ``joblib.parallel_config`` says, whose
        backend is always used, a cluster of dask or ray too; or else this process, with its own number of threads. The
        problem travels once to each worker, with what is computed once. Threads (``backend="threading"``) would take
        turns: one works alone.
    memory
        What the passes of all jobs may take together, in bytes or as text (``"2GB"``), beside the data and what is
        computed once; by default a quarter of what is free. One coalition is the least that a pass takes. What runs out
        of memory is done again with half as many. Coalitions that are known take some 200 bytes each.
    store
        A file of utilities of any number of games, made where there is none: what it has of this game is known from the
        start, and what is evaluated is written at once. Any number of processes may share it.
    settings
        Settings of an unlearner that is given by name, such as ``steps=5``.

    Attributes
    ----------
    problem
        The problem, with a memory of its own for what the unlearner computes once.
    provider
        Who offers the unlearner; ``None`` for an instance of a class that nobody registered.

    Raises
    ------
    AccessError
        If the unlearner cannot work on this problem, before any work.
    InvalidValueError, InvalidTypeError
        If the file is no store or is damaged, or it could not tell this game from another one.
    UnknownNameError, InvalidValueError, InvalidTypeError, PluginError
        If there is no such unlearner, or it cannot be made with these settings.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> x, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0.0, 1.0, 2.0, 6.0])
    >>> problem = ValuationProblem(Ridge().fit(x, y), train=(x, y), test=(x, y))
    >>> UnlearningGame(problem, "linear_exact")([[True, True, True, True], [True, True, True, False]]).round(2)
    array([-0.8 , -3.42])
    >>> game = UnlearningGame(problem, "newton", steps=2)
    >>> game.n_players, game.players, game.evaluations, game.excluded, game.chunk <= game.at_once
    (4, [0, 1, 2, 3], 1, 0, True)
    >>> coalitions, utilities = game.known()  # that of everybody
    >>> coalitions.tolist(), utilities.shape, "torch" in game.versions
    ([[True, True, True, True]], (1,), True)
    >>> game.with_settings(steps=1).unlearner, game.with_seed(7).seed, game.store
    (Newton(steps=1, proximal=None), 7, None)
    """

    def __init__(
        self,
        problem: ValuationProblem,
        unlearner: str | Unlearner = "auto",
        *,
        seed: int = 0,
        on_error: Literal["raise", "exclude"] = "raise",
        chunk: int | None = None,
        n_jobs: int | None = None,
        memory: int | str | None = None,
        store: str | os.PathLike[str] | None = None,
        **settings: Any,
    ) -> None:
        if on_error not in ("raise", "exclude"):
            raise UnknownNameError("on_error policy", on_error, ["raise", "exclude"])
        if not isinstance(problem, ValuationProblem):
            raise InvalidTypeError(f"problem is a {type(problem).__name__}, but a ValuationProblem is needed.")
        if chunk is not None:
            check_integer("chunk", chunk, 1)
        check_jobs(n_jobs)
        self.seed, self.on_error = _checked_seed(seed), on_error
        self.reason: str | None = None  # why "auto" chose what it chose
        self.n_jobs, self.memory = n_jobs, as_bytes(memory)
        self._given_chunk = chunk
        self._store: Store | None = None
        self.problem = problem.scoped()
        with alone():
            self._choose(unlearner, settings)
        if self.unlearner.order_dependent:
            warnings.warn(
                f"{described(self.unlearner.name, self.provider)} depends on the order in which coalitions come: its "
                f"utilities are not a function of the coalition, and change with estimator, budget and chunk.",
                stacklevel=2,
            )
        if store is not None:
            known_by = storable(self._passes.evaluation)
            self._store = Store(store)  # not before all else was taken: the file is made where there is none
            self._known = remembered(self._passes.evaluation, self._store, known_by)

    def _choose(self, unlearner: str | Unlearner, settings: dict[str, Any]) -> None:
        """Play with the unlearner that is asked for, if it can work on the problem."""
        if isinstance(unlearner, str) and unlearner == "auto":
            with advised(self.problem):
                chosen, self.reason = choose(self.problem)
            _log.info("unlearner %s: %s", chosen.name, self.reason)
            self.provider: Provider | None = provider_of(chosen)
            self._take(resolve_unlearner(f"{BUILTIN}:{chosen.name}", settings) if settings else chosen)
        else:
            resolved = resolve_unlearner(unlearner, settings)
            self.provider = find_unlearner(unlearner).provider if isinstance(unlearner, str) else provider_of(resolved)
            check_access(resolved, self.problem, self.provider)
            self._take(resolved)

    def _take(self, unlearner: Unlearner) -> None:
        """Play with an unlearner that can work on the problem, and know nothing yet but the given model."""
        self.unlearner = unlearner
        evaluation = Evaluation(self.problem, unlearner, self.provider, self.seed, self.on_error)
        self._passes = Passes(evaluation, self._given_chunk, self.n_jobs, self.memory)
        self._known = remembered(evaluation, self._store)

    def with_settings(self, **settings: Any) -> Self:
        """Return the game with other ``settings`` of the same unlearner; what both compute once is computed once.

        Raises
        ------
        AccessError, InvalidValueError, InvalidTypeError, PluginError
            If the game could not be made with these settings.
        """
        resolved = remade(self.unlearner, self.provider, settings)
        check_access(resolved, self.problem, self.provider)
        game = copy.copy(self)
        with alone():
            game._take(resolved)
        return game

    def with_seed(self, seed: int) -> Self:
        """Return the game with another ``seed`` of the same unlearner; what both compute once is computed once.

        Raises
        ------
        InvalidValueError, InvalidTypeError
            If the seed is no whole number of at least 0 that fits 63 bits.
        ContractError, PluginError
            If a plugin's unlearner fails.
        """
        game = copy.copy(self)
        game.seed = _checked_seed(seed)
        with alone():
            game._take(self.unlearner)
        return game

    def _brought(self) -> Mapping[str, Any]:
        return {f"unlearner {self.unlearner.name!r}": self.unlearner}

    @property
    def n_players(self) -> int:
        """Number of players."""
        return self.problem.n_players

    @property
    def chunk(self) -> int:
        """Coalitions per pass, fewer than at first after memory ran out."""
        return self._passes.chunk

    @property
    def at_once(self) -> int:
        """Coalitions that all jobs together take in a pass each: asking for fewer leaves some of them idle."""
        return self._passes.chunk * self._passes.jobs()

    @property
    def players(self) -> list[Any]:
        """The players, in the order of the columns of a coalition matrix."""
        return self.problem.players

    @property
    def evaluations(self) -> int:
        """Number of distinct coalitions whose utility is known so far, that of everybody included."""
        return len(self._known)

    @property
    def excluded(self) -> int:
        """Number of distinct coalitions whose utility is not finite, under ``on_error="exclude"``."""
        return self._known.excluded

    @property
    def store(self) -> Path | None:
        """The file that the utilities are stored in, if they are."""
        return None if self._store is None else self._store.path

    def known(self) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Return what was evaluated: coalitions, bool ``[m, n_players]``, and utilities, ``[m]`` or ``[m, t]``."""
        return self._known.all()

    @property
    def versions(self) -> dict[str, str]:
        """The versions of the packages that the utilities depend on, that of a plugin too."""
        return self._passes.evaluation.versions

    def __call__(self, coalitions: ArrayLike) -> NDArray[np.float64]:
        """Return the utilities of coalitions.

        Parameters
        ----------
        coalitions
            Boolean ``[m, n_players]``, ``True`` = kept.

        Returns
        -------
        float64 ``[m]``, or ``[m, t]`` for a metric that measures ``t`` things.

        Raises
        ------
        InvalidTypeError, InvalidValueError
            If the matrix is not boolean, or not of that shape.
        DivergenceError
            If unlearning diverges, or a utility is not finite (policy ``"raise"``).
        ContractError
            If the unlearner changes the given model or does not return models of its kind, whatever the policy.
        """
        matrix = as_coalitions(coalitions, self.n_players)
        keys = keys_of(matrix)
        # Where others work, a thread of this process may be one of them, and has to get in.
        with alone() if self._passes.workers() is None else contextlib.nullcontext():
            self._learn(keys)
        return self._known.of(keys)

    def _learn(self, keys: list[bytes]) -> None:
        """Evaluate those of the coalitions whose utility is not known yet."""
        missing = self._known.missing(keys)
        ordered = missing if self.unlearner.order_dependent else by_size(missing)
        for start in range(0, len(ordered), block := max(BLOCK, self.at_once)):
            part, done = ordered[start : start + block], 0
            for utilities in self._passes.over(coalitions_of(part, self.n_players)):
                self._known.add(part[done : done + len(utilities)], utilities)
                done += len(utilities)


def _checked_seed(seed: int) -> int:
    check_integer("seed", seed, 0, 2**63 - 1)
    return int(seed)
