"""Errors of the command line that say what was meant, or what is expected: it is right."""

import re
import sys
from pathlib import Path

import pytest
from typed import VALUE, refused, settled, values, write

from unshap_plugin.cli.main import main
from unshap_plugin.errors import UnshapError

TUNE = ("tune", *VALUE[1:], "--unlearner", "newton", "--grid")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["valeu"], "value"),
        ([*VALUE, "--tset", "x"], "--test"),
        ([*VALUE, "--budgets=100"], "--budget"),
        ([*VALUE, "--task", "regresion"], "regression"),
        ([*VALUE, "--access", "Partial"], "partial"),
        ([*VALUE, "--model", "Ridge"], "ridge"),
        ([*VALUE, "--model", "own:Good"], "good"),
        ([*VALUE, "--unlearner", "Newton"], "newton"),
        ([*VALUE, "--estimator", "permutations"], "permutation"),
        ([*VALUE, "--metric", "Accuracy"], "accuracy"),
        ([*VALUE, "--semivalue", "Banzhaf"], "banzhaf"),
        ([*VALUE, "--setting", "step=3"], "steps"),
        ([*VALUE, "--valued", "Acme"], "acme"),
        ([*TUNE, "step=1,2"], "steps"),
        (["value", "--example", "Iris"], "iris"),
        (["unlearners", "newtn"], "newton"),
        (["unlearners", "--jsn"], "--json"),
        (["conformance", "Newton"], "newton"),
        (["conformance", "own:Good"], "good"),
    ],
)
def test_what_was_meant_is_said(typed, meant):
    write()
    Path("own.py").write_text("def good(d, c): return None\n")
    sys.modules.pop("own", None)
    with pytest.raises(UnshapError, match=re.escape(f"(did you mean '{meant}'?)")):
        refused(*typed)


@pytest.mark.parametrize("command", ["value", "audit", "tune", "unlearners", "conformance"])
def test_the_help_that_an_error_names_is_there(command, capsys):
    with pytest.raises(UnshapError) as caught:
        refused(command, "x", "--no-such-option")
    typed = re.search(r"see unshap (.*)\.", str(caught.value))[1].split()
    assert typed == [command, "--help"]
    with pytest.raises(SystemExit) as done:
        main(typed)
    assert done.value.code == 0
    assert f"usage: unshap {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        (["--setting", "steps"], ["--setting", "steps=5"]),
        (["--setting", "=5"], ["--setting", "steps=5"]),
        (["--seed", "-1"], ["--seed", "0"]),
        (["--seed", "4294967296"], ["--seed", "4294967295"]),
        (["--budget", "many"], ["--budget", "10"]),
        (["--budget", "9", "--estimator", "permutation"], ["--budget", "10", "--estimator", "permutation"]),
        (["--setting", "steps=0"], ["--setting", "steps=1"]),
    ],
)
def test_what_is_expected_of_a_value_is_said_and_is_right(wrong, right):
    write()
    with pytest.raises(UnshapError) as caught:
        refused(*VALUE, *wrong)
    assert re.search(
        r"of the form steps=5|from 0 to 2\*\*32 - 1|invalid int|10 evaluations|at least 1", str(caught.value)
    )
    assert len(values(*VALUE, *right)) == 3
    assert settled("unlearner") == "newton"
