"""Checks of what a call returns, what it leaves alone, and what it refuses."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from unshap_conformance.checks import Skipped, Violation, compare
from unshap_conformance.global_rng import kept
from unshap_conformance.problems import ProblemCase, all_coalitions
from unshap_conformance.unlearners.outputs import compare_outputs, in_words
from unshap_conformance.unlearners.subject import UnlearnerSubject, missing_access, refusal
from unshap_plugin.errors import ContractError
from unshap_plugin.model.rows import Rows, leaves
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.unlearners.models import StackedModels

__all__ = ["global_rng", "identity", "pickling", "refuses", "result", "untouched"]


def result(subject: UnlearnerSubject, case: ProblemCase) -> None:
    """Check that there is one finite model for every coalition, of the dtype and on the device of the given one."""
    try:
        subject.whole(case)
    except ContractError as error:
        raise Violation(f"the unlearner {error}", expected="one model for every coalition", got="none") from error


def identity(subject: UnlearnerSubject, case: ProblemCase) -> None:
    """Check that keeping everybody gives the given model, bit for bit."""
    problem = case.make()
    some = np.ones((2, problem.n_players), dtype=bool)
    some[0, 0] = False
    got = subject.outputs(problem, some)[1]
    given = problem.outputs(problem.model, problem.x_test).detach().double().cpu().numpy()
    compare_outputs(
        "keeping everybody does not give the outputs of the given model", problem, some[1:], given[None], got[None]
    )
    models = subject.unlearner.unlearn(problem, some, seed=0)
    if isinstance(models, StackedModels) and isinstance(problem, ModuleProblem):
        for name, p in problem.engine.theta0.items():
            if not torch.equal(models.state[name][1], p):
                raise Violation(
                    f"keeping everybody does not give {name!r} of the given model bit for bit",
                    expected=p.flatten().tolist(),
                    got=models.state[name][1].flatten().tolist(),
                    residual=float((models.state[name][1] - p).abs().max()),
                    tolerance=0.0,
                )


def untouched(subject: UnlearnerSubject, case: ProblemCase) -> None:
    """Check that the given model and the data stay as they are."""
    problem = case.make()
    matrix = all_coalitions(problem.n_players)
    data = {"x": problem.x, "y": problem.y, "test x": problem.x_test, "test y": problem.y_test}
    data["players of the rows"] = torch.as_tensor(problem.player_of_row)
    assert problem.reference is not None
    data |= dict(zip(("reference x", "reference y"), map(_present, problem.reference), strict=True))
    recipe = problem.recipe if isinstance(problem, ModuleProblem) else None
    if recipe is not None and isinstance(recipe.init, Mapping):
        data |= {f"initial {name}": value for name, value in recipe.init.items()}
    before = {name: leaves(rows)[0].clone() for name, rows in data.items()}
    try:
        subject.outputs(problem, matrix)
    except ContractError as error:
        raise Violation(f"the unlearner {error}", expected="the model as it was given", got="another") from error
    for name, tensor in before.items():
        if not torch.equal(leaves(data[name])[0], tensor):
            raise Violation(f"the unlearner changed {name}", expected="the data as they were given", got="other data")
    fresh = case.make()
    given, now = (one.outputs(one.model, one.x_test) for one in (fresh, problem))
    if not torch.equal(given, now):
        raise Violation("the given model answers otherwise than before", expected="the same outputs", got="others")


def global_rng(subject: UnlearnerSubject, case: ProblemCase) -> None:
    """Check that no global generator is moved."""
    problem = case.make()
    with kept() as before:
        try:
            subject.outputs(problem, all_coalitions(problem.n_players))
        except ContractError as error:
            raise Violation(f"the unlearner {error}", expected="the same state", got="another state") from error
        for generator in before.moved():
            raise Violation(
                f"the global random generator of {generator} is not as it was before the call",
                expected="the same state",
                got="another state",
            )


def refuses(subject: UnlearnerSubject, case: ProblemCase) -> None:
    """Check that a problem that lacks what the unlearner needs is refused before any work."""
    problem = case.make()
    unlearner = subject.unlearner
    missing = missing_access(unlearner, problem.available)
    if not missing and unlearner.takes & problem.kind:
        raise Skipped("it has all that the unlearner needs.")
    answers = problem.outputs(problem.model, problem.x_test)
    with kept() as before:
        refused = refusal(unlearner, problem)
        moved = before.moved()
    if moved or not torch.equal(answers, problem.outputs(problem.model, problem.x_test)):
        raise Violation(
            "it does something before it refuses: the model or the global generators are not as they were",
            expected="no work",
            got="changes",
        )
    if refused is None:
        lacks = missing.names() or "the right kind of model"
        raise Violation(
            f"the unlearner does not refuse a problem that lacks {lacks}", expected="AccessError", got="nothing"
        )
    if unlearner.name not in refused:
        raise Violation("the refusal does not name the unlearner", expected=unlearner.name, got=refused)


def pickling(subject: UnlearnerSubject, case: ProblemCase) -> None:
    """Check that a pickled unlearner is the same."""
    problem = case.make()
    matrix = all_coalitions(problem.n_players)
    outputs = subject.whole(case)
    try:
        again = pickle.loads(pickle.dumps(subject.unlearner))
    except Exception as error:
        raise Violation(
            f"the unlearner cannot be pickled ({type(error).__name__}: {error})", expected="a copy", got="an exception"
        ) from error
    other = replace(subject, unlearner=again).outputs(case.make(), matrix)
    names = in_words(problem, matrix)
    compare("after pickling the unlearner gives other models", outputs, other, 0.0, players=names)


def _present(rows: Rows | None) -> Rows:
    assert rows is not None  # the problems here have labels in their reference sets
    return rows
