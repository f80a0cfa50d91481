"""What unlearners are held to, as plain functions ``(subject, case)`` that raise ``Violation``."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray

from unshap_conformance import global_rng
from unshap_conformance.problems import LARGE_PROBLEMS, PROBLEMS, ProblemCase, all_coalitions, utilities
from unshap_conformance.records import Skipped, Violation, compare
from unshap_conformance.runner import Check
from unshap_conformance.semivalues import by_subsets
from unshap_conformance.unlearners.subject import UnlearnerSubject, refusal
from unshap_plugin import Access, Unlearner, UnlearningGame, ValuationProblem, shapley_values
from unshap_plugin.errors import ContractError
from unshap_plugin.model.rows import Rows, leaves, take
from unshap_plugin.problem.module_problem import ModuleProblem
from unshap_plugin.unlearners.models import StackedModels

__all__ = ["UNLEARNER_CHECKS"]

#: Of outputs, relative to the largest: what the order of a summation can do to some steps of an optimiser.
ROUND_OFF = {torch.float64: 1e-7, torch.float32: 5e-3}
#: Of utilities, for a method that claims to equal retraining.
EXACT = {torch.float64: 1e-6, torch.float32: 1e-3}
#: Forgetting one of 48 rows may in the mean move the outputs by this share of what forgetting half of them does.
_LITTLE = 0.4
#: The smallest cosine that the built-in methods reach is 0.22.
_TOWARDS = 0.1
_SORTS = ("ridge", "logistic", "logistic-partial", "logistic-artifacts", "network", "network-partial", "object")


def _dtype(problem: ValuationProblem) -> torch.dtype:
    return problem.engine.dtype if isinstance(problem, ModuleProblem) else torch.float64


def _names(problem: ValuationProblem, coalitions: NDArray[np.bool_]) -> list[str]:
    """Return what coalitions keep, in words."""
    players = [str(player) for player in problem.players]
    return ["{" + ", ".join(p for p, keep in zip(players, row, strict=True) if keep) + "}" for row in coalitions]


def _same(
    what: str,
    problem: ValuationProblem,
    coalitions: NDArray[np.bool_],
    expected: NDArray[np.float64],
    got: NDArray[np.float64],
) -> None:
    """Compare outputs coalition by coalition, to round-off."""
    tolerance = ROUND_OFF[_dtype(problem)] * float(np.abs(expected).max())
    compare(what, expected, got, tolerance, players=_names(problem, coalitions))


@dataclass(frozen=True)
class _NoCase:
    """For a check that is about all problems together."""

    name: str = ""


def _accepts(subject: UnlearnerSubject, case: _NoCase) -> None:  # noqa: ARG001
    refusals = [refusal(subject.unlearner, one.make()) for one in _fitting(subject)]
    if all(refusals):
        raise Violation(
            f"it refuses every problem that has what it says it needs: {refusals[0]}",
            expected=f"one of {len(refusals)} problems accepted",
            got="none",
        )


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
    _same("keeping everybody does not give the outputs of the given model", problem, some[1:], given[None], got[None])
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
    if not np.array_equal(matrix, all_coalitions(problem.n_players)):
        raise Violation("the unlearner changed the coalitions", expected="the matrix as it was given", got="another")
    fresh = case.make()
    given, now = (one.outputs(one.model, one.x_test) for one in (fresh, problem))
    if not torch.equal(given, now):
        raise Violation("the given model answers otherwise than before", expected="the same outputs", got="others")


def _present(rows: Rows | None) -> Rows:
    assert rows is not None  # the problems here have labels in their reference sets
    return rows


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
    names = _names(case.make(), matrix)
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
    _same("a coalition alone gives another model than in a batch", problem, matrix, alone, whole)
    other = subject.outputs(problem, np.concatenate([matrix[::-1], matrix]))[: len(matrix)]
    _same("coalitions in another order give other models", problem, matrix[::-1], alone[::-1], other)
    if case.model != "network":  # more of them than a chunk of the game ever has
        many = subject.outputs(problem, np.tile(matrix, (272 // len(matrix), 1)))[-len(matrix) :]
        _same("coalitions at the end of a large batch give other models", problem, matrix, alone, many)


def _models(subject: UnlearnerSubject, case: ProblemCase) -> None:
    problem = case.make()
    matrix = all_coalitions(problem.n_players)[:-1]  # for everybody the given model is put in, in new tensors
    whole = subject.outputs(problem, matrix)
    asked = matrix.copy()
    models = subject.unlearner.unlearn(problem, asked, seed=0)
    asked[:] = False
    subject.outputs(problem, matrix[::-1].copy())
    few = take(problem.x_test, torch.arange(7))
    some = models.outputs(few).double().cpu().numpy()
    _same("the models answer otherwise when they are asked about few rows", problem, matrix, whole[:, :7], some)
    for _ in range(2):
        again = models.outputs(problem.x_test).double().cpu().numpy()
        _same("the models answer otherwise after another call", problem, matrix, whole, again)


def _renaming(subject: UnlearnerSubject, case: ProblemCase) -> None:
    problem = case.make()
    n = problem.n_players
    matrix = all_coalitions(n)
    outputs = subject.outputs(problem, matrix)
    if not np.array_equal(outputs, subject.outputs(problem, matrix, seed=1)):
        raise Skipped("its randomness comes from the coalition, in which the places of the players count.")
    for order in ([*range(1, n), 0], [1, 0, *range(2, n)]):
        moved = np.empty_like(matrix)
        moved[:, order] = matrix
        what = f"the models do not follow the players when player i is renamed and becomes player {order}[i]"
        _same(what, problem, matrix, outputs, subject.outputs(case.make(order=order), moved))


def _test_set(subject: UnlearnerSubject, case: ProblemCase) -> None:
    problem, other = case.make(), case.make(other_test=True)
    matrix = all_coalitions(problem.n_players)
    outputs = subject.outputs(problem, matrix)
    elsewhere = subject.unlearner.unlearn(other, matrix, seed=0).outputs(problem.x_test).double().cpu().numpy()
    _same("with another test set the models are others", problem, matrix, outputs, elsewhere)


def _loop(subject: UnlearnerSubject, case: ProblemCase) -> None:
    problem, looped = case.make(), case.make()
    if not isinstance(looped, ModuleProblem) or not isinstance(problem, ModuleProblem):
        raise Skipped("an object with fit and predict cannot be batched.")
    matrix = all_coalitions(problem.n_players)
    looped.engine.batched = False
    slow, fast = subject.outputs(looped, matrix), subject.outputs(problem, matrix)
    _same("the batched way and the plain loop give other models", problem, matrix, slow, fast)
    if subject.unlearner.batched and not problem.engine.batched:
        raise Violation("it says that it is batched, but fell back to the loop", expected="batched", got="one by one")


def _direction(subject: UnlearnerSubject, case: ProblemCase) -> None:
    problem = case.make()
    matrix = all_coalitions(problem.n_players)[:-1]
    given = problem.outputs(problem.model, problem.x_test).double().cpu().numpy()
    moved = (subject.outputs(problem, matrix) - given).ravel()
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


def _distance(subject: UnlearnerSubject, case: ProblemCase) -> None:
    problem = case.make()
    matrix = all_coalitions(problem.n_players)
    got = [utilities(problem, subject.models(problem, matrix, seed))[:-1] for seed in (0, 1)]
    retrained = [case.retrained(seed)[:-1] for seed in (0, 1)]
    if subject.unlearner.exact:
        what = "it claims to equal retraining, but its utilities are others"
        for seed in (0, 1):
            tolerance, names = EXACT[_dtype(problem)], _names(problem, matrix[:-1])
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


def _axioms(subject: UnlearnerSubject, case: ProblemCase) -> None:
    problem = case.make()
    matrix = all_coalitions(problem.n_players)
    own = [float(v) for v in utilities(problem, subject.models(problem, matrix))]
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
    missing = _missing(unlearner, problem.available)
    if not missing and unlearner.takes & problem.kind:
        raise Skipped("it has all that the unlearner needs.")
    answers = problem.outputs(problem.model, problem.x_test)
    with global_rng.kept() as before:
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
    names = _names(problem, matrix)
    compare("after pickling the unlearner gives other models", outputs, other, 0.0, players=names)


def _missing(unlearner: Unlearner, available: Access) -> Access:
    """Return what the unlearner says it needs and cannot see."""
    missing = unlearner.needs & ~available
    stand_in = unlearner.stored is not None and Access.ARTIFACTS in available
    return missing & ~Access.RETAIN if stand_in else missing


def _concerning(subject: UnlearnerSubject) -> Sequence[ProblemCase]:
    """Return the problems, those with artefacts only for who uses these."""
    return [case for case in PROBLEMS if subject.unlearner.stored is not None or not case.artifacts]


def _fitting(subject: UnlearnerSubject) -> Sequence[ProblemCase]:
    """Return the problems that have what the unlearner says it needs."""
    unlearner, cases = subject.unlearner, _concerning(subject)
    return [case for case in cases if not _missing(unlearner, case.available) and unlearner.takes & case.kind]


def _others(subject: UnlearnerSubject) -> Sequence[ProblemCase]:
    fitting = _fitting(subject)
    return [case for case in _concerning(subject) if case not in fitting]


def _some(subject: UnlearnerSubject) -> Sequence[ProblemCase]:
    """Return one problem of each sort, for what does not depend on the players."""
    return [case for case in _fitting(subject) if case.name in _SORTS]


def _large(subject: UnlearnerSubject) -> Sequence[ProblemCase]:
    return [case for case in LARGE_PROBLEMS if not subject.unlearner.needs & ~case.available]


def _exact(subject: UnlearnerSubject) -> str | None:
    return "it claims to equal retraining, which may jump." if subject.unlearner.exact else None


def _ordered(subject: UnlearnerSubject) -> str | None:
    return "it declares that it depends on the order." if subject.unlearner.order_dependent else None


def _nothing_fits(subject: UnlearnerSubject) -> str | None:
    return None if _fitting(subject) else "there is no problem here that has what it needs."


def _none_to_refuse(subject: UnlearnerSubject) -> str | None:
    return None if _others(subject) else "it works on every kind of problem."


UNLEARNER_CHECKS: tuple[Check[UnlearnerSubject], ...] = (
    Check(
        "result",
        "one finite model for every coalition, of the dtype and on the device of the given one",
        _result,
        _fitting,
    ),
    Check(
        "accepts",
        "it accepts some problem that has what it says it needs",
        _accepts,
        lambda _: [_NoCase()],
        _nothing_fits,
    ),
    Check("identity", "keeping everybody gives the given model, bit for bit", _identity, _fitting),
    Check("continuity", "removing a little changes a little", _continuity, _large, _exact),
    Check("untouched", "the given model, its mode, its gradients and the data stay as they are", _untouched, _some),
    Check("global_rng", "the global random states are not moved", _global_rng, _some),
    Check("determinism", "the same call with the same seed gives the same bits", _determinism, _some),
    Check("batch", "a model is a function of its coalition, not of the others of the call", _batch, _fitting, _ordered),
    Check("models", "a model answers the same, whenever and about whichever rows it is asked", _models, _some),
    Check("renaming", "models follow the players: f(S renamed) = f(S)", _renaming, _some, _ordered),
    Check("test_set", "the test set is not looked at", _test_set, _some),
    Check("direction", "cos(f(S) - f(N), retrained f(S) - f(N)) >= 0.1 over all coalitions", _direction, _fitting),
    Check("loop", "batched equals one by one", _loop, _some),
    Check(
        "distance",
        "mean |v(S) - retrained v(S)| <= mean |v(N) - retrained v(S)| + noise of seeds; = 0 if it claims to be exact",
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
