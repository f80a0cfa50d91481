"""The checks of unlearners: every wrong unlearner is caught by the check that is named for it, and ours pass."""

from __future__ import annotations

import copy
import dataclasses
import random
from dataclasses import dataclass

import bits
import numpy as np
import pytest
import torch
from problems import UNLEARNERS
from unshap_conformance import check_unlearner
from unshap_conformance.problems import PROBLEMS, all_coalitions
from unshap_conformance.unlearners import UNLEARNER_CHECKS, unlearner_subject

from unshap_plugin.errors import AccessError, InvalidTypeError, UnknownNameError
from unshap_plugin.plugin import Access, UnlearnerSpec
from unshap_plugin.unlearners import FineTune, GradientAscent, Retrain
from unshap_plugin.unlearners.models import StackedModels

STATEMENTS = {check.name: check.statement for check in UNLEARNER_CHECKS}


def scaled(theta, factors):
    return {name: p * factors.reshape(-1, *[1] * (p.ndim - 1)).to(p.dtype) for name, p in theta.items()}


@dataclass(frozen=True)
class Reference(FineTune):
    """Right in every respect."""

    name = "reference"


def mutant(change, base=Reference, **attributes):
    """Return an unlearner like ``base`` whose ``_unlearn`` is ``change(right, problem, coalitions, seed)``."""

    def _unlearn(self, problem, coalitions, seed):
        return change(lambda c: base._unlearn(self, problem, c, seed), problem, coalitions, seed)

    return dataclass(frozen=True)(type("Mutant", (base,), {"_unlearn": _unlearn, **attributes}))()


def parameters(models, function):
    """Return models with every parameter changed."""
    models.state.update({name: function(p) for name, p in models.state.items()})
    return models


def touching(touch):
    """Return the change that does something on the side."""

    def change(right, problem, coalitions, seed):
        models = right(coalitions)
        touch(problem, coalitions)
        return models

    return change


def first(problem):
    return next(problem.model.parameters())


def nothing(right, problem, coalitions, seed):
    return StackedModels(problem.engine, problem.engine.stack(len(coalitions)))


class Unrestorable(StackedModels):
    """Models that cannot be put back."""

    def restore(self, which):
        pass


def everybody_is(function):
    """Return the change that gives everybody's model as ``function`` of the right parameters."""

    def change(right, problem, coalitions, seed):
        theta = {name: function(p) for name, p in right(coalitions).state.items()}
        return Unrestorable(problem.engine, theta)

    return change


def with_check(check):
    """Return an unlearner with another ``check``, put there past the rule that a class may not define one."""
    unlearner = type("Checked", (FineTune,), {})
    unlearner.check = check
    return unlearner()


def accepting(self, problem):
    """Take problems without the retained rows that it says it needs."""


def nameless(self, problem):
    """Refuse without saying who."""
    if Access.RETAIN not in problem.available:
        raise AccessError("access denied")


class Local(Reference):
    """Cannot be pickled."""

    def __reduce__(self):
        raise TypeError("not me")


class Amnesic(Reference):
    """Loses its settings on the way."""

    def __reduce__(self):
        return Reference, ()


CALLS = {"count": 0}


def counting(right, problem, coalitions, seed):
    CALLS["count"] += 1
    return parameters(right(coalitions), lambda p: p * (1 + 1e-3 * CALLS["count"]))


def never_the_same(right, problem, coalitions, seed):
    CALLS["count"] += 1
    return parameters(right(coalitions), lambda p: p / CALLS["count"])


def noisy(right, problem, coalitions, seed):
    fresh = torch.Generator()
    fresh.seed()
    return parameters(right(coalitions), lambda p: p + 1e-6 * torch.randn(p.shape, generator=fresh, dtype=p.dtype))


def by_global_state(right, problem, coalitions, seed):
    """Reads the global generator without moving it."""
    shift = 1e-3 * np.random.get_state()[2]
    return parameters(right(coalitions), lambda p: p + shift)


def centred(right, problem, coalitions, seed):
    return parameters(right(coalitions), lambda p: p - 0.01 * (p - p.mean(dim=0)))


def by_position(right, problem, coalitions, seed):
    models = right(coalitions)
    models.state = scaled(models.state, 1 + 1e-3 * torch.arange(len(models)))
    return models


def half_precision(right, problem, coalitions, seed):
    return parameters(right(coalitions), lambda p: p.half().to(p.dtype))


def in_batches_only(right, problem, coalitions, seed):
    models = right(coalitions)
    return parameters(models, lambda p: p * 1.001) if problem.engine.batched else models


