"""Running checks: what comes out of them, in a call, in a table, and in pytest."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest
import unshap_conformance
from unshap_conformance import (
    CheckResult,
    ConformanceError,
    check,
    check_estimator,
    estimator_subject,
    parametrize_with_checks,
    table,
    tasks_of,
)
from unshap_conformance.checks import Check, Skipped, Subject, Violation, compare
from unshap_conformance.estimators import ESTIMATOR_CHECKS
from unshap_conformance.runner import run as run_tasks
from unshap_conformance.subjects import subject_named
from unshap_conformance.unlearners import UNLEARNER_CHECKS

from unshap_plugin.cli.main import main
from unshap_plugin.errors import InvalidTypeError, InvalidValueError, UnknownNameError

pytest_plugins = ["pytester"]

# Where the package is installed, pytest has the plugin already.
PLUGIN = [] if entry_points(group="pytest11", name="unshap_conformance") else ["-p", "unshap_conformance.pytest_plugin"]


@dataclass(frozen=True)
class Thing(Subject):
    checks: tuple = ()


def fail(subject, case):
    raise Violation("it is off", players=(1,), expected=[1.0], got=[2.0], residual=1.0, tolerance=0.5)


def fail_on_b(subject, case):
    if case.name == "b":
        fail(subject, case)


def skip(subject, case):
    raise Skipped("there is nothing to see")


def crash(subject, case):
    return 1 / 0


def fine(subject, case):
    pass


CASES = [Thing("a"), Thing("b")]


def checks_of(**functions):
    return [Check(name, f"{name} holds", run, lambda _: CASES) for name, run in functions.items()]


def run(all_checks, on_fail="collect", **kwargs):
    return check(Thing("thing", all_checks), on_fail=on_fail, **kwargs)


def test_statuses():
    results = run(checks_of(fine=fine, fail=fail_on_b, skip=skip, crash=crash))
    assert [(result.label, result.status) for result in results] == [
        ("fine[a]", "passed"),
        ("fine[b]", "passed"),
        ("fail[a]", "passed"),
        ("fail[b]", "failed"),
        ("skip[a]", "skipped"),
        ("skip[b]", "skipped"),
        ("crash[a]", "failed"),
        ("crash[b]", "failed"),
    ]
    failed, skipped, crashed = results[3], results[4], results[6]
    assert (failed.players, failed.expected, failed.got) == ((1,), [1.0], [2.0])
    assert (failed.residual, failed.tolerance, failed.reason) == (1.0, 0.5, "it is off")
    assert failed.statement == "fail holds"
    assert failed.duration > 0
    assert skipped.reason == "there is nothing to see"
    assert "Traceback" in crashed.reason
    assert "ZeroDivisionError" in crashed.reason
    assert crashed.got is None, "an exception is not a number"


def test_a_message_says_everything():
    with pytest.raises(ConformanceError) as caught:
        run(checks_of(fine=fine, fail=fail_on_b), on_fail="raise")
    assert len(caught.value.results) == 4
    assert str(caught.value) == (
        "1 of 4 checks failed:\n"
        "thing: fail[b] failed: fail holds\n"
        "  it is off\n"
        "  players   [1]\n"
        "  expected  [1]\n"
        "  got       [2]\n"
        "  residual  1\n"
        "  tolerance 0.5"
    )


def test_a_check_that_does_not_apply_is_skipped_once():
    (failing,) = checks_of(fail=fail)
    (result,) = run([replace(failing, unless=lambda subject: f"{subject.name} never promised that")])
    assert (result.label, result.status, result.reason) == ("fail", "skipped", "thing never promised that")


@pytest.mark.parametrize("key", ["fail", "fail[b]"])
def test_an_expected_failure(key):
    results = run(checks_of(fail=fail_on_b), on_fail="raise", expected_failures={key: "known since May"})
    assert [result.status for result in results] == ["passed", "expected_failure"]
    assert results[1].reason == "known since May (it is off)"
    assert results[1].residual == 1.0


def test_expected_failures_are_strict():
    one = run(checks_of(fine=fine), expected_failures={"fine[b]": "known"})
    assert [(result.label, result.status) for result in one[2:]] == [("fine[b]", "failed")]
    assert one[2].reason == "was expected to fail (known), but did not: remove it from the expected failures."
    every = run(checks_of(fine=fine), expected_failures={"fine": "known"})
    assert [(result.label, result.status) for result in every[2:]] == [("fine", "failed")]
    # Each one of several is strict, even if they share a reason.
    both = run(checks_of(fail=fail_on_b), expected_failures={"fail[a]": "known", "fail[b]": "known"})
    assert [(result.label, result.status) for result in both[1:]] == [
        ("fail[b]", "expected_failure"),
        ("fail[a]", "failed"),
    ]
    with pytest.raises(ConformanceError, match="was expected to fail"):
        run(checks_of(skip=skip), on_fail="raise", expected_failures={"skip": "known"})


BAD = [
    (dict(checks=["fin"]), UnknownNameError, r"unknown check 'fin' \(did you mean 'fine'\?\)"),
    (dict(expected_failures={"fin": "known"}), UnknownNameError, r"unknown check 'fin' \(did you mean 'fine'\?\)"),
    (dict(expected_failures={"fine[c]": "known"}), InvalidValueError, r"'fine\[c\]' is of a check or a game that is n"),
    (
        dict(checks=["other"], expected_failures={"fine": "known"}),
        InvalidValueError,
        r"'fine' is of a check or a game th",
    ),
    (dict(expected_failures={"never": "known"}), InvalidValueError, r"'never' is of a check or a game that is not run"),
    (dict(expected_failures={"fine": " "}), InvalidValueError, r"'fine' has no reason: say why it fails"),
    (dict(on_fail="ignore"), UnknownNameError, r"unknown on_fail 'ignore'"),
]


@pytest.mark.parametrize(("kwargs", "error", "message"), BAD)
def test_bad_input(kwargs, error, message):
    (never,) = checks_of(never=fail)
    with pytest.raises(error, match=message):
        run([*checks_of(fine=fine, other=fine), replace(never, unless=lambda _: "never")], **kwargs)


def test_comparisons_are_two_sided_and_entry_by_entry():
    compare("off", [1.0, 2.0], [1.1, 1.9], 0.11)
    compare("off", 1.0, 1.0, 0.0)
    for got in ([1.0, 2.2], [1.0, 1.8], [1.0, np.nan], [1.0, np.inf]):
        with pytest.raises(Violation) as caught:
            compare("off", [1.0, 2.0], got, 0.1)
        assert caught.value.players == (1,)
        assert caught.value.expected == [2.0]
    with pytest.raises(Violation) as caught:
        compare("off", [2.0, 1.0], [1.0, 2.0], 0.1)
    assert caught.value.players == (0, 1)
    with pytest.raises(Violation, match="the shapes differ"):
        compare("off", [1.0], [[1.0]], 0.1)
    # The worst is the one that is furthest beyond what it may be off, and is called as it is said to be.
    with pytest.raises(Violation) as caught:
        compare("off", [0.0, 0.0, 0.0], [1.0, 0.6, 0.0], [0.9, 0.1, 0.0], players="xyz")
    assert (caught.value.players, caught.value.residual, caught.value.tolerance) == (("x", "y"), 0.6, 0.1)


def test_the_table():
    results = run(checks_of(fine=fine, fail=fail_on_b, skip=skip, crash=crash), expected_failures={"crash[a]": "known"})
    first, *rest = table(results).splitlines()
    assert first.startswith("thing: 1 passed, 2 failed, 1 skipped (")
    lines = ["", *(line.split() for line in rest)]
    assert lines[1] == ["check", "status", "cases", "residual", "tolerance", "why"]
    assert lines[2] == ["fine", "passed", "2/2"]
    assert lines[3] == ["fail", "failed", "1/2", "1", "0.5", "b:", "it", "is", "off"]
    assert lines[4] == ["skip", "skipped", "2/2", "a:", "there", "is", "nothing", "to", "see"]
    assert lines[5] == ["crash", "failed", "1/2", "b:", "ZeroDivisionError:", "division", "by", "zero"]
    assert table([]) == ""
    two = table([replace(results[0], subject=name) for name in ("one", "two")])
    assert two.count("check ") == 2


LONG = "the method is off by more than the sum of all the things that it may be off by, " * 5 + "and that is the end"


def fail_at_length(subject, case):
    raise Violation(LONG)


def skip_at_length(subject, case):
    raise Skipped(LONG)


def crash_at_length(subject, case):
    raise ValueError(LONG)


def crash_in_lines(subject, case):
    try:
        raise KeyError("first")
    except KeyError:
        raise ValueError(LONG.replace("than", "\n    than") + "\nTraceback of theirs\n  and more") from None


@pytest.mark.parametrize("function", [fail_at_length, skip_at_length, crash_at_length])
def test_sentences_in_the_table_are_whole(function):
    [line] = table(run(checks_of(it=function))).splitlines()[2:]
    assert line.endswith(f"a: {'ValueError: ' * (function is crash_at_length)}{LONG}")


def test_an_exception_of_several_lines_is_whole_and_in_one():
    [line] = table(run(checks_of(it=crash_in_lines))).splitlines()[2:]
    assert line.endswith(f"a: ValueError: {LONG} Traceback of theirs and more")


def test_names_with_line_breaks_stay_in_their_row():
    [line] = table(run([Check("two\nlines", "it holds", fine, lambda _: CASES)])).splitlines()[2:]
    assert line.split() == ["two\\nlines", "passed", "2/2"]


def test_the_table_of_the_front_end():
    text = table(check_estimator("exact"))
    assert text.startswith("exact: 17 passed, 2 skipped (")
    assert "its values are exact, which no seed changes." in text


def test_a_task_says_how_it_is_called():
    (first, second) = tasks_of(Thing("thing", checks_of(fine=fine)))
    assert [first.label, second.label] == ["fine[a]", "fine[b]"]
    assert isinstance(run_tasks([first])[0], CheckResult)


def test_public_names():
    assert sorted(unshap_conformance.__all__) == sorted(unshap_conformance._MODULES)
    assert set(unshap_conformance.__all__) <= set(dir(unshap_conformance))
    for name, module in unshap_conformance._MODULES.items():
        if module == "evaluators" and importlib.util.find_spec("opendataval") is None:
            continue
        found = getattr(unshap_conformance, name)
        assert getattr(found, "__module__", "unshap_conformance.games").startswith(f"unshap_conformance.{module}")
    with pytest.raises(AttributeError, match="has no attribute 'check_estimater'"):
        _ = unshap_conformance.check_estimater


# In pytest

TESTS = """
from mutants import MUTANTS, exact
from unshap_conformance import estimator_subject, parametrize_with_checks, tasks_of

