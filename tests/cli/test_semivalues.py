"""``unshap value --semivalue``: other values than Shapley's, by the same command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typed import VALUE, refused

from unshap_plugin import UnlearningGame, ValuationResult, semivalues
from unshap_plugin.cli.main import main
from unshap_plugin.errors import InvalidValueError, UnknownNameError

CALLED = {
    "banzhaf": ("banzhaf", "Banzhaf value"),
    "loo": ("loo", "leave-one-out value"),
    "beta:4,1": (("beta", 4, 1), "Beta(4, 1) Shapley value"),
}


@pytest.mark.parametrize("typed", CALLED)
def test_the_values_are_those_of_python_and_all_files_say_which(typed, providers, problem_of, capsys):
    kind, name = CALLED[typed]
    expected = semivalues(UnlearningGame(problem_of(), "newton"), kind)
    assert main([*providers, "--unlearner", "newton", "--semivalue", typed]) == 0
    out = capsys.readouterr().out
    header = next(line for line in out.splitlines() if line.startswith("player "))
    assert header.split("  ", 1)[1].strip().startswith(f"{name}  std error")
    assert f"values       {name}  (not Shapley's: they do not add up to v(all) - v(none))\n" in out
    assert "\nsum " not in out
    assert ("\nv(none) " in out) == (typed != "loo")
    assert "nan" not in out
    result = ValuationResult.from_json(Path("values/result.json").read_text())
    assert (result.semivalue, result.estimator) == (name, expected.estimator)
    np.testing.assert_allclose(result.values, expected.values, rtol=0, atol=1e-9)
    frame = pd.read_csv("values/values.csv")
    assert list(frame)[:3] == ["player", "semivalue", "value"]
    assert set(frame["semivalue"]) == {name}


def test_shapley_values_are_what_is_written_without(providers, capsys):
    for more in ([], ["--semivalue", "shapley"]):
        assert main([*providers, "--out", f"values{len(more)}", *more]) == 0
    out = capsys.readouterr().out
    assert out.count("\nsum ") == 2
    assert "\nvalues " not in out
    without, with_ = (Path(f"values{count}/values.csv").read_text() for count in (0, 2))
    assert without == with_
    assert without.startswith("player,value,")


def test_a_run_that_nothing_ends_is_ended_by_the_rules_of_shapley_values(providers, capsys, monkeypatch):
    from unshap_plugin.cli import value
    from unshap_plugin.estimators.stopping import Stopping

    monkeypatch.setattr(value, "DEFAULT", Stopping(target_error=10.0, max_time=60))
    assert main([*providers, "--estimator", "stratified", "--semivalue", "banzhaf"]) == 0
    assert "ended by     target error\n" in capsys.readouterr().out
    assert main([*providers, "--semivalue", "loo"]) == 0  # has no use for them
    assert "ended by" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("Banzhaf", "banzhaf"), ("banzaf", "banzhaf"), ("banzhaf:2", "banzhaf"), ("lo", "loo"), ("bta:4,1", "beta:A,B")],
)
def test_what_was_meant_is_said(typed, meant):
    with pytest.raises(UnknownNameError) as caught:
        _refused("--semivalue", typed)
    assert (
        f"unknown --semivalue '{typed}' (did you mean '{meant}'?); expected one of: banzhaf, beta:A,B, loo, shapley."
        in (str(caught.value))
    )


@pytest.mark.parametrize(
    "typed", ["beta", "beta:", "beta:4", "beta:4,1,1", "beta:0,1", "beta:4,-1", "beta:x,1", "beta:inf,1", "beta:nan,1"]
)
def test_parameters_are_two_numbers_above_0(typed):
    with pytest.raises(InvalidValueError) as caught:
        _refused("--semivalue", typed)
    assert f"--semivalue is '{typed}', but two numbers above 0 belong to beta: give them" in str(caught.value)


def _refused(*more):
    """Type a command whose table is not there: that is not even looked for."""
    try:
        refused("value", "missing.csv", *VALUE[2:], *more)
    except Exception as error:
        raise error.__cause__ from None