def falls_back(right, problem, coalitions, seed):
    problem.engine.batched = False
    return right(coalitions)


def jumps(right, problem, coalitions, seed):
    lost = torch.as_tensor(~coalitions.all(axis=1)).to(problem.engine.dtype)
    return StackedModels(problem.engine, scaled(problem.engine.stack(len(coalitions)), 1 - 0.1 * lost))


def rolled(right, problem, coalitions, seed):
    return parameters(right(coalitions), lambda p: p.roll(1, dims=0))


def wrong_dtype(right, problem, coalitions, seed):
    models = right(coalitions)
    models.outputs = lambda x: StackedModels.outputs(models, x).float()
    return models


def infinite(right, problem, coalitions, seed):
    """For one coalition only."""
    models = right(coalitions)
    lonely = torch.as_tensor(coalitions.sum(axis=1) == 1)
    for p in models.state.values():
        p[lonely] = torch.inf
    return models


def negated(matrix):
    return ~matrix


def never(self, problem):
    """Refuse whatever it is asked about."""
    raise AccessError("unlearner 'finetune' is not in the mood")


def eager(self, problem):
    """Work before refusing."""
    if Access.RETAIN not in problem.available:
        with torch.no_grad():
            next(problem.model.parameters()).mul_(0.5)
    FineTune.check(self, problem)


def initial_parameters_moved(right, problem, coalitions, seed):
    models = right(coalitions)
    if problem.recipe is not None and problem.recipe.init is not None:
        next(iter(problem.recipe.init.values())).data.add_(0.5)
    return models


def answering(function):
    """Return the change by which models answer ``function(right answers, models, problem)``."""

    def change(right, problem, coalitions, seed):
        models = right(coalitions)
        models.outputs = lambda x: function(StackedModels.outputs(models, x), models, problem)
        return models

    return change


def drifting(outputs, models, problem):
    """Other answers every time, but for the first."""
    models.asked = getattr(models, "asked", 0) + 1
    return outputs * (1.0 if models.asked == 1 else 1.1)


BUFFERS: dict = {}


def in_one_buffer(right, problem, coalitions, seed):
    """All calls write into the same tensors."""
    models = right(coalitions)
    for name, p in models.state.items():
        buffer = BUFFERS.setdefault((name, p.shape, p.dtype), torch.empty_like(p))
        models.state[name] = buffer.copy_(p)
    return models


def leaking(right, problem, coalitions, seed):
    """One more step, on the test rows."""
    models, engine = right(coalitions), problem.engine
    weights = torch.full((len(coalitions), len(problem.y_test)), 1 / len(problem.y_test), dtype=engine.dtype)
    forgotten = 1 - problem.retained(coalitions).to(engine.dtype).mean(dim=1)
    gradients = engine.gradients(models.state, weights, problem.x_test, problem.y_test)
    steps = scaled(gradients, 0.01 * forgotten)
    models.state = {name: p - steps[name] for name, p in models.state.items()}
    return models


def first_after_48(right, problem, coalitions, seed):
    models = right(coalitions)
    for p in models.state.values():
        p[48:] = p[:1]
    return models


def one_step_up(model, forget, loss, *, rate=0.01):
    """One step up the gradient of the forget rows."""
    model = copy.deepcopy(model)
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(loss(model(forget[0]), forget[1]).sum(), parameters)
    with torch.no_grad():
        for p, gradient in zip(parameters, gradients, strict=True):
            p.add_(gradient, alpha=rate)
    return model


def many_steps_up(sign):
    def batched(problem, coalitions, seed, *, rate):
        engine = problem.engine
        forget = (~problem.retained(coalitions)).to(engine.dtype)
        gradients = engine.gradients(engine.stack(len(coalitions)), forget, problem.x, problem.y)
        return {name: engine.theta0[name] + sign * rate * g for name, g in gradients.items()}

    return batched


