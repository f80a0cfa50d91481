"""Checks that a model depends on its coalition and the seed, and on nothing else."""

from __future__ import annotations

import numpy as np
import torch

from unshap_conformance.checks import Skipped, Violation, compare
from unshap_conformance.global_rng import kept
from unshap_conformance.problems import ProblemCase, all_coalitions
from unshap_conformance.unlearners.outputs import compare_outputs, in_words
from unshap_conformance.unlearners.subject import UnlearnerSubject
from unshap_plugin.model.rows import take
from unshap_plugin.problem.module_problem import ModuleProblem

__all__ = ["batch", "determinism", "loop", "models", "renaming", "test_set"]


def determinism(subject: UnlearnerSubject, case: ProblemCase) -> None:
    """Check that the same call with the same seed gives the same bits."""
    for seed in (0, 1):
        first, problem = subject.whole(case, seed), case.make()
        matrix = all_coalitions(problem.n_players)
        names = in_words(problem, matrix)
        with kept() as states:
            states.move()
            again, third = subject.outputs(problem, matrix, seed), subject.outputs(problem, matrix, seed)
        for got in (again, third):
            compare(f"the same call with seed {seed} gives other bits", first, got, 0.0, players=names)


def batch(subject: UnlearnerSubject, case: ProblemCase) -> None:
    """Check that a model is a function of its coalition, not of the others of the call."""
    problem = case.make()
    matrix = all_coalitions(problem.n_players)
    whole = subject.whole(case)
    alone = np.concatenate([subject.outputs(problem, row[None]) for row in matrix[::-1]])[::-1]
    compare_outputs("a coalition alone gives another model than in a batch", problem, matrix, alone, whole)
    other = subject.outputs(problem, np.concatenate([matrix[::-1], matrix]))[: len(matrix)]
    compare_outputs("coalitions in another order give other models", problem, matrix[::-1], alone[::-1], other)
    # More of them than a chunk of the game ever has; on few of the problems, since it takes long.
    if case.model != "network" and (case.players == "providers" or case.access == "partial"):
        many = subject.outputs(problem, np.tile(matrix, (272 // len(matrix), 1)))[-len(matrix) :]
        compare_outputs("coalitions at the end of a large batch give other models", problem, matrix, alone, many)


def models(subject: UnlearnerSubject, case: ProblemCase) -> None:
    """Check that a model answers the same, whenever and about whichever rows it is asked."""
    problem = case.make()
    matrix = all_coalitions(problem.n_players)[:-1]  # for everybody the given model is put in, in new tensors
    whole = subject.whole(case)[:-1]
    models = subject.unlearner.unlearn(problem, matrix, seed=0)
    subject.outputs(problem, matrix[::-1].copy())
    few = take(problem.x_test, torch.arange(7))
    some = models.outputs(few).double().cpu().numpy()
    compare_outputs(
        "the models answer otherwise when they are asked about few rows", problem, matrix, whole[:, :7], some
    )
    for _ in range(2):
        again = models.outputs(problem.x_test).double().cpu().numpy()
        compare_outputs("the models answer otherwise after another call", problem, matrix, whole, again)


def renaming(subject: UnlearnerSubject, case: ProblemCase) -> None:
    """Check that models follow the players."""
    problem = case.make()
    n = problem.n_players
    matrix = all_coalitions(n)
    outputs = subject.whole(case)
    if not np.array_equal(outputs, subject.whole(case, seed=1)):
        raise Skipped("its randomness comes from the coalition, in which the places of the players count.")
    for order in ([*range(1, n), 0], [1, 0, *range(2, n)]):
        moved = np.empty_like(matrix)
        moved[:, order] = matrix
        what = f"the models do not follow the players when player i is renamed and becomes player {order}[i]"
        compare_outputs(what, problem, matrix, outputs, subject.outputs(case.make(order=order), moved))


def test_set(subject: UnlearnerSubject, case: ProblemCase) -> None:
    """Check that the test set is not looked at."""
    problem, other = case.make(), case.make(other_test=True)
    matrix = all_coalitions(problem.n_players)
    outputs = subject.whole(case)
    elsewhere = subject.unlearner.unlearn(other, matrix, seed=0).outputs(problem.x_test).double().cpu().numpy()
    compare_outputs("with another test set the models are others", problem, matrix, outputs, elsewhere)


def loop(subject: UnlearnerSubject, case: ProblemCase) -> None:
    """Check that batched equals one by one."""
    problem, looped = case.make(), case.make()
    if not isinstance(looped, ModuleProblem) or not isinstance(problem, ModuleProblem):
        raise Skipped("an object with fit and predict cannot be batched.")
    matrix = all_coalitions(problem.n_players)
    looped.engine.batched = False
    slow, fast = subject.outputs(looped, matrix), subject.outputs(problem, matrix)
    compare_outputs("the batched way and the plain loop give other models", problem, matrix, slow, fast)
    if subject.unlearner.batched and not problem.engine.batched:
        raise Violation("it says that it is batched, but fell back to the loop", expected="batched", got="one by one")
