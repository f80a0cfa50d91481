"""What errors of the conformance suite advise, followed to the letter."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import pytest
from advice import ROOT, Case, check, without_a_case
from unshap_conformance import check as conform
from unshap_conformance import estimator_subject, tasks_of, unlearner_subject
from unshap_conformance.parametrize import params
from unshap_conformance.subjects import subject_named

from unshap_plugin.unlearners import FineTune

SUITE = ROOT / "conformance" / "unshap_conformance"
FOLDERS = [str(path.relative_to(ROOT)) for path in sorted(SUITE.iterdir()) if path.name != "evaluators"]
#: What only describes, with the reason.
NO_ADVICE = {
    "raise Violation(": "it says how a subject fails a check",
    "raise Skipped(": "it says why there is no check",
}


@dataclass(frozen=True)
class Tuned(FineTune):
    """One that cannot be made without arguments."""

    def __init__(self, steps):
        object.__setattr__(self, "steps", steps)


class Nameless(FineTune):
    name = None


class Named(FineTune):
    name = "named"


OWN = ModuleType("own_unlearners")
OWN.Tuned, OWN.tuned = Tuned, Tuned(3)
sys.modules["own_unlearners"] = OWN


def passes(subject, **kwargs):
    """Some of its checks pass."""
    results = conform(subject, **{"checks": [subject.checks[0].name], **kwargs})
    assert results
    assert all(one.status in ("passed", "skipped", "expected_failure") for one in results)


def wrong(game):
    """An estimator that gives everybody the same."""
    nobody, everybody = game(np.array([[False], [True]]).repeat(game.n_players, axis=1))
    return np.full(game.n_players, (everybody - nobody) / game.n_players)


EXACT = estimator_subject("exact")
WRONG = estimator_subject(wrong)


def steps_of_newton():
    assert unlearner_subject("newton", settings={"steps": 3}).unlearner.settings["steps"] == 3


def failing(name):
    """The estimator fails that check, as is expected."""
    results = conform(WRONG, checks=["null_player"], expected_failures=name, on_fail="collect")
    assert {one.status for one in results} <= {"expected_failure", "passed", "skipped"}
    assert any(one.status == "expected_failure" for one in results)


def names(error_of):
    """Return the names that a message lists."""
    with pytest.raises(Exception, match="name one of") as caught:
        error_of()
    return str(caught.value).rpartition("name one of ")[2].rstrip(".").split(", ")


CASES = [
    Case(
        "one subject for a list",
        lambda: params(3),
        "but a list of subjects is needed",
        (lambda: [made] if (made := params([EXACT])) else pytest.fail("none"),),
    ),
    Case(
        "one check for a list",
        lambda: conform(EXACT, checks="efficiency"),
        "give ['efficiency']",
        (lambda: passes(EXACT, checks=["efficiency"]),),
    ),
    Case(
        "no reasons",
        lambda: conform(WRONG, checks=["null_player"], expected_failures=["null_player"]),
        "but a dict from names to reasons is needed",
        (lambda: failing({"null_player": "it gives everybody the same"}),),
    ),
    Case(
        "a check that does not exist",
        lambda: conform(EXACT, checks=["eficiency"]),
        "(did you mean 'efficiency'?)",
        (lambda: passes(EXACT, checks=["efficiency"]),),
    ),
    Case(
        "an expected failure that is not run",
        lambda: tasks_of(WRONG, checks=["null_player"], expected_failures={"null_player[nosuch]": "it is wrong"}),
        "leave it out",
        (lambda: failing({"null_player": "it is wrong"}),),
    ),
    Case(
        "a case of nearly that name",
        lambda: tasks_of(EXACT, checks=["efficiency"], expected_failures={"efficiency[glov]": "it is wrong"}),
        "(did you mean 'efficiency[glove]'?)",
        (lambda: tasks_of(EXACT, checks=["efficiency"], expected_failures={"efficiency[glove]": "it is wrong"}),),
    ),
    Case(
        "an expected failure without a reason",
        lambda: tasks_of(WRONG, expected_failures={"null_player": " "}),
        "say why it fails",
        (lambda: failing({"null_player": "it gives everybody the same"}),),
    ),
    Case(
        "settings of a subject",
        lambda: unlearner_subject(unlearner_subject("newton"), settings={"steps": 3}),
        "are given where that subject is made",
        (steps_of_newton,),
    ),
    Case(
        "a choice",
        lambda: unlearner_subject("auto"),
        "name one of anchored, finetune, ",
        tuple(lambda name=name: unlearner_subject(name) for name in names(lambda: unlearner_subject("auto"))),
    ),
    Case(
        "an unlearner without a name",
        lambda: unlearner_subject(Nameless()),
        "state it as the class attribute name",
        (lambda: passes(unlearner_subject(Named())),),
    ),
    Case(
        "one that cannot be made",
        lambda: subject_named("own_unlearners:Tuned"),
        "name an instance instead",
        (lambda: passes(subject_named("own_unlearners:tuned")),),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_an_error_advises_helps(case):
    check(case)


def test_all_that_is_advised_is_followed():
    assert without_a_case(FOLDERS, CASES, NO_ADVICE) == []