def mine(game):
    return exact(game)

swapped = next(mutant for mutant in MUTANTS if mutant.name == "players_swapped")
subject = estimator_subject(swapped.make(), name="swapped")

@parametrize_with_checks([
    estimator_subject(mine),
    *tasks_of(subject, checks=["efficiency", "renaming", "agreement", "scaling"], expected_failures={
        "renaming": "the first two are swapped",
        "agreement[glove]": "never wrong",
        "agreement[airport]": "the first two are swapped",
    }),
])
def test_conformance(check):
    check()
"""


def test_what_is_no_subject_is_refused():
    for run in (check, tasks_of, lambda one: parametrize_with_checks([one])):
        with pytest.raises(InvalidTypeError, match="subject is a str, but what estimator_subject, "):
            run("exact")
    with pytest.raises(InvalidTypeError, match="subjects is a EstimatorSubject, but a list of subjects is needed"):
        parametrize_with_checks(estimator_subject("exact"))


def test_parametrize_with_checks(pytester):
    pytester.makepyfile(TESTS)
    outcome = pytester.runpytest_inprocess("-rA", "-p", "no:randomly")
    lines = "\n".join(outcome.outlines)
    for id_, status in {
        "mine-efficiency[glove]": "PASSED",
        "mine-agreement[random_6_3]": "PASSED",
        "swapped-efficiency[glove]": "PASSED",
        "swapped-renaming": "XFAIL",  # given for the check, so its games are one test
        "swapped-agreement[airport]": "XFAIL",
        "swapped-agreement[glove]": "FAILED",  # it was expected to fail, and did not: glove players 0 and 1 are equal
        "swapped-agreement[additive]": "FAILED",
    }.items():
        assert f"{status} test_parametrize_with_checks.py::test_conformance[{id_}]" in lines, (id_, lines)
    assert "it takes no seed." in lines
    assert "was expected to fail (never wrong), but did not" in lines
    assert "agreement[additive] failed: phi = the values of the definition" in lines
    assert "renaming" not in [line for line in outcome.outlines if line.startswith("FAILED")]


def run_plugin(pytester, *args):
    return pytester.runpytest_inprocess(*PLUGIN, "--pyargs", "unshap_conformance", "-rA", *args)


def test_the_plugin_checks_what_it_is_given(pytester):
    outcome = run_plugin(pytester, "--unshap-estimator", "exact", "--unshap-estimator", "mutants:banzhaf")
    lines = "\n".join(outcome.outlines)
    assert "test_conformance[exact-efficiency[glove]]" in lines
    assert "test_conformance[banzhaf-efficiency[airport]]" in lines
    assert "FAILED" in lines
    assert "the sum of phi_i over all players = v(N) - v(none)" in lines
    outcomes = outcome.parseoutcomes()
    assert outcomes["failed"] > 5
    assert outcome.ret == pytest.ExitCode.TESTS_FAILED
    assert run_plugin(pytester, "--unshap-estimator", "exact").ret == pytest.ExitCode.OK


def test_the_plugin_with_nothing_given_says_what_to_give(pytester):
    outcome = run_plugin(pytester)
    outcome.assert_outcomes(skipped=1)
    assert "nothing to check: give --unshap-estimator, --unshap-evaluator, --unshap-unlearner" in "\n".join(
        outcome.outlines
    )


def test_the_plugin_with_an_unknown_name_says_so_in_one_sentence(pytester):
    outcome = run_plugin(pytester, "--unshap-estimator", "permutatoin")
    assert outcome.ret != pytest.ExitCode.OK
    text = "\n".join([*outcome.outlines, *outcome.errlines])
    assert "Traceback" not in text
    assert "test_conformance.py:" not in text
    assert "unknown estimator 'permutatoin' (did you mean 'permutation'?)" in text


def test_the_plugin_is_registered():
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert '[project.entry-points.pytest11]\nunshap_conformance = "unshap_conformance.pytest_plugin"\n' in project


def test_pytest_does_not_load_torch_for_the_plugin(pytester):
    pytester.makepyfile(
        """
        import sys

        def test_nothing(pytestconfig):
            assert pytestconfig.getoption("--unshap-unlearner") == ["newton"]
            assert "unshap_conformance.pytest_plugin" in sys.modules
            assert not {"torch", "numpy", "unshap_plugin", "opendataval"} & set(sys.modules)
        """
    )
    command = [sys.executable, "-m", "pytest", "-q", *PLUGIN, "--unshap-unlearner", "newton"]
    # Other plugins that are installed may load what they like.
    environment = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": ":".join(sys.path)}
    if not PLUGIN:
        command += ["-p", "unshap_conformance.pytest_plugin"]
    done = subprocess.run(command, cwd=pytester.path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_the_package_loads_nothing():
    code = "import sys, unshap_conformance; print({'torch', 'numpy', 'unshap_plugin', 'pytest'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


# Names, on the command line and in the options of pytest.

MINE = """
from unshap_conformance import estimator_subject, unlearner_subject
from unshap_plugin.unlearners import FineTune
from mutants import exact