EXACT = {"exact": True}
MUTANTS = {
    "too few models": ("result", mutant(lambda r, p, c, s: r(c[:1])), "returned 1 models for 16 coalitions"),
    "nothing returned": ("result", mutant(lambda r, p, c, s: None), "returned None instead of unlearned models"),
    "infinity for one coalition": (
        "result",
        mutant(infinite),
        "the model is not finite for the coalition that keeps 1",
    ),
    "another dtype": ("result", mutant(wrong_dtype), "the outputs are of another kind than the given model's"),
    "another shape": (
        "result",
        mutant(lambda r, p, c, s: StackedModels(p.engine, {n: t.flatten(1) for n, t in r(c).state.items()})),
        "returned a model of another architecture",
    ),
    "everybody kept is another model": (
        "identity",
        mutant(everybody_is(lambda p: p + 1e-12)),
        "does not give '0.weight'",
    ),
    "everybody kept is far off": (
        "identity",
        mutant(everybody_is(lambda p: p + 1.0)),
        "keeping everybody does not give the outputs of the given model",
    ),
    "one row moves as far as half": ("continuity", mutant(jumps), "forgetting one of 48 rows moves the outputs nearly"),
    "model changed": ("untouched", mutant(touching(lambda p, c: first(p).data.add_(1.0))), "changed '0.weight'"),
    "buffers of the mode": ("untouched", mutant(touching(lambda p, c: p.model.train())), "changed the mode"),
    "gradient left behind": (
        "untouched",
        mutant(touching(lambda p, c: setattr(first(p), "grad", torch.ones_like(first(p))))),
        "changed the gradient of",
    ),
    "frozen": ("untouched", mutant(touching(lambda p, c: first(p).requires_grad_(False))), "changed requires_grad of"),
    "rows changed": (
        "untouched",
        mutant(touching(lambda p, c: p.x.mul_(0.5))),
        "changed the data of the problem",
    ),
    "labels changed": (
        "untouched",
        mutant(touching(lambda p, c: p.y.zero_())),
        "changed the data of the problem",
    ),
    "test rows changed": (
        "untouched",
        mutant(touching(lambda p, c: p.x_test.add_(1))),
        "changed the data of the problem",
    ),
    "torch seeded": (
        "global_rng",
        mutant(touching(lambda p, c: torch.manual_seed(0))),
        "global random generator of torch",
    ),
    "numpy drawn": (
        "global_rng",
        mutant(touching(lambda p, c: np.random.random())),
        "global random generator of numpy",
    ),
    "python drawn": ("global_rng", mutant(touching(lambda p, c: random.random())), "global random generator of random"),
    "not seeded": ("determinism", mutant(noisy), "the same call with seed 0 gives other bits"),
    "seeded from outside": ("determinism", mutant(by_global_state), "the same call with seed 0 gives other bits"),
    "counts its calls": ("determinism", mutant(counting), "the same call with seed 0 gives other bits"),
    "depends on the batch": ("batch", mutant(centred), "a coalition alone gives another model than in a batch"),
    "depends on the order": ("batch", mutant(by_position), "a coalition alone gives another model than in a batch"),
    "of the wrong coalition": ("batch", mutant(rolled), "a coalition alone gives another model than in a batch"),
    "batched is another method": (
        "loop",
        mutant(in_batches_only),
        "the batched way and the plain loop give other models",
    ),
    "not batched": ("loop", mutant(falls_back), "it says that it is batched, but fell back to the loop"),
    "does nothing, claims to be exact": ("distance", mutant(nothing, **EXACT), "it claims to equal retraining, but"),
    "forget and retain swapped": (
        "distance",
        mutant(lambda r, p, c, s: r(negated(c)), base=Retrain, exact=False),
        "it is further from retraining than doing nothing",
    ),
    "swapped, claims to be exact": (
        "distance",
        mutant(lambda r, p, c, s: r(negated(c)), base=Retrain),
        "it claims to equal retraining, but its utilities are others",
    ),
    "half precision, claims to be exact": (
        "distance",
        mutant(half_precision, base=Retrain),
        "it claims to equal retraining",
    ),
    "another seed, claims to be exact": (
        "distance",
        type("Reseeded", (Retrain,), {"_unlearn": lambda self, p, c, s: Retrain._unlearn(self, p, c, s + 1)})(),
        "it claims to equal retraining, but its utilities are others",
    ),
    "the wrong direction": (
        "distance",
        mutant(lambda r, p, c, s: StackedModels(p.engine, scaled(p.engine.stack(len(c)), -1.0 * torch.ones(len(c))))),
        "it is further from retraining than doing nothing",
    ),
    "accepts what it cannot do": (
        "refusal",
        with_check(accepting),
        "the unlearner does not refuse a problem that lacks RETAIN",
    ),
    "refuses namelessly": ("refusal", with_check(nameless), "the refusal does not name the unlearner"),
    "cannot be pickled": ("pickling", Local(), "the unlearner cannot be pickled (TypeError: not me)"),
    "loses its settings": ("pickling", Amnesic(lr=0.05), "after pickling the unlearner gives other models"),
    "refuses everything": ("accepts", with_check(never), "it refuses every problem that has what it says it needs"),
    "works before it refuses": ("refusal", with_check(eager), "it does something before it refuses"),
    "changes the initial parameters": (
        "untouched",
        mutant(initial_parameters_moved),
        "the unlearner changed the data of the problem",
    ),
    "changes the labels of the reference set": (
        "untouched",
        mutant(touching(lambda p, c: p.reference[1].numpy().fill(0))),
        "the unlearner changed the data of the problem",
    ),
    "does nothing": ("direction", mutant(nothing), "the outputs do not move towards those of retraining"),
    "sets out the wrong way": (
        "direction",
        mutant(lambda r, p, c, s: parameters(r(c), lambda t: 2 * t[-1:] - t)),
        "the outputs do not move towards those of retraining",
    ),
    "forgets the next player": (
        "renaming",
        mutant(lambda r, p, c, s: r(np.roll(c, 1, axis=1)), base=GradientAscent),
        "the models do not follow the players",
    ),
    "players reversed": (
        "renaming",
        mutant(lambda r, p, c, s: r(c[:, ::-1].copy()), base=GradientAscent),
        "the models do not follow the players",
    ),
    "never forgets the last player": (
        "renaming",
        mutant(lambda r, p, c, s: r(c | (np.arange(c.shape[1]) == c.shape[1] - 1))),
        "the models do not follow the players",
    ),
    "never forgets who is called a": (
        "renaming",
        mutant(lambda r, p, c, s: r(c | np.array([player == "a" for player in p.players]))),
        "the models do not follow the players",
    ),
    "centres its answers": (
        "models",
        mutant(answering(lambda out, models, problem: out - 0.01 * out.mean(dim=1, keepdim=True))),
        "answer otherwise when they are asked about few rows",
    ),
    "answers otherwise the second time": ("models", mutant(answering(drifting)), "the models answer otherwise"),
    "one buffer for all calls": ("models", mutant(in_one_buffer), "the models answer otherwise"),
    "looks at the test set": ("test_set", mutant(leaking), "with another test set the models are others"),
    "wrong beyond 48 coalitions": ("batch", mutant(first_after_48), "at the end of a large batch give other models"),
    "one by one is another method": (
        "loop",
        UnlearnerSpec.from_function(one_step_up, source="A test", batched=many_steps_up(-1)).make(),
        "the batched way and the plain loop give other",
    ),
    "seed ignored, claims to be exact": (
        "distance",
        type("Seedless", (Retrain,), {"_unlearn": lambda self, p, c, s: Retrain._unlearn(self, p, c, 0)})(),
        "it claims to equal retraining, but its utilities are others (seed 1)",
    ),
    "another utility every time": ("axioms", mutant(never_the_same), "the values of its own utility"),
}


