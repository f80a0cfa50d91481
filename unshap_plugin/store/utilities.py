"""Utilities that are known to a store too, and so to other processes and later runs."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from unshap_plugin.errors import InvalidValueError
from unshap_plugin.evaluation.evaluation import Evaluation, raised
from unshap_plugin.evaluation.remembered import Remembered
from unshap_plugin.plugins.registry import described
from unshap_plugin.store.file import Store
from unshap_plugin.store.fingerprint import Fingerprint, fingerprint
from unshap_plugin.support.announcing import announce

__all__ = ["StoredUtilities", "remembered", "storable"]

_log = logging.getLogger(__name__)


def storable(evaluation: Evaluation) -> Fingerprint:
    """Return the fingerprint of the utilities that an evaluation gives, if a store may have them.

    Raises
    ------
    InvalidValueError
        If they depend on the order of the coalitions.
    InvalidTypeError
        If a store could not tell the game from another one.
    """
    unlearner = evaluation.unlearner
    if unlearner.order_dependent:
        raise InvalidValueError(
            f"{described(unlearner.name, evaluation.provider)} depends on the order in which coalitions come, so that "
            f"stored utilities would not be those of another run: leave out store, or give another unlearner."
        )
    return fingerprint(evaluation)


def remembered(evaluation: Evaluation, store: Store | None, game: Fingerprint | None = None) -> Remembered:
    """Return what is known of the utilities that an evaluation gives, to its ``store`` if there is one.

    Parameters
    ----------
    evaluation, store
        The evaluation, and the store.
    game
        Its fingerprint, where that was made before (see ``storable``).

    Raises
    ------
    InvalidValueError, InvalidTypeError
        If a store may not have them.
    """
    problem = evaluation.problem
    if store is None:
        return Remembered(problem.n_players, problem.given_utility)
    game, excluding = game or storable(evaluation), evaluation.on_error == "exclude"
    known = StoredUtilities(store, game, problem.given_utility, excluding=excluding)
    _log.info("%d utilities of this game were known to the store %s", len(known) - 1, store.path)
    return known


class StoredUtilities(Remembered):
    """Utilities that are known to a store too: what it has is known here, and what comes is written at once.

    Where it cannot be written, utilities are known here all the same, and are written as soon as that works again.

    Parameters
    ----------
    store, game
        The store, and the fingerprint of the game.
    everybody
        The utility of the coalition that keeps everybody, float64, a scalar or ``[t]``.
    excluding
        Whether coalitions whose utility is not finite are known: where they are an error, they are evaluated again.

    Examples
    --------
    >>> import tempfile
    >>> game = Fingerprint("c0ffee", 2, (), {"model": "Ridge"})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     one, other = (
    ...         StoredUtilities(Store(f"{folder}/values.db"), game, np.array(3.0), excluding=True) for _ in range(2)
    ...     )
    ...     one.add([b"@"], np.array([0.5]))
    ...     other.missing([b"@"]), other.of([b"@"])
    ([], array([0.5]))
    """

    def __init__(self, store: Store, game: Fingerprint, everybody: NDArray[np.float64], *, excluding: bool) -> None:
        super().__init__(game.n_players, everybody)
        self._store, self._game, self._excluding = store, game, excluding
        self._read = 0  # the last batch that was
        self._waiting: list[tuple[Sequence[bytes], NDArray[np.float64]]] = []
        self._told: set[str] = set()
        self._refresh()

    def missing(self, keys: Iterable[bytes]) -> list[bytes]:
        """Return which keys are of coalitions that nobody who shares the store has evaluated, each once."""
        found = super().missing(keys)
        if found:
            self._refresh()
        return super().missing(found)

    def add(self, keys: Sequence[bytes], utilities: NDArray[np.float64]) -> None:
        """Take the utilities ``[m]`` or ``[m, t]`` of coalitions, and write them, but for failures that may pass."""
        super().add(keys, utilities)
        lasting = ~raised(utilities)
        if lasting.any():
            self._waiting.append(([key for key, one in zip(keys, lasting, strict=True) if one], utilities[lasting]))
        with self._in_memory_else("written"):
            while self._waiting:
                number = self._store.write(self._game, *self._waiting[0])
                del self._waiting[0]
                if number == self._read + 1:  # nobody wrote in between
                    self._read = number

    def _refresh(self) -> None:
        """Learn what others wrote."""
        with self._in_memory_else("read"):
            for batch in self._store.batches(self._game, self._read):
                known = np.ones(len(batch.keys), dtype=bool)
                if not self._excluding:
                    known = ~np.isnan(batch.utilities.reshape(len(batch.keys), -1)).any(axis=1)
                keys = [key for key, one in zip(batch.keys, known, strict=True) if one]
                super().add(keys, batch.utilities[known])
                self._read = batch.number

    @contextlib.contextmanager
    def _in_memory_else(self, what: str) -> Iterator[None]:
        """Go on with what is known here where the store fails, and say so once."""
        try:
            yield
        except sqlite3.Error as error:
            announce(
                self._told,
                "store",
                f"the store {str(self._store.path)!r} cannot be {what} ({error}): going on in memory, so that what is "
                f"evaluated from here on is lost with this process, unless the store works again before it ends.",
                stacklevel=4,
            )
