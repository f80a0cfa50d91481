"""An unlearner as a subject, and what it makes of a problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unshap_conformance.records import Skipped, Violation
from unshap_conformance.runner import Check
from unshap_plugin import ValuationProblem
from unshap_plugin.errors import AccessError, InvalidTypeError, InvalidValueError
from unshap_plugin.plugins.registry import resolve_unlearner
from unshap_plugin.unlearners.base import Unlearner
from unshap_plugin.unlearners.models import Models

__all__ = ["UnlearnerSubject", "refusal", "unlearner_subject"]


@dataclass(frozen=True)
class UnlearnerSubject:
    """An unlearner; what it needs and claims stands on itself. Made by ``unlearner_subject``."""

    name: str
    unlearner: Unlearner

    @property
    def checks(self) -> Sequence[Check[UnlearnerSubject]]:
        """All checks of unlearners."""
        from unshap_conformance.unlearners import UNLEARNER_CHECKS  # which need this class

        return UNLEARNER_CHECKS

    def models(self, problem: ValuationProblem, coalitions: NDArray[np.bool_], seed: int = 0) -> Models:
        """Return the unlearned models.

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
        """Return the outputs of the unlearned models on the test set, float64 ``[m, rows, ...]``.

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
                f"the model is not finite for {problem.describe(coalitions[int(np.argmin(finite))])}",
                expected="finite parameters and outputs",
                got="infinity or NaN",
            )
        result: NDArray[np.float64] = outputs.detach().double().cpu().numpy()
        return result


def unlearner_subject(
    unlearner: str | Unlearner | UnlearnerSubject,
    *,
    name: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> UnlearnerSubject:
    """Return an unlearner as a subject.

    Parameters
    ----------
    unlearner
        A registered name, or an instance. A subject stays as it is.
    name
        What it is called in records; by default its own name.
    settings
        Of an unlearner that is given by name.

    Raises
    ------
    UnknownNameError, InvalidValueError, InvalidTypeError
        If there is no such unlearner, or it does not have these settings.
    """
    if isinstance(unlearner, UnlearnerSubject):
        if name is not None or settings is not None:
            raise InvalidTypeError(f"name and settings of {unlearner.name!r} are given where that subject is made.")
        return unlearner
    if unlearner == "auto":
        raise InvalidValueError("'auto' is no unlearner, but a choice among the built-in ones: name one of them.")
    found = resolve_unlearner(unlearner, settings)
    if not isinstance(getattr(found, "name", None), str):
        raise InvalidTypeError(f"{type(found).__name__} has no name: unlearners state what they are called.")
    return UnlearnerSubject(name or (unlearner if isinstance(unlearner, str) else found.name), found)


def refusal(unlearner: Unlearner, problem: ValuationProblem) -> str | None:
    """Return why the unlearner refuses the problem, if it does."""
    try:
        unlearner.check(problem)
    except AccessError as error:
        return str(error)
    return None


def _kind(outputs: torch.Tensor) -> str:
    return f"{outputs.dtype} on {outputs.device}"
