"""The game: from coalitions to utilities."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from unshap_plugin.errors import (
    ContractError,
    DivergenceError,
    InvalidTypeError,
    InvalidValueError,
    PluginError,
    UnknownNameError,
    UnshapError,
    check_integer,
)
from unshap_plugin.model.engine import out_of_memory
from unshap_plugin.plugins.manager import BUILTIN, Provider
from unshap_plugin.plugins.registry import check_access, described, find_unlearner, provider_of, resolve_unlearner
from unshap_plugin.problem.problem import ValuationProblem
from unshap_plugin.unlearners.auto import choose
from unshap_plugin.unlearners.base import Unlearner

__all__ = ["UnlearningGame"]

_log = logging.getLogger(__name__)

#: Of the mean loss of an uninformed model, or of the given one where that is larger: more is a divergence.
LOSS_BOUND = 100
#: Working set of a chunk in bytes. Larger chunks leave the cache and are slower (design: "the fast path").
CHUNK_BYTES = 16 * 2**20
MAX_CHUNK = 256


class UnlearningGame:
    """The utility ``v(S)`` of keeping ``S``, as a function from boolean rows to numbers.

    Utilities are a function of the coalition: evaluated once, remembered, and the same whatever the order, the batch
    or the chunk they are asked in.

    Parameters
    ----------
    problem
        What is to be valued.
    unlearner
        A registered name (``distribution:name`` where several offer it), an instance, or ``"auto"``: the exact solution
        for linear regression, Newton for other linear models, the replay of their training or fine-tuning for other
        modules, the reference teacher or gradient ascent in partial access, retraining for models without parameters;
        ``reason`` then says why.
    seed
        Of everything random in the unlearner, together with the coalition.
    settings
        Settings of an unlearner that is given by name.
    on_error
        What to do with a coalition whose unlearning fails or whose utility is not finite: ``"raise"`` an error that
        names it, or ``"exclude"`` it (its utility is NaN, and it is counted in ``excluded``).
    chunk
        Coalitions per pass; by default as many as fit a bounded working set.

    Raises
    ------
    AccessError
        If the unlearner cannot work on this problem, before any work.
    UnknownNameError, InvalidValueError, InvalidTypeError, PluginError
        If there is no such unlearner, or it cannot be made with these settings.
    """

    def __init__(
        self,
        problem: ValuationProblem,
        unlearner: str | Unlearner = "auto",
        *,
        seed: int = 0,
        settings: Mapping[str, Any] | None = None,
        on_error: Literal["raise", "exclude"] = "raise",
        chunk: int | None = None,
    ) -> None:
        if on_error not in ("raise", "exclude"):
            raise UnknownNameError("on_error policy", on_error, ["raise", "exclude"])
        if not isinstance(problem, ValuationProblem):
            raise InvalidTypeError(f"problem is a {type(problem).__name__}, but a ValuationProblem is needed.")
        check_integer("seed", seed, 0, 2**63 - 1)
        if chunk is not None:
            check_integer("chunk", chunk, 1)
        if settings is not None and not isinstance(settings, Mapping):
            raise InvalidTypeError(f"settings is a {type(settings).__name__}, but a dict of settings is needed.")
        self.reason: str | None = None  # why "auto" chose what it chose
        if isinstance(unlearner, str) and unlearner == "auto":
            chosen, self.reason = choose(problem)
            unlearner = f"{BUILTIN}:{chosen}"
            _log.info("unlearner %s: %s", chosen, self.reason)
        self.problem = problem
        self.unlearner = resolve_unlearner(unlearner, settings)
        #: Who offers the unlearner; ``None`` for an instance of a class that nobody registered.
        self.provider: Provider | None = (
            provider_of(unlearner) if isinstance(unlearner, Unlearner) else find_unlearner(unlearner).provider
        )
        self.seed = int(seed)
        self.on_error = on_error
        check_access(self.unlearner, problem, self.provider)
        if self.unlearner.order_dependent:
            warnings.warn(
                f"{described(self.unlearner.name, self.provider)} depends on the order in which coalitions come: its "
                f"utilities are not a function of the coalition, and change with estimator, budget and chunk.",
                stacklevel=2,
            )
        self._loss_bound = self._bound()
        need = self._bytes_per_coalition()
        self.chunk = chunk or int(np.clip(CHUNK_BYTES // max(need, 1), 1, MAX_CHUNK))
        self._known: dict[bytes, NDArray[np.float64]] = {}

    @property
    def n_players(self) -> int:
        """Number of players."""
        return self.problem.n_players

    @property
    def players(self) -> list[Any]:
        """The players, in the order of the columns of a coalition matrix."""
        return self.problem.players

    @property
    def evaluations(self) -> int:
        """Number of distinct coalitions evaluated so far."""
        return len(self._known)

    @property
    def excluded(self) -> int:
        """Number of distinct coalitions whose utility is not finite, under ``on_error="exclude"``."""
        return sum(bool(np.isnan(value).any()) for value in self._known.values())

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
        matrix = self._matrix(coalitions)
        keys = [row.tobytes() for row in np.packbits(matrix, axis=1)]
        new = {key: row for key, row in zip(keys, matrix, strict=True) if key not in self._known}
        ordered = list(new)
        if not self.unlearner.order_dependent:
            # Coalitions of one size train for equally long, so that a chunk of them wastes nothing.
            ordered.sort(key=lambda key: (int(new[key].sum()), key))
        start = 0
        while start < len(ordered):
            part = ordered[start : start + self.chunk]
            try:
                values = self._evaluate(np.stack([new[key] for key in part]))
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                self.chunk = max(1, self.chunk // 2)
                _log.warning("out of memory: going on with %d coalitions per pass", self.chunk)
                continue
            self._known.update(zip(part, values, strict=True))
            start += len(part)
        shape = self.problem.given_utility.shape
        return np.array([self._known[key] for key in keys], dtype=np.float64).reshape(len(keys), *shape)

    def _matrix(self, coalitions: ArrayLike) -> NDArray[np.bool_]:
        try:
            matrix = np.asarray(coalitions)
        except ValueError as error:
            raise InvalidValueError(
                f"coalitions are not a matrix ({error}): [m, {self.n_players}] is needed."
            ) from error
        if matrix.dtype != np.bool_:
            raise InvalidTypeError(
                f"coalitions have dtype {matrix.dtype}, "
                f"but a boolean matrix is needed (True = kept): use .astype(bool)."
            )
        if matrix.ndim != 2 or matrix.shape[1] != self.n_players:
            raise InvalidValueError(
                f"coalitions have shape {list(matrix.shape)}, but [m, {self.n_players}] is needed: "
                f"one column per player."
            )
        return matrix

    def _evaluate(self, coalitions: NDArray[np.bool_]) -> NDArray[np.float64]:
        problem = self.problem
        step = "failed"
        try:
            models = self.unlearner.unlearn(problem, coalitions, self.seed)
            outputs = models.outputs(problem.x_test)
            if outputs.shape[0] != len(coalitions) or outputs.shape[2:] != problem.output_shape:
                expected = [len(coalitions), len(problem.y_test), *problem.output_shape]
                raise ContractError(f"gave outputs {list(outputs.shape)}, but {expected} are needed")
            finite = models.finite() & torch.isfinite(outputs.reshape(len(coalitions), -1)).all(dim=1).cpu().numpy()
            losses = self._losses(outputs)
            bounded = losses <= self._loss_bound
            values = np.full((len(coalitions), *problem.given_utility.shape), np.nan)
            step = f"led to a failure of metric {problem.metric.name!r}"
            sound = finite & bounded
            if sound.any():
                good = torch.as_tensor(sound, device=outputs.device)
                values[sound] = problem.metric.score(outputs[good], problem.y_test).double().cpu().numpy()
        except (Exception, SystemExit) as error:
            if out_of_memory(error) and self.chunk > 1:
                raise
            if len(coalitions) > 1:
                return self._one_by_one(coalitions, error)
            if isinstance(error, ContractError):  # not for on_error to excuse
                raise ContractError(f"{self._who()} {error} (for {problem.describe(coalitions[0])}).") from error
            if isinstance(error, UnshapError) and (self.provider is None or self.provider.distribution == BUILTIN):
                raise
            return self._failed(coalitions[0], f"{step} with {type(error).__name__}: {error}", error)[None]
        full = coalitions.all(axis=1)
        values[full] = problem.given_utility
        for index, row in enumerate(coalitions):
            if not finite[index]:
                self._failed(row, "gave parameters or outputs that are not finite")
            elif not bounded[index]:
                values[index] = self._failed(
                    row,
                    f"diverged: the mean loss on the test set is {losses[index]:.3g}, beyond {self._loss_bound:.3g}, "
                    f"{LOSS_BOUND} times that of an uninformed model,",
                )
            elif not np.isfinite(values[index]).all():
                values[index] = self._failed(row, f"led to a utility of {values[index].tolist()}")
        return values

    def _losses(self, outputs: torch.Tensor) -> NDArray[np.float64]:
        """Return the mean losses of models on the test set, ``[m]``; zero where there is no bound."""
        problem = self.problem
        if not np.isfinite(self._loss_bound):
            return np.zeros(len(outputs))
        losses: NDArray[np.float64] = (
            torch.stack([problem.loss(row, problem.y_test).mean() for row in outputs]).double().cpu().numpy()
        )
        return losses

    def _bound(self) -> float:
        """Return the mean loss on the test set beyond which a model has diverged."""
        problem = self.problem
        if problem.engine is None or not self.unlearner.gentler:
            return np.inf
        outputs = problem.outputs(problem.model, problem.x_test)
        average = outputs.mean(dim=0, keepdim=True).expand_as(outputs)
        return LOSS_BOUND * max(float(problem.loss(one, problem.y_test).mean()) for one in (outputs, average))

    def _bytes_per_coalition(self) -> int:
        try:
            return self.unlearner.bytes_per_coalition(self.problem)
        except UnshapError:
            raise
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"{self._who()} failed when it was asked for the memory that a coalition takes "
                f"({type(error).__name__}: {error})."
            ) from error

    def _one_by_one(self, coalitions: NDArray[np.bool_], error: BaseException) -> NDArray[np.float64]:
        """Find out which coalition it is that a batch failed for."""
        values = np.concatenate([self._evaluate(row[None]) for row in coalitions])
        if np.isfinite(values).all():
            raise ContractError(
                f"{self._who()} failed with {type(error).__name__}: {error} (for {len(coalitions)} coalitions at "
                f"once, but for none of them alone, the first being {self.problem.describe(coalitions[0])})."
            ) from error
        return values

    def _who(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.unlearner.settings.items())
        return f"{described(self.unlearner.name, self.provider)} ({settings or 'no settings'})"

    def _failed(
        self, coalition: NDArray[np.bool_], what: str, cause: BaseException | None = None
    ) -> NDArray[np.float64]:
        if self.on_error == "raise":
            gentler = self.unlearner.gentler or "gentler settings"
            raise DivergenceError(
                f"{self._who()} {what} for {self.problem.describe(coalition)}; use "
                f"{'' if cause is not None else f'{gentler}, '}another unlearner, or on_error='exclude'.",
                tuple(bool(keep) for keep in coalition),
            ) from cause
        return np.full(self.problem.given_utility.shape, np.nan)
