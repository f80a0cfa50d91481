"""The command by which it was chosen what networks get whose training is not told."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("opendataval", reason="OpenDataVal is not installed")

import untold


@pytest.mark.slow
def test_both_methods_have_a_row_beside_another_retraining(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["untold", "--networks", "wine, 60 epochs", "--seeds", "20"])
    untold.main()
    _, _, *rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert [row[1] for row in rows] == ["`retrain`", "`finetune`", "`graddiff`"]
    figures = {row[1]: [float(one) for one in row[2:]] for row in rows}
    assert all(-1 <= one <= 1 for row in figures.values() for one in row[:4])
    assert figures["`retrain`"][0] > max(figures["`finetune`"][0], figures["`graddiff`"][0]) > 0.3
