"""Unlearners as subjects: the contracts, on small real problems whose coalitions are all enumerated."""

from __future__ import annotations

import pickle
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from unshap_conformance import global_rng
from unshap_conformance.problems import LARGE_PROBLEMS, PROBLEMS, ProblemCase, all_coalitions, utilities
from unshap_conformance.records import Record, Skipped, Violation, compare
from unshap_conformance.runner import Check, run_tasks, tasks_of
from unshap_conformance.semivalues import by_subsets
from unshap_plugin import UnlearningGame, ValuationProblem, shapley_values
from unshap_plugin.errors import AccessError, ContractError, InvalidTypeError
from unshap_plugin.registry import resolve_unlearner
from unshap_plugin.rows import leaves
from unshap_plugin.unlearners import StackedModels, Unlearner

__all__ = ["UNLEARNER_CHECKS", "UnlearnerSubject", "check_unlearner", "unlearner_subject"]

#: Of outputs, relative to the largest: what the order of a summation can do to some steps of an optimiser.
ROUND_OFF = {torch.float64: 1e-7, torch.float32: 5e-3}
#: Of utilities, for a method that claims to equal retraining.
EXACT = {torch.float64: 1e-6, torch.float32: 1e-3}
#: Forgetting one of 48 rows may in the mean move the outputs by this share of what forgetting half of them does.
_LITTLE = 0.4
_SORTS = ("ridge", "logistic", "logistic-partial", "network", "network-partial", "object")


@dataclass(frozen=True)
class UnlearnerSubject:
    """An unlearner; what it needs and claims stands on itself. Made by ``unlearner_subject``."""

    name: str
    unlearner: Unlearner

    @property
    def checks(self) -> Sequence[Check[UnlearnerSubject]]:
        """All checks of unlearners."""
        return UNLEARNER_CHECKS

    def outputs(self, problem: ValuationProblem, coalitions: NDArray[np.bool_], seed: int = 0) -> NDArray[np.float64]:
        """Return the outputs of the unlearned models on the test set, float64 ``[m, rows, ...]``.

        Raises
        ------
        Skipped
            If the unlearner refuses the problem, which it may.
        Violation
            If there is not one finite model for every coalition, of the dtype of the given model.
        """
        refusal = _refusal(self.unlearner, problem)
        if refusal is not None:
            raise Skipped(f"the unlearner refuses it: {refusal}.")
        models = self.unlearner.unlearn(problem, coalitions, seed)
        outputs = models.outputs(problem.x_test)
        if len(models) != len(coalitions) or len(outputs) != len(coalitions):
            raise Violation("not one model for every coalition came", expected=len(coalitions), got=len(outputs))
        given = problem.outputs(problem.model, problem.x_test)
        if (outputs.dtype, outputs.device, outputs.shape[1:]) != (given.dtype, given.device, given.shape):
            raise Violation(
                "the outputs are of another kind than the given model's", expected=_kind(given), got=_kind(outputs)
            )
        finite = torch.isfinite(outputs).flatten(1).all(dim=1).cpu().numpy() & models.finite()
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
    found = resolve_unlearner(unlearner, settings)
    return UnlearnerSubject(name or (unlearner if isinstance(unlearner, str) else found.name), found)


def check_unlearner(
    unlearner: str | Unlearner | UnlearnerSubject,
    *,
    name: str | None = None,
    settings: Mapping[str, Any] | None = None,
    checks: Collection[str] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    on_fail: Literal["raise", "collect"] = "raise",
) -> list[Record]:
    """Check an unlearner against the contracts, on small real problems.

    Parameters
    ----------
    unlearner, name, settings
        As in ``unlearner_subject``.
    checks, expected_failures, on_fail
        As in ``check_estimator``.

    Returns
    -------
    One record for every check and problem.

    Raises
    ------
    ConformanceError
        If a check fails, with ``on_fail="raise"``.
    """
    subject = unlearner_subject(unlearner, name=name, settings=settings)
    tasks = tasks_of(subject, subject.checks, only=checks, expected_failures=expected_failures)
    return run_tasks(tasks, on_fail)