subject = estimator_subject(exact, name="declared", budget=7)
short = FineTune(steps=2)
"""


@pytest.mark.parametrize(
    ("name", "kind", "called", "checks"),
    [
        ("exact", None, "exact", ESTIMATOR_CHECKS),
        ("exact", "estimator", "exact", ESTIMATOR_CHECKS),
        ("mutants:banzhaf", None, "banzhaf", ESTIMATOR_CHECKS),
        ("mine:subject", None, "declared", ESTIMATOR_CHECKS),
        ("mine:subject", "estimator", "declared", ESTIMATOR_CHECKS),
        ("finetune", None, "finetune", UNLEARNER_CHECKS),
        ("unshap-plugin:finetune", None, "unshap-plugin:finetune", UNLEARNER_CHECKS),
        ("mine:FineTune", None, "finetune", UNLEARNER_CHECKS),
        ("mine:short", "unlearner", "finetune", UNLEARNER_CHECKS),
    ],
)
def test_a_name_is_a_subject(tmp_path, monkeypatch, name, kind, called, checks):
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    subject = subject_named(name, kind)
    assert (subject.name, subject.checks) == (called, checks)


# The command.


def test_the_command_prints_a_table(capsys):
    assert main(["conformance", "exact"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("exact: ")
    assert lines[1].split() == ["check", "status", "cases", "residual", "tolerance", "why"]
    assert {line.split()[0] for line in lines[2:]} == {check.name for check in ESTIMATOR_CHECKS}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("permutatoin", "unknown unlearner or estimator 'permutatoin' (did you mean 'permutation'?)"),
        ("nowhere:thing", "'nowhere:thing' cannot be found (No module named 'nowhere')"),
        ("unshap_plugin:nothing", "'unshap_plugin:nothing' cannot be found"),
        ("math:pi", "'math:pi' is neither an unlearner, an evaluator class nor a callable: it is 3.14"),
        (
            "unshap_plugin.plugin:Unlearner",
            "'unshap_plugin.plugin:Unlearner' cannot be made without arguments (TypeError: ",
        ),
        ("auto", "unknown unlearner or estimator 'auto'"),
    ],
)
def test_errors_of_the_command_are_one_sentence(capsys, name, message):
    path = list(sys.path)
    assert main(["conformance", name]) == 2
    err = capsys.readouterr().err
    assert err.startswith("unshap: error: ")
    assert message in err
    assert sys.path == path


@pytest.mark.parametrize("end", [SystemExit(0), GeneratorExit(), pytest.skip.Exception("not today")])
def test_what_would_end_or_skip_the_run_is_a_failure(end):
    def quits(game):
        raise end

    results = check_estimator(quits, checks=["result"], on_fail="collect")
    assert {result.status for result in results} == {"failed"}
    assert all("in quits" in result.reason for result in results)


def test_ctrl_c_ends_the_run():
    def interrupted(game):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_estimator(interrupted, checks=["result"])


# An exception that many checks meet is shown once.


def broken(subject, case):
    raise ValueError("no rows")


def broken_on_a_and_off(subject, case):
    if case.name == "a":
        broken(subject, case)
    fail(subject, case)


def test_the_same_exception_is_named_once_and_hides_no_other():
    every = checks_of(first=broken, second=broken, own=fail_on_b, mixed=broken_on_a_and_off, other=crash)
    with pytest.raises(ConformanceError) as caught:
        run(every, on_fail="raise")
    results, message = caught.value.results, str(caught.value)
    assert message.startswith("9 of 10 checks failed:")
    assert message.count("no rows") == 2, "in the code line of the traceback, and in its last line"
    assert "raised an exception (and 4 times more, in first, second, mixed):" in message
    for one in ("own[b] failed", "mixed[b] failed", "other[a] failed", "ZeroDivisionError"):
        assert one in message
    alike = [result for result in results if result.same_as]
    assert [result.label for result in alike] == ["first[b]", "second[a]", "second[b]", "mixed[a]", "other[b]"]
    assert {result.same_as for result in alike[:4]} == {"first[a]"}
    assert alike[0].exception.startswith("ValueError: no rows, in broken (")
    lines = dict(line.split(maxsplit=1) for line in table(results).splitlines()[2:])
    assert lines["first"].endswith("a: ValueError: no rows")
    assert lines["second"].endswith("the same exception as in first[a]")
    assert lines["mixed"].endswith("b: it is off")


def test_exceptions_of_other_places_or_words_are_others():
    def elsewhere(subject, case):
        raise ValueError("no rows")

    def numbered(subject, case):
        raise ValueError(f"no rows in {case.name}")

    results = run(checks_of(first=broken, second=elsewhere, third=numbered))
    assert [bool(result.same_as) for result in results] == [False, True, False, True, False, False]


def test_it_is_the_first_cause_that_counts():
    def wrapped(subject, case):
        try:
            broken(subject, case)
        except ValueError as error:
            raise RuntimeError(f"coalition {case.name} failed") from error

    results = run(checks_of(first=wrapped))
    assert [result.same_as for result in results] == ["", "first[a]"]


def test_expected_exceptions_keep_their_reasons():
    results = run(checks_of(first=broken, second=broken), expected_failures={"second": "known"})
    assert [result.status for result in results] == ["failed", "failed", "expected_failure", "expected_failure"]
    assert all(result.reason.startswith("known (the subject raised an exception") for result in results[2:])
