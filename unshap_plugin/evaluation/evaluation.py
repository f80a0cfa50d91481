"""Utilities of some coalitions in one pass: unlearn, score, and say who failed where that fails."""

from __future__ import annotations

from math import prod
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from unshap_plugin.coalitions import in_words
from unshap_plugin.errors import ContractError, DivergenceError, PluginError, UnshapError
from unshap_plugin.evaluation.divergence import Limit
from unshap_plugin.plugins.catalogue import BUILTIN, Provider
from unshap_plugin.plugins.registry import another, described, lent_to
from unshap_plugin.problem.checks import utilities
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.problem.problem import ValuationProblem
from unshap_plugin.support.memory import out_of_memory
from unshap_plugin.support.versions import distributions_of, versions
from unshap_plugin.unlearners.base import Unlearner
from unshap_plugin.unlearners.retrain import Retrain

__all__ = ["EXCLUDING", "FEWER_FITS", "Evaluation", "cautious", "raised"]

#: The advice where training on a coalition fails.
FEWER_FITS = ("a model that can be trained on few rows", "larger groups")
#: The advice to leave out coalitions that fail, which helps where a game is made by the user.
EXCLUDING = "on_error='exclude'"
#: The utility of an excluded coalition whose evaluation raised an exception: a NaN like others, but for its sign, which
#: travels with it from any worker.
_RAISED = np.copysign(np.nan, -1.0)

#: Arrays of the size of the outputs that a metric holds at a time: softmaxes, logarithms, copies in float64.
_ARRAYS = 3


