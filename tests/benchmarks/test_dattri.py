"""The command that holds dattri's own attributors beside ours."""

from __future__ import annotations

import sys

import dattri_tasks
import pytest

#: A choice that is quick: the others take settings only.
SOME = ("dattri: TracIn", "dattri: TRAK", "dattri: influence, EK-FAC", "ours: leave-one-out")


@pytest.mark.slow  # retraining of subsets
def test_methods_have_a_row_and_agree_with_exact_values(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["dattri_tasks", "--runs", "1"])
    monkeypatch.setattr(dattri_tasks, "PROVIDERS", 4)
    monkeypatch.setattr(dattri_tasks, "SUBSETS", 10)
    monkeypatch.setattr(dattri_tasks, "WAYS", {name: dattri_tasks.WAYS[name] for name in SOME})
    dattri_tasks.main()
    _, _, *rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert tuple(row[0] for row in rows) == SOME
    correlations = {row[0]: float(row[1]) for row in rows}
    assert all(-1 <= one <= 1 for one in correlations.values())
    assert correlations["ours: leave-one-out"] > 0.8