@pytest.fixture(autouse=True)
def _calls():
    CALLS["count"] = 0
    BUFFERS.clear()


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_unlearner_is_caught_by_the_check_that_is_named_for_it(name):
    check, unlearner, what = MUTANTS[name]
    results = check_unlearner(unlearner, checks=[check], on_fail="collect")
    failed = [result for result in results if result.status == "failed"]
    assert failed
    assert all(result.check == check for result in failed)
    assert any(what in result.reason for result in failed), [result.reason for result in failed]
    [told, *_] = [result for result in failed if what in result.reason]
    assert "Traceback" not in told.reason
    assert told.game in str(told)
    assert STATEMENTS[check] in str(told)
    assert told.expected is not None
    assert told.got is not None


def test_every_check_has_a_wrong_unlearner():
    assert {check for check, _, _ in MUTANTS.values()} == set(STATEMENTS)


@pytest.mark.slow
def test_the_reference_passes_everything():
    results = check_unlearner(Reference(), on_fail="collect")
    assert [str(result) for result in results if result.status == "failed"] == []
    assert {result.check for result in results if result.status == "passed"} == set(STATEMENTS)


EXPECTED = {
    "merge": {
        "direction[logistic-rows]": "a model of one row is none that others could be averaged with (-.38)",
        "distance[ridge-rows]": "the same, beyond doing nothing by .0027",
    },
    "random_label": {
        "distance[ridge]": "it learns a wrong target instead of forgetting, beyond doing nothing by .0017"
    },
    "ssd": {
        "direction[ridge-rows]": "it only shrinks, and forgetting a few rows of a regression moves it elsewhere (.08)",
        "direction[ridge-artifacts]": "the same, where most of the rows are background (-.17)",
    },
}