class Evaluation:
    """Evaluation of coalitions by one unlearner, all of them in one pass.

    Parameters
    ----------
    problem
        The problem.
    unlearner, provider
        The unlearner, which can work on it, and who offers it.
    seed
        Its seed.
    on_error
        ``"raise"`` or ``"exclude"``: see ``UnlearningGame``.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from unshap_plugin.unlearners import LinearExact
    >>> x, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0.0, 1.0, 2.0, 6.0])
    >>> problem = ValuationProblem(Ridge().fit(x, y), train=(x, y), test=(x, y))
    >>> Evaluation(problem, LinearExact(), None, 0, "raise").utilities(np.array([[True, True, True, False]])).round(2)
    array([-3.42])
    """

    def __init__(
        self,
        problem: ValuationProblem,
        unlearner: Unlearner,
        provider: Provider | None,
        seed: int,
        on_error: Literal["raise", "exclude"],
    ) -> None:
        self.problem, self.unlearner, self.provider = problem, unlearner, provider
        self.seed, self.on_error = seed, on_error
        self._limit = Limit.of(problem, bounded=bool(unlearner.advice))

    @property
    def versions(self) -> dict[str, str]:
        """The versions of the packages that the utilities depend on, those of a plugin and of the model too."""
        plugin = {} if self.provider is None else {self.provider.distribution: self.provider.version}
        return {**plugin, **distributions_of(self.problem.model_class), **versions()}

    def bytes(self) -> int:
        """Return the memory that one coalition takes in unlearning.

        Raises
        ------
        ContractError
            If the unlearner changes what it was lent.
        PluginError
            If a plugin fails to say.
        """
        problem = self.problem
        if not isinstance(problem, ModuleProblem):
            return 1
        try:
            with lent_to(self.provider, problem):
                return self.unlearner.bytes_per_coalition(problem)
        except ContractError as error:
            raise ContractError(
                f"{self._who()} {error} (when it was asked for the memory that a coalition takes)."
            ) from error
        except UnshapError:
            raise
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"{self._who()} failed when it was asked for the memory that a coalition takes "
                f"({type(error).__name__}: {error})."
            ) from error

    @property
    def in_blocks(self) -> bool:
        """Whether the model is run on a block of rows at a time."""
        return isinstance(self.problem, ModuleProblem) and self.problem.engine.in_blocks(self.problem.x)

    def bytes_on_test(self) -> int:
        """Return the memory that the unlearned model of one coalition takes on the test set.

        That is what its layers give, and what the metric makes of the last one: a few arrays of the same size.
        """
        problem = self.problem
        layers = 0
        if isinstance(problem, ModuleProblem):
            layers = problem.engine.bytes_per_coalition(problem.x_test, gradients=False)
        return layers + 8 * (_ARRAYS * len(problem.y_test) * prod(problem.output_shape) + problem.given_utility.size)

    def utilities(self, coalitions: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the utilities ``[m]`` or ``[m, t]`` of coalitions, bool ``[m, n_players]``.

        Raises
        ------
        DivergenceError
            If unlearning diverges, or a utility is not finite (policy ``"raise"``).
        ContractError
            If the unlearner breaks its contract, whatever the policy.
        RuntimeError, MemoryError
            If several coalitions take more memory than there is.
        """
        problem = self.problem
        step = "failed"
        try:
            models = self.unlearner.unlearn(problem, coalitions, self.seed)
            with lent_to(self.provider, problem):
                outputs = models.outputs(problem.x_test)
            if outputs.shape[0] != len(coalitions) or outputs.shape[2:] != problem.output_shape:
                expected = [len(coalitions), len(problem.y_test), *problem.output_shape]
                raise ContractError(f"gave outputs {list(outputs.shape)}, but {expected} are needed")
            finite = torch.isfinite(outputs.reshape(len(coalitions), -1)).all(dim=1)
            losses = self._limit.mean_losses(outputs)
            sound = finite & (losses <= self._limit.loss)
            values = np.full((len(coalitions), *problem.given_utility.shape), np.nan)
            step = f"led to a failure of metric {problem.metric.name!r}"
            if sound.any():
                scores = utilities(problem.metric, outputs[sound], problem.y_test, values.shape[1:])
                values[sound.cpu().numpy()] = scores.double().cpu().numpy()
        except (Exception, SystemExit) as error:
            if out_of_memory(error) and len(coalitions) > 1:
                raise
            if len(coalitions) > 1:
                return self._one_by_one(coalitions, step, error)
            if isinstance(error, ContractError):  # not for on_error to excuse
                raise ContractError(
                    f"{self._who()} {error} (for {in_words(coalitions[0], problem.players)})."
                ) from error
            if isinstance(error, UnshapError) and (self.provider is None or self.provider.distribution == BUILTIN):
                raise
            measured = step != "failed"
            return self._failed(coalitions[0], f"{step} with {type(error).__name__}: {error}", measured, error)[None]
        for k in np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1)):
            why = self._limit.why(finite[k], losses[k], values[k])
            values[k] = self._failed(coalitions[k], why, bool(sound[k]))
        return values

    def _one_by_one(self, coalitions: NDArray[np.bool_], step: str, error: BaseException) -> NDArray[np.float64]:
        """Find out which coalition it is that a batch failed for."""
        values = np.concatenate([self.utilities(row[None]) for row in coalitions])
        if np.isfinite(values).all():
            raise ContractError(
                f"{self._who()} {step} with {type(error).__name__}: {error} (for {len(coalitions)} coalitions at "
                f"once, but for none of them alone, the first being {in_words(coalitions[0], self.problem.players)})."
            ) from error
        return values

    def _who(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.unlearner.settings.items())
        return f"{described(self.unlearner.name, self.provider)} ({settings or 'no settings'})"

    def _failed(
        self, coalition: NDArray[np.bool_], what: str, measured: bool, cause: BaseException | None = None
    ) -> NDArray[np.float64]:
        """Raise or exclude; ``measured``: the model was sound, and the metric made no number of it."""
        if self.on_error == "raise":
            raise DivergenceError(
                f"{self._who()} {what} for {in_words(coalition, self.problem.players)}",
                tuple(bool(keep) for keep in coalition),
                self._ways(measured, failed=cause is not None, excluding=bool(coalition.any())),
            ) from cause
        return np.full(self.problem.given_utility.shape, np.nan if cause is None else _RAISED)

    def _ways(self, measured: bool, *, failed: bool, excluding: bool) -> tuple[str, ...]:
        """Return the ways out that there are for this problem."""
        if measured:
            own: tuple[str, ...] = ("another metric",)
        else:
            own = () if failed and not isinstance(self.unlearner, Retrain) else cautious(self.unlearner)
        others = another(self.unlearner, self.problem, self.provider)
        # Values need the utility of the empty coalition, whatever the estimator.
        return (*own, *(() if measured and failed else others), *([EXCLUDING] if excluding else []))


def raised(utilities: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return for which utilities, ``[m]`` or ``[m, t]``, an exception was raised, bool ``[m]``.

    That may be otherwise another time, as where memory ran out; a result that is not finite is so each time.

    Examples
    --------
    >>> raised(np.array([1.0, np.nan, -2.0])).tolist()
    [False, False, False]
    """
    flat = utilities.reshape(len(utilities), -1)
    return (np.isnan(flat) & np.signbit(flat)).any(axis=1)


def cautious(unlearner: Unlearner) -> tuple[str, ...]:
    """Return the advice to change the settings where the unlearner has any, or of retraining what is trained.

    Examples
    --------
    >>> from unshap_plugin.unlearners import NPO
    >>> cautious(NPO()), cautious(Retrain())
    (('a smaller lr, fewer steps or a larger beta',), ('a model that can be trained on few rows', 'larger groups'))
    """
    if isinstance(unlearner, Retrain):
        return FEWER_FITS
    return (unlearner.advice or "more cautious settings",) if unlearner.advice or unlearner.settings else ()
