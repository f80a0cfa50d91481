"""The checks of estimators: what is right passes all of them, and each of them sees what is wrong."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from mutants import MUTANTS, SAMPLER, Sampler, banzhaf, beta_4_1, exact, leave_one_out
from unshap_conformance import ConformanceError
from unshap_conformance.estimators import ESTIMATOR_CHECKS, check_estimator, estimator_subject

from unshap_plugin.errors import InvalidTypeError, InvalidValueError, UnknownNameError
from unshap_plugin.estimators import METHODS, Permutation, Stratified
from unshap_plugin.estimators.base import Estimate
from unshap_plugin.estimators.semivalue import semivalue_of

#: Checks that compare values player by player; the others are about calls.
AXIOMS = {
    "efficiency",
    "symmetry",
    "null_player",
    "linearity",
    "scaling",
    "shift",
    "duality",
    "renaming",
    "agreement",
    "bias",
    "std_errors",
}
NO_SEED, NO_STD_ERRORS, NO_BUDGET = "it takes no seed", "it returns no standard errors", "it takes no budget"
NO_SUM, NO_DUAL = "it does not promise that its values sum", "values are not those of the dual game"
NO_BIAS, EXACT = "its values are exact, so that", "its values are exact, which no seed changes"


def without_errors(game):
    """Returns NaN where there is no standard error."""
    values = np.asarray(exact(game), dtype=float)
    return Estimate(values, np.full(values.shape, np.nan), np.full(values.shape, np.nan))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator", "traits", "skips"),
    [
        ("exact", {}, {NO_BIAS: 1, EXACT: 1}),
        ("permutation", {}, {}),
        ("stratified", {}, {}),
        (Permutation, {"name": "by its class"}, {}),
        (exact, {}, {NO_BIAS: 1, NO_SEED: 1, NO_STD_ERRORS: 5, NO_BUDGET: 1}),
        (without_errors, {}, {NO_BIAS: 1, NO_SEED: 1, NO_STD_ERRORS: 5, NO_BUDGET: 1}),
        (banzhaf, {"semivalue": "banzhaf"}, {NO_SUM: 1, NO_BIAS: 1, NO_SEED: 1, NO_STD_ERRORS: 5, NO_BUDGET: 1}),
        (
            leave_one_out,
            {"semivalue": "leave_one_out", "budget": 7},
            {NO_SUM: 1, NO_DUAL: 1, NO_BIAS: 1, NO_SEED: 1, NO_STD_ERRORS: 5},
        ),
        (
            beta_4_1,
            {"semivalue": ("beta", 4, 1)},
            {NO_SUM: 1, NO_DUAL: 1, NO_BIAS: 1, NO_SEED: 1, NO_STD_ERRORS: 5, NO_BUDGET: 1},
        ),
        (Sampler(), SAMPLER, {}),
    ],
    ids=["exact", "permutation", "stratified", "class", "plain", "nan", "banzhaf", "leave_one_out", "beta", "sampler"],
)
def test_what_is_right_passes(estimator, traits, skips):
    results = check_estimator(estimator, **traits)
    assert {result.check for result in results} == {check.name for check in ESTIMATOR_CHECKS}
    assert {result.status for result in results} <= {"passed", "skipped"}
    reasons = [result.reason for result in results if result.status == "skipped"]
    found = Counter(next((known for known in skips if known in reason), reason) for reason in reasons)
    assert dict(found) == skips


@pytest.mark.slow
@pytest.mark.parametrize("name", [method.name for method in METHODS])
def test_every_estimator_of_the_project_passes(name):
    assert {result.status for result in check_estimator(name)} <= {"passed", "skipped"}


@pytest.mark.slow
def test_the_stratified_estimator_of_another_semivalue_passes():
    weights = {n: semivalue_of(("beta", 4, 1), n).weights for n in range(1, 13)}

    def of_beta(game, budget, seed):
        return Stratified(game.n_players, budget, seed, "linear", weights[game.n_players]).run(game)

    checks = ["bias", "budget"]
    results = check_estimator(of_beta, semivalue=("beta", 4, 1), std_errors=True, checks=checks)
    assert {result.status for result in results} == {"passed"}


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.check}-{mutant.name}")
def test_a_mutant_is_caught_by_the_check_that_is_named_for_it(mutant):
    results = check_estimator(
        mutant.make(), name=mutant.name, checks=[mutant.check], on_fail="collect", **mutant.traits
    )
    failed = [result for result in results if result.status == "failed"]
    assert failed, f"{mutant.check} does not see it"
    result = failed[0]
    message = str(result)
    statement = next(check.statement for check in ESTIMATOR_CHECKS if check.name == mutant.check)
    for part in (mutant.name, f"{mutant.check}[{result.game}] failed", statement, mutant.says):
        assert part in message, message
    assert "Traceback" not in message
    if mutant.check in AXIOMS:
        assert result.players
        assert len(result.players) == len(result.expected) == len(result.got)
        assert result.residual > result.tolerance
        for part in ("players", "expected", "got", "residual", "tolerance"):
            assert f"\n  {part} " in message, message


def test_every_check_has_a_mutant():
    assert {mutant.check for mutant in MUTANTS} == {check.name for check in ESTIMATOR_CHECKS}
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_the_wrong_player_is_named():
    results = check_estimator(
        next(mutant for mutant in MUTANTS if mutant.name == "one_player_off").make(),
        checks=["agreement"],
        on_fail="collect",
    )
    (glove,) = [result for result in results if result.game == "glove"]
    assert glove.players == (2,)
    assert glove.expected == [pytest.approx(2 / 3)]
    assert glove.got == [pytest.approx(2 / 3 + 1e-3)]
    assert glove.residual == pytest.approx(1e-3)
    assert glove.tolerance == 1e-9


def test_an_estimator_that_raises_fails_everything_with_its_traceback():
    def broken(game):
        raise FloatingPointError("no values today")

    results = check_estimator(broken, on_fail="collect")
    assert {result.status for result in results} == {"failed", "skipped"}
    for result in results:
        if result.status == "failed":
            assert "FloatingPointError: no values today" in result.reason
            assert "in broken" in result.reason
    with pytest.raises(
        ConformanceError, match=r"(?s)checks failed:.*efficiency\[additive\] failed.*in efficiency.*no values today"
    ):
        check_estimator(broken)


def test_a_failing_check_leaves_the_global_states_alone():
    before = np.random.get_state()[1].copy()
    (result,) = check_estimator(
        lambda game: [np.random.random(), *exact(game)][1:], checks=["global_rng"], on_fail="collect"
    )
    assert result.status == "failed"
    assert np.array_equal(np.random.get_state()[1], before)


def test_traits_are_found_or_declared():
    subject = estimator_subject("permutation")
    assert (subject.exact, subject.efficient, subject.std_errors, subject.semivalue) == (False, True, True, "shapley")
    assert estimator_subject("exact").exact
    assert estimator_subject("exact").budget_for(5) == 32
    plain = estimator_subject(exact)
    assert (plain.name, plain.exact, plain.takes) == ("exact", True, frozenset())
    assert estimator_subject(lambda game, **more: None).takes == {"budget", "seed"}
    assert not estimator_subject(banzhaf, semivalue="banzhaf").efficient
    assert estimator_subject(plain) is plain
    assert estimator_subject("mutants:exact").estimator is exact


def test_a_subject_sees_the_players_and_the_game_only():
    seen = []

    def curious(game):
        seen.append([name for name in dir(game) if not name.startswith("_")])
        return exact(game)

    check_estimator(curious, checks=["result"])
    assert seen[0] == ["n_players"]


BAD = [
    (lambda: estimator_subject("permutatoin"), UnknownNameError, r"unknown estimator 'permutatoin' \(did you mean"),
    (lambda: estimator_subject("mutants:exakt"), InvalidValueError, r"'mutants:exakt' cannot be found"),
    (lambda: estimator_subject("no_such_module:f"), InvalidValueError, r"put its folder on the path"),
    (lambda: estimator_subject(":f"), InvalidValueError, r"write it as package.module:name"),
    (lambda: estimator_subject(3), InvalidTypeError, r"estimator is a int, but a callable is needed"),
    (lambda: estimator_subject(exact, semivalue="owen"), UnknownNameError, r"unknown semivalue 'owen'"),
    (lambda: estimator_subject(exact, exact=False), InvalidValueError, r"a sampler takes a seed, or declares determ"),
    (lambda: estimator_subject(exact, budget=0), InvalidValueError, r"budget is 0"),
    (
        lambda: estimator_subject(estimator_subject(exact), budget=9),
        InvalidValueError,
        r"the traits of 'exact' are declared where that subject is made",
    ),
    (lambda: check_estimator(exact, budjet=9), TypeError, r"budjet"),
    (lambda: check_estimator(exact, checks=["eficiency"]), UnknownNameError, r"did you mean 'efficiency'"),
]


@pytest.mark.parametrize(("make", "error", "message"), BAD)
def test_bad_input(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("form", [list, tuple, torch.tensor, pd.Series], ids=lambda form: form.__name__)
def test_values_may_come_in_any_form(form):
    results = check_estimator(lambda game: form(exact(game)), name="formed", exact=True)
    assert {result.status for result in results} == {"passed", "skipped"}
