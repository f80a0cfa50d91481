"""Checks that an unlearner forgets: little by little, and towards the model that was retrained."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch

from unshap_conformance.checks import Violation, compare
from unshap_conformance.problems import ProblemCase, all_coalitions, utilities
from unshap_conformance.semivalues import by_subsets
from unshap_conformance.unlearners.outputs import ROUND_OFF, dtype_of, in_words
from unshap_conformance.unlearners.subject import UnlearnerSubject
from unshap_plugin import UnlearningGame, shapley_values

__all__ = ["axioms", "continuity", "direction", "distance"]

#: Tolerance of utilities, for a method that claims to equal retraining.
EXACT = {torch.float64: 1e-6, torch.float32: 1e-3}
#: Forgetting one of 48 rows may in the mean move the outputs by this share of what forgetting half of them does.
_LITTLE = 0.4
#: The smallest cosine that the built-in methods reach is 0.22.
_TOWARDS = 0.1


def continuity(subject: UnlearnerSubject, case: ProblemCase) -> None:
    """Check that removing a little changes a little."""
    problem = case.make()
    n = problem.n_players
    ones = ~np.eye(n, dtype=bool)
    halves = np.random.default_rng(0).permuted(np.tile(np.arange(n) < n // 2, (n, 1)), axis=1)
    given = problem.outputs(problem.model, problem.x_test).double().cpu().numpy()
    little, much = (float(np.abs(subject.outputs(problem, matrix) - given).mean()) for matrix in (ones, halves))
    if not little <= _LITTLE * much:
        raise Violation(
            f"forgetting one of {n} rows moves the outputs nearly as far as forgetting half of them",
            expected=f"at most {_LITTLE} of {much:.4g}",
            got=little,
            residual=little - _LITTLE * much,
            tolerance=0.0,
        )


def direction(subject: UnlearnerSubject, case: ProblemCase) -> None:
    """Check that the outputs move towards those of retraining."""
    problem = case.make()
    given = problem.outputs(problem.model, problem.x_test).double().cpu().numpy()
    moved = (subject.whole(case)[:-1] - given).ravel()
    wanted = (case.retrained_outputs(seed=0)[:-1] - given).ravel()
    size = float(np.linalg.norm(moved) * np.linalg.norm(wanted))
    cosine = float(moved @ wanted) / size if size > 0 else 0.0
    if not cosine >= _TOWARDS:
        raise Violation(
            "the outputs do not move towards those of retraining (cosine of the changes over all coalitions)",
            expected=f"at least {_TOWARDS}",
            got=cosine,
            residual=_TOWARDS - cosine,
            tolerance=0.0,
        )


def distance(subject: UnlearnerSubject, case: ProblemCase) -> None:
    """Check that it is no further from retraining than doing nothing; equal to it, where that is claimed."""
    problem = case.make()
    matrix = all_coalitions(problem.n_players)
    got = [utilities(problem, subject.whole(case, seed))[:-1] for seed in (0, 1)]
    retrained = [case.retrained(seed)[:-1] for seed in (0, 1)]
    if subject.unlearner.exact:
        what = "it claims to equal retraining, but its utilities are others"
        for seed in (0, 1):
            tolerance, names = EXACT[dtype_of(problem)], in_words(problem, matrix[:-1])
            compare(f"{what} (seed {seed})", retrained[seed], got[seed], tolerance, players=names)
        return
    pairs = ((problem.given_utility, retrained[0]), retrained, got, (got[0], retrained[0]))
    nothing, noise, own_noise, error = (float(np.abs(a - b).mean()) for a, b in pairs)
    allowed = nothing + noise + own_noise / 2
    if not error <= allowed:
        raise Violation(
            "it is further from retraining than doing nothing (mean absolute error of the utility over all coalitions)",
            expected=f"at most {nothing:.4g}, and {allowed - nothing:.4g} for the noise of the seeds",
            got=error,
            residual=error - nothing,
            tolerance=allowed - nothing,
        )


def axioms(subject: UnlearnerSubject, case: ProblemCase) -> None:
    """Check that the values of its own utility are efficient, and those of the definition."""
    problem = case.make()
    own = [float(v) for v in utilities(problem, subject.whole(case))]
    values = shapley_values(UnlearningGame(problem, subject.unlearner), "exact").values
    tolerance = ROUND_OFF[dtype_of(problem)] * max(map(abs, own))
    total = float(problem.given_utility) - own[0]
    compare("the values of its own utility do not sum to what was gained", total, values.sum(), tolerance)
    what = "the values of its own utility are not those of the subset formula"
    exact = [float(value) for value in by_subsets(tuple(Fraction(v) for v in own))]
    compare(what, exact, values, tolerance, players=problem.players)