#: These share their steps with ``gradient_ascent``, ``reference_teacher`` and ``retrain``, and their contracts are in
#: ``tests/test_contracts.py`` too: here only what is about retraining, for the time it takes.
ALIKE = ["graddiff", "anchored", "npo", "simnpo", "random_label", "task_vector", "merge"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Linear cannot be retrained for many coalitions at once")
@pytest.mark.parametrize("name", ALIKE)
def test_the_others_pass_where_they_are_compared_with_retraining(name):
    checks = ["continuity", "direction", "distance"]
    results = check_unlearner(name, checks=checks, expected_failures=EXPECTED.get(name))
    assert {result.check for result in results} == set(checks)
    assert {result.status for result in results} <= {"passed", "expected_failure"}


@pytest.mark.slow
def test_minibatches_pass():
    checks = ["batch", "loop", "continuity", "direction", "distance"]
    results = check_unlearner(FineTune(batch_size=8), checks=checks)
    assert {result.check for result in results if result.status == "passed"} == set(checks)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Linear cannot be retrained for many coalitions at once")
@pytest.mark.parametrize("name", [name for name in [*UNLEARNERS, "linear_exact"] if name not in ALIKE])
def test_the_built_in_unlearners_pass(name):
    # Steps of Adam make more of the last bits, which go by the place where products do.
    results = check_unlearner(name, expected_failures=EXPECTED.get(name), on_fail="raise" if bits.ALIKE else "collect")
    assert {result.check for result in results} == set(STATEMENTS)
    for result in results:
        if result.status == "failed" and not bits.ALIKE:
            assert result.check == "batch", result
            assert result.residual < 1e-3, result
            continue
        assert result.status in ("passed", "skipped", "expected_failure")
        assert result.reason or result.status == "passed", "a skip says why"
    passed = {result.check for result in results if result.status == "passed"}
    assert set(STATEMENTS) - passed <= ({"continuity"} if unlearner_subject(name).unlearner.exact else set())


def test_an_exception_of_the_unlearner_is_a_failure_with_its_traceback():
    def fails(right, problem, coalitions, seed):
        raise ZeroDivisionError("no rows left")

    [result, *_] = check_unlearner(mutant(fails), checks=["batch"], on_fail="collect")
    assert result.status == "failed"
    assert "in fails" in result.reason
    assert result.reason.strip().endswith("ZeroDivisionError: no rows left")


def test_an_unlearner_that_declares_its_order_is_not_held_to_the_rule():
    chained = mutant(by_position, order_dependent=True)
    results = check_unlearner(chained, checks=["batch", "axioms"], on_fail="collect")
    assert {(result.status, result.reason) for result in results} == {
        ("skipped", "it declares that it depends on the order.")
    }


def test_names_settings_and_errors():
    assert unlearner_subject("finetune", settings={"steps": 3}).unlearner == FineTune(steps=3)
    assert unlearner_subject(FineTune(), name="mine").name == "mine"
    subject = unlearner_subject(FineTune())
    assert unlearner_subject(subject) is subject
    with pytest.raises(InvalidTypeError, match="are given where that subject is made"):
        unlearner_subject(subject, name="other")
    with pytest.raises(UnknownNameError, match="did you mean 'finetune'"):
        check_unlearner("finetun")
    with pytest.raises(UnknownNameError, match="unknown check 'identiy'"):
        check_unlearner("finetune", checks=["identiy"])


def test_the_problems_are_what_they_say():
    for case in PROBLEMS:
        problem = case.make()
        assert problem.available == case.available
        assert problem.kind == case.kind
        assert (problem.player_of_row < 0).any() == (case.access == "full" and case.players in ("background", "rows"))
        assert 0 < len(all_coalitions(problem.n_players)) <= 16
        assert copy.copy(problem) is not case.make()
        if case.model in ("ridge", "logistic") and case.access == "full":
            weights = torch.full((1, len(problem.y)), 1.0, dtype=torch.float64)
            engine = problem.engine
            gradient = engine.flatten(engine.gradients(engine.stack(1), weights, problem.x, problem.y))
            at_optimum = gradient + engine.flatten(engine.stack(1))  # the strength of the penalty is 1
            torch.testing.assert_close(at_optimum, torch.zeros_like(at_optimum), atol=1e-5, rtol=0)


def test_dataclass_mutants_keep_their_settings():
    assert dataclasses.asdict(mutant(nothing)) == {
        "steps": 12,
        "lr": 0.02,
        "batch_size": None,
        "shrink": 0.8,
    }