def _refusal(unlearner: Unlearner, problem: ValuationProblem) -> str | None:
    try:
        unlearner.check(problem)
    except AccessError as error:
        return str(error)
    return None


def _kind(outputs: torch.Tensor) -> str:
    return f"{outputs.dtype} on {outputs.device}"


def _dtype(problem: ValuationProblem) -> torch.dtype:
    return torch.float64 if problem.engine is None else problem.engine.dtype


def _same(what: str, problem: ValuationProblem, expected: NDArray[np.float64], got: NDArray[np.float64]) -> None:
    """Compare outputs coalition by coalition, to round-off."""
    tolerance = ROUND_OFF[_dtype(problem)] * float(np.abs(expected).max())
    compare(what, expected, got, tolerance, players=[f"coalition {k}" for k in range(len(expected))])


def _result(subject: UnlearnerSubject, case: ProblemCase) -> None:
    problem = case.make()
    try:
        subject.outputs(problem, all_coalitions(problem.n_players))
    except ContractError as error:
        raise Violation(f"the unlearner {error}", expected="one model for every coalition", got="none") from error


def _identity(subject: UnlearnerSubject, case: ProblemCase) -> None:
    problem = case.make()
    some = np.ones((2, problem.n_players), dtype=bool)
    some[0, 0] = False
    got = subject.outputs(problem, some)[1]
    given = problem.outputs(problem.model, problem.x_test).detach().double().cpu().numpy()
    _same("keeping everybody does not give the outputs of the given model", problem, given[None], got[None])
    models = subject.unlearner.unlearn(problem, some, seed=0)
    if isinstance(models, StackedModels) and problem.engine is not None:
        for name, p in problem.engine.theta0.items():
            if not torch.equal(models.state[name][1], p):
                raise Violation(
                    f"keeping everybody does not give {name!r} of the given model bit for bit",
                    expected=p.flatten().tolist(),
                    got=models.state[name][1].flatten().tolist(),
                    residual=float((models.state[name][1] - p).abs().max()),
                    tolerance=0.0,
                )


def _continuity(subject: UnlearnerSubject, case: ProblemCase) -> None:
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


def _untouched(subject: UnlearnerSubject, case: ProblemCase) -> None:
    problem = case.make()
    matrix = all_coalitions(problem.n_players)
    assert problem.reference is not None
    data = {"x": problem.x, "y": problem.y, "test x": problem.x_test, "test y": problem.y_test}
    data["reference x"] = problem.reference[0]
    before = {name: leaves(rows)[0].clone() for name, rows in data.items()}
    try:
        subject.outputs(problem, matrix)
    except ContractError as error:
        raise Violation(f"the unlearner {error}", expected="the model as it was given", got="another") from error
    for name, tensor in before.items():
        if not torch.equal(leaves(data[name])[0], tensor):
            raise Violation(f"the unlearner changed {name}", expected="the data as they were given", got="other data")
    if not np.array_equal(matrix, all_coalitions(problem.n_players)):
        raise Violation("the unlearner changed the coalitions", expected="the matrix as it was given", got="another")
    fresh = case.make()
    given, now = (one.outputs(one.model, one.x_test) for one in (fresh, problem))
    if not torch.equal(given, now):
        raise Violation("the given model answers otherwise than before", expected="the same outputs", got="others")


def _global_rng(subject: UnlearnerSubject, case: ProblemCase) -> None:
    problem = case.make()
    with global_rng.kept() as before:
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


