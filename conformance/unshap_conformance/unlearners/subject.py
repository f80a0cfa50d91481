"""An unlearner as a subject, and what it makes of a problem."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from unshap_conformance.checks import Skipped, Subject, Violation
from unshap_conformance.problems import ProblemCase, all_coalitions
from unshap_plugin import ValuationProblem
from unshap_plugin.coalitions import in_words
from unshap_plugin.errors import AccessError
from unshap_plugin.plugin import Access
from unshap_plugin.unlearners.base import Unlearner
from unshap_plugin.unlearners.models import Models

__all__ = ["UnlearnerSubject", "missing_access", "refusal"]


@dataclass(frozen=True)
class UnlearnerSubject(Subject):
    """An unlearner, which says itself what it needs and claims; ``unlearner_subject`` makes it, and names the errors.

    Parameters
    ----------
    name
        What it is called in results.
    checks
        All checks of unlearners.
    unlearner
        The unlearner.

    Examples
    --------
    >>> import numpy as np
    >>> from unshap_conformance import unlearner_subject
    >>> from unshap_conformance.problems import PROBLEMS
    >>> subject = unlearner_subject("newton")
    >>> problem = PROBLEMS[0].make()
    >>> alone = np.eye(problem.n_players, dtype=bool)
    >>> len(subject.models(problem, alone)), subject.outputs(problem, alone).shape  # [m, test rows, outputs]
    (4, (4, 60, 1))
    >>> subject.whole(PROBLEMS[0]).shape  # [2**n_players, test rows, outputs]
    (16, 60, 1)
    """

    kind = "unlearner"
    unlearner: Unlearner
    _known: dict[tuple[ProblemCase, int], NDArray[np.float64]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def whole(self, case: ProblemCase, seed: int = 0) -> NDArray[np.float64]:
        """Return the outputs on the test set for all coalitions of a ``case``, float64 ``[2**n_players, rows, ...]``.

        Most checks compare with these, so that they are computed once for every ``seed``, on a problem of their own.

        Raises
        ------
        Skipped, Violation
            As ``outputs`` does.
        """
        if (case, seed) not in self._known:
            problem = case.make()
            self._known[case, seed] = self.outputs(problem, all_coalitions(problem.n_players), seed)
        return self._known[case, seed].copy()

    def models(self, problem: ValuationProblem, coalitions: NDArray[np.bool_], seed: int = 0) -> Models:
        """Return what ``problem`` becomes by unlearning with ``seed``: a model for each of ``coalitions``.

        These are bool ``[m, n_players]``, ``True`` = kept.

        Raises
        ------
        Skipped
            If the unlearner refuses the problem, which it may.
        """
        refused = refusal(self.unlearner, problem)
        if refused is not None:
            raise Skipped(f"the unlearner refuses it: {refused}.")
        return self.unlearner.unlearn(problem, coalitions, seed)

    def outputs(self, problem: ValuationProblem, coalitions: NDArray[np.bool_], seed: int = 0) -> NDArray[np.float64]:
        """Return the outputs on the test set of these models, float64 ``[m, rows, ...]``.

        The ``problem``, the ``coalitions`` (bool ``[m, n_players]``) and the ``seed`` are those of ``models``.

        Raises
        ------
        Skipped
            If the unlearner refuses the problem, which it may.
        Violation
            If there is not one finite model for every coalition, of the dtype of the given model.
        """
        models = self.models(problem, coalitions, seed)
        outputs = models.outputs(problem.x_test)
        if len(models) != len(coalitions) or len(outputs) != len(coalitions):
            raise Violation("not one model for every coalition came", expected=len(coalitions), got=len(outputs))
        given = problem.outputs(problem.model, problem.x_test)
        if (outputs.dtype, outputs.device, outputs.shape[1:]) != (given.dtype, given.device, given.shape):
            raise Violation(
                "the outputs are of another kind than the given model's", expected=_kind(given), got=_kind(outputs)
            )
        finite = torch.isfinite(outputs).flatten(1).all(dim=1).cpu().numpy()
        if not finite.all():
            raise Violation(
                f"the model is not finite for {in_words(coalitions[int(np.argmin(finite))], problem.players)}",
                expected="finite parameters and outputs",
                got="infinity or NaN",
            )
        result: NDArray[np.float64] = outputs.detach().double().cpu().numpy()
        return result


def refusal(unlearner: Unlearner, problem: ValuationProblem) -> str | None:
    """Return why the unlearner refuses the problem, if it does."""
    try:
        unlearner.check(problem)
    except AccessError as error:
        return str(error)
    return None


def missing_access(unlearner: Unlearner, available: Access) -> Access:
    """Return what the unlearner says it needs and cannot see."""
    missing = unlearner.needs & ~available
    stand_in = unlearner.stored is not None and Access.ARTIFACTS in available
    return missing & ~Access.RETAIN if stand_in else missing


def _kind(outputs: torch.Tensor) -> str:
    return f"{outputs.dtype} on {outputs.device}"
