"""Comparison of what unlearners make of coalitions."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from unshap_conformance.checks import compare
from unshap_plugin import ValuationProblem
from unshap_plugin.problem.module_problem import ModuleProblem

__all__ = ["ROUND_OFF", "compare_outputs", "dtype_of", "in_words"]

#: Tolerance relative to the largest output: what the order of a summation can do to some steps of an optimiser.
ROUND_OFF = {torch.float64: 1e-7, torch.float32: 5e-3}


def dtype_of(problem: ValuationProblem) -> torch.dtype:
    """Return the dtype of its model; of an object, which computes in double precision, float64."""
    return problem.engine.dtype if isinstance(problem, ModuleProblem) else torch.float64


def in_words(problem: ValuationProblem, coalitions: NDArray[np.bool_]) -> list[str]:
    """Return what coalitions keep, in words."""
    players = [str(player) for player in problem.players]
    return ["{" + ", ".join(p for p, keep in zip(players, row, strict=True) if keep) + "}" for row in coalitions]


def compare_outputs(
    what: str,
    problem: ValuationProblem,
    coalitions: NDArray[np.bool_],
    expected: NDArray[np.float64],
    got: NDArray[np.float64],
) -> None:
    """Compare outputs coalition by coalition, to round-off."""
    tolerance = ROUND_OFF[dtype_of(problem)] * float(np.abs(expected).max())
    compare(what, expected, got, tolerance, players=in_words(problem, coalitions))