def _determinism(subject: UnlearnerSubject, case: ProblemCase) -> None:
    matrix = all_coalitions(case.make().n_players)
    names = [f"coalition {k}" for k in range(len(matrix))]
    for seed in (0, 1):
        first = subject.outputs(case.make(), matrix, seed)
        problem = case.make()
        with global_rng.kept() as states:
            states.move()
            again, third = subject.outputs(problem, matrix, seed), subject.outputs(problem, matrix, seed)
        for got in (again, third):
            compare(f"the same call with seed {seed} gives other bits", first, got, 0.0, players=names)


def _batch(subject: UnlearnerSubject, case: ProblemCase) -> None:
    problem = case.make()
    matrix = all_coalitions(problem.n_players)
    whole = subject.outputs(problem, matrix)
    alone = np.concatenate([subject.outputs(problem, row[None]) for row in matrix[::-1]])[::-1]
    _same("a coalition alone gives another model than in a batch", problem, alone, whole)
    other = subject.outputs(problem, np.concatenate([matrix[::-1], matrix]))[: len(matrix)]
    _same("coalitions in another order give other models", problem, alone[::-1], other)


def _loop(subject: UnlearnerSubject, case: ProblemCase) -> None:
    problem, looped = case.make(), case.make()
    if looped.engine is None:
        raise Skipped("an object with fit and predict cannot be batched.")
    matrix = all_coalitions(problem.n_players)
    looped.engine.batched = False
    slow, fast = subject.outputs(looped, matrix), subject.outputs(problem, matrix)
    _same("the batched way and the plain loop give other models", problem, slow, fast)
    assert problem.engine is not None
    if subject.unlearner.batched and not problem.engine.batched:
        raise Violation("it says that it is batched, but fell back to the loop", expected="batched", got="one by one")


def _distance(subject: UnlearnerSubject, case: ProblemCase) -> None:
    problem = case.make()
    matrix = all_coalitions(problem.n_players)
    refusal = _refusal(subject.unlearner, problem)
    if refusal is not None:
        raise Skipped(f"the unlearner refuses it: {refusal}.")
    got = utilities(problem, subject.unlearner.unlearn(problem, matrix, seed=0))
    retrained = case.retrained(seed=0)
    inner = ~matrix.all(axis=1)
    if subject.unlearner.exact:
        names = [f"coalition {k}" for k in np.flatnonzero(inner)]
        what = "it claims to equal retraining, but its utilities are others"
        compare(what, retrained[inner], got[inner], EXACT[_dtype(problem)], players=names)
        return
    others = (problem.given_utility, case.retrained(seed=1)[inner], got[inner])
    nothing, noise, error = (float(np.abs(v - retrained[inner]).mean()) for v in others)
    if not error <= nothing + noise:
        raise Violation(
            "it is further from retraining than doing nothing (mean absolute error of the utility over all coalitions)",
            expected=f"at most {nothing:.4g}, and the {noise:.4g} that two seeds of retraining differ by",
            got=error,
            residual=error - nothing,
            tolerance=noise,
        )


def _axioms(subject: UnlearnerSubject, case: ProblemCase) -> None:
    problem = case.make()
    matrix = all_coalitions(problem.n_players)
    refusal = _refusal(subject.unlearner, problem)
    if refusal is not None:
        raise Skipped(f"the unlearner refuses it: {refusal}.")
    own = [float(v) for v in utilities(problem, subject.unlearner.unlearn(problem, matrix, seed=0))]
    values = shapley_values(UnlearningGame(problem, subject.unlearner), "exact").values
    tolerance = ROUND_OFF[_dtype(problem)] * max(map(abs, own))
    total = float(problem.given_utility) - own[0]
    compare("the values of its own utility do not sum to what was gained", total, values.sum(), tolerance)
    what = "the values of its own utility are not those of the subset formula"
    exact = [float(value) for value in by_subsets(tuple(Fraction(v) for v in own))]
    compare(what, exact, values, tolerance, players=problem.players)


