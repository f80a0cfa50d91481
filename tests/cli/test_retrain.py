"""``unshap value --retrain``: values of retraining, by the same command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from unshap_plugin import UnlearningGame, ValuationResult, corrected_values
from unshap_plugin.cli.main import main

pytestmark = pytest.mark.filterwarnings("ignore:Linear cannot be retrained for many coalitions at once")
#: Of eight players, whose 256 coalitions are unlearned.
RETRAINED = ["--unlearner", "influence", "--retrain", "20"]


@pytest.mark.parametrize(
    ("typed", "kind"), [([], None), (["--semivalue", "beta:4,1"], ("beta", 4, 1))], ids=["shapley", "beta"]
)
def test_the_values_are_those_of_python_beside_the_unlearned_ones(typed, kind, providers, problem_of, capsys):
    expected = corrected_values(UnlearningGame(problem_of(), "influence"), 20, kind=kind)
    assert main([*providers, *RETRAINED, *typed]) == 0
    out = capsys.readouterr().out
    assert f"note: {expected.notes[0]}\n" in out
    assert "retrainings  20  (what influence alone would give stands beside the values)\n" in out
    assert "unlearner    retrain (no settings)\n" in out
    assert "ended by" not in out
    result = ValuationResult.from_json(Path("values/result.json").read_text())
    assert (result.retrainings, result.estimator, result.semivalue) == (20, "corrected", expected.semivalue)
    np.testing.assert_allclose(result.values, expected.values, rtol=0, atol=1e-9)
    np.testing.assert_allclose(result.std_errors, expected.std_errors, rtol=0, atol=1e-9)
    alone = expected.unlearned["influence"][0]
    np.testing.assert_allclose(pd.read_csv("values/values.csv")["unlearned by influence"], alone, rtol=0, atol=1e-9)
    header, *rows = out.partition("\nplayer ")[2].partition("\n\n")[0].splitlines()
    assert header.endswith("  unlearned by influence")
    shown = {row.split()[0]: float(row.split()[-1]) for row in rows}
    assert shown == pytest.approx(dict(zip(result.players, alone, strict=True)), abs=1e-4)


def test_without_it_nothing_stands_beside_the_values(providers, capsys):
    assert main([*providers, "--unlearner", "influence"]) == 0
    out = capsys.readouterr().out
    assert "unlearned by" not in out
    assert "retrainings" not in out


def test_rules_end_the_retrainings(providers, capsys):
    assert main([*providers, *RETRAINED[:2], "--retrain", "60", "--target-error", "10"]) == 0
    assert "ended by     target error\n" in capsys.readouterr().out
    assert json.loads(Path("values/result.json").read_text())["retrainings"] < 60


def test_a_budget_is_that_of_unlearning(providers, problem_of):
    expected = corrected_values(UnlearningGame(problem_of(), "influence"), 20, budget=40)
    assert main([*providers, *RETRAINED, "--budget", "40"]) == 0
    result = ValuationResult.from_json(Path("values/result.json").read_text())
    np.testing.assert_allclose(result.unlearned["influence"], expected.unlearned["influence"], rtol=0, atol=1e-9)
    assert (result.unlearned["influence"][1] > 0).all()


def test_money_is_divided_and_an_audit_follows(providers, capsys):
    assert main([*providers, *RETRAINED, "--pay", "1000", "--audit", "16"]) == 0
    out = capsys.readouterr().out
    assert "1,000.00 in all" in out
    assert "\naudit        " in out
    assert pd.read_csv("values/payments.csv")["payment"].sum() == pytest.approx(1000)
