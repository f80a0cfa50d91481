"""What ``auto`` takes is what the stored table says, and the table says what was measured."""

from __future__ import annotations

import numpy as np
import pytest
from readme import ROOT

from unshap_plugin import UnlearningGame
from unshap_plugin.errors import DivergenceError

pytest.importorskip("opendataval", reason="OpenDataVal is not installed")

from harness import choice
from harness.choice import CHOICE, better, cases, enough, share
from harness.classes import CLASSES, Class, fitted, network, trained
from harness.question import Question
from harness.report import Report

STORED = Report.load(ROOT / "benchmarks" / "results" / "auto.json")


def row(method, cost, rows=1.0, values=1.0):
    return {"method": method, "cost": cost, "rows": rows, "values": values}


def test_what_is_better_costs_no_more_and_agrees_better():
    retrain = row("retrain", 1.0, rows=0.8)
    good, rough, poor = row("good", 0.5, rows=0.73), row("rough", 0.1, rows=0.6), row("poor", 0.2, values=0.5)
    failed = {"method": "failed", "failure": "dearer than retraining"}
    rows = [retrain, good, rough, poor, failed]
    assert better(rows, poor, retrain) is rough
    assert better(rows, rough, retrain) is better(rows, good, retrain) is better(rows, retrain, retrain) is None
    assert share(rough, retrain) == pytest.approx(0.75)


def test_the_cheapest_with_nine_tenths_of_the_agreement():
    retrain = row("retrain", 1.0, rows=0.8)
    good, rough, dear = row("good", 0.5, rows=0.73), row("rough", 0.1, values=0.89), row("dear", 1.1)
    assert enough([retrain, good, rough, dear], retrain) is good
    assert enough([retrain, rough, dear], retrain) is retrain
    assert enough([rough, {"method": "failed", "failure": "dearer than retraining"}], retrain) is None


@pytest.mark.parametrize("name", CLASSES)
def test_auto_takes_what_the_stored_table_says_and_nothing_dearer_than_retraining(name):
    given = CLASSES[name].given(STORED.settings["first seed"] + STORED.seeds[0])
    found = {at_hand: rows for (one, at_hand), rows in cases(STORED).items() if one == name}
    assert set(found) == set(CLASSES[name].at_hand)
    [retrain] = [row for row in found["all"] if row["method"] == "retrain"]
    assert retrain["cost"] == pytest.approx(1.0)
    for at_hand, rows in found.items():
        [taken] = [row for row in rows if row["auto"]]
        assert taken["cost"] <= retrain["cost"]
        assert UnlearningGame(given.problem(at_hand)).unlearner.name == taken["method"]
        alone = UnlearningGame(given.problem(at_hand, rows=True)).unlearner.name
        [of_rows] = [row for row in rows if row["method"] == alone]
        assert of_rows["cost"] <= retrain["cost"]
        assert of_rows is taken or of_rows["rows"] > taken["rows"], "another for single rows, since it is better there"


def asked(classes, tmp_path, monkeypatch, seeds=2):
    monkeypatch.setattr(choice, "CLASSES", classes)
    question = Question(**{**vars(CHOICE), "quick": {"classes": list(classes), "first seed": 5}})
    report = question.run(tmp_path / "report.json", quick=True, seeds=seeds)
    assert Report.load(tmp_path / "report.json") == report
    for table in question.tables(report):
        assert all(len(line) == len(table.header) for line in table.rows)
    return report, question.tables(report)


@pytest.mark.slow
def test_every_method_is_measured(tmp_path, monkeypatch):
    from sklearn.linear_model import Ridge

    small = Class("small", fitted(Ridge, "diabetes", 40), ("all", "reference"), coalitions=20)
    report, [chosen, table] = asked({"ridge": small}, tmp_path, monkeypatch)
    found = {(row["at hand"], row["method"]): row for row in report.rows}
    exact = found["all", "linear_exact"]
    assert exact["auto"]
    for figure in choice.FIGURES:
        assert exact[figure] == pytest.approx(1, abs=1e-6)
    assert exact["cost"] == pytest.approx(exact["each"] + exact["once"] / choice.SPREAD)
    assert ("reference", "linear_exact") not in found
    assert ("reference", "retrain") not in found
    assert {"all", "reference"} == {at_hand for at_hand, _ in found}
    assert chosen.rows[0][:3] == ["ridge", "`linear_exact`", "1.00"]
    assert chosen.rows[0][4:8] == ["", "", "", "`linear_exact`"]
    assert chosen.rows[1][0] == "ridge, partial access"
    assert sum("(auto)" in line[1] for line in table.rows) == 2


@pytest.mark.slow
def test_what_is_dearer_than_retraining_or_fails_is_said_and_not_run_again(tmp_path, monkeypatch):
    runs = []
    plain = choice.utilities

    def utilities(given, at_hand, method, keep, seed, limit=np.inf):
        runs.append(method)
        if method == "replay":
            raise DivergenceError("replay diverged", (True,), ())
        return plain(given, at_hand, method, keep, seed, 0.0 if method == "newton" else limit)

    monkeypatch.setattr(choice, "utilities", utilities)
    make = trained(network(30, 3, 2), "breast_cancer", 40, "adam", 1, 8, 0.01)
    report, _ = asked({"network": Class("small", make, coalitions=20)}, tmp_path, monkeypatch)
    failed = {row["method"]: row["failure"] for row in report.rows if "failure" in row}
    assert failed["newton"] == "dearer than retraining"
    assert failed["replay"].startswith("DivergenceError: replay diverged")
    assert runs.count("newton") == runs.count("replay") == 1
    assert runs.count("finetune") == 2