def _refuses(subject: UnlearnerSubject, case: ProblemCase) -> None:
    problem = case.make()
    unlearner = subject.unlearner
    missing = unlearner.needs & ~problem.available
    if not missing and unlearner.takes & problem.kind:
        raise Skipped("it has all that the unlearner needs.")
    refusal = _refusal(unlearner, problem)
    if refusal is None:
        lacks = missing.names() or "the right kind of model"
        raise Violation(
            f"the unlearner does not refuse a problem that lacks {lacks}", expected="AccessError", got="nothing"
        )
    if unlearner.name not in refusal:
        raise Violation("the refusal does not name the unlearner", expected=unlearner.name, got=refusal)


def _pickling(subject: UnlearnerSubject, case: ProblemCase) -> None:
    problem = case.make()
    matrix = all_coalitions(problem.n_players)
    outputs = subject.outputs(problem, matrix)
    try:
        again = pickle.loads(pickle.dumps(subject.unlearner))
    except Exception as error:
        raise Violation(
            f"the unlearner cannot be pickled ({type(error).__name__}: {error})", expected="a copy", got="an exception"
        ) from error
    other = UnlearnerSubject(subject.name, again).outputs(case.make(), matrix)
    names = [f"coalition {k}" for k in range(len(matrix))]
    compare("after pickling the unlearner gives other models", outputs, other, 0.0, players=names)


def _fitting(subject: UnlearnerSubject) -> Sequence[ProblemCase]:
    """Return the problems that have what the unlearner says it needs."""
    needs, takes = subject.unlearner.needs, subject.unlearner.takes
    return [case for case in PROBLEMS if not needs & ~case.available and takes & case.kind]


def _others(subject: UnlearnerSubject) -> Sequence[ProblemCase]:
    fitting = _fitting(subject)
    return [case for case in PROBLEMS if case not in fitting]


def _some(subject: UnlearnerSubject) -> Sequence[ProblemCase]:
    """Return one problem of each sort, for what does not depend on the players."""
    return [case for case in _fitting(subject) if case.name in _SORTS]


def _large(subject: UnlearnerSubject) -> Sequence[ProblemCase]:
    return [case for case in LARGE_PROBLEMS if not subject.unlearner.needs & ~case.available]


def _exact(subject: UnlearnerSubject) -> str | None:
    return "it claims to equal retraining, which may jump." if subject.unlearner.exact else None


def _ordered(subject: UnlearnerSubject) -> str | None:
    return "it declares that it depends on the order." if subject.unlearner.order_dependent else None


def _none_to_refuse(subject: UnlearnerSubject) -> str | None:
    return None if _others(subject) else "it works on every kind of problem."


UNLEARNER_CHECKS: tuple[Check[UnlearnerSubject], ...] = (
    Check(
        "result",
        "one finite model for every coalition, of the dtype and on the device of the given one",
        _result,
        _fitting,
    ),
    Check("identity", "keeping everybody gives the given model, bit for bit", _identity, _fitting),
    Check("continuity", "removing a little changes a little", _continuity, _large, _exact),
    Check("untouched", "the given model, its mode, its gradients and the data stay as they are", _untouched, _some),
    Check("global_rng", "the global random states are not moved", _global_rng, _some),
    Check("determinism", "the same call with the same seed gives the same bits", _determinism, _some),
    Check("batch", "a model is a function of its coalition, not of the others of the call", _batch, _fitting, _ordered),
    Check("loop", "batched equals one by one", _loop, _some),
    Check(
        "distance",
        "mean |v(S) - retrained v(S)| <= mean |v(N) - retrained v(S)| + noise of a seed; = 0 if it claims to be exact",
        _distance,
        _fitting,
    ),
    Check("refusal", "a problem that lacks what the unlearner needs is refused before any work", _refuses, _others),
    Check("pickling", "a pickled unlearner is the same", _pickling, _some),
    Check(
        "axioms",
        "of its own v, sum phi_i = v(N) - v(none) and phi = the subset formula (which says nothing about forgetting)",
        _axioms,
        _some,
        _ordered,
    ),
)
