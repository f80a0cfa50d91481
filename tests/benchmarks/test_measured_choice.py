"""A choice of unlearners by few retrainings, beside what ``auto`` takes."""

from __future__ import annotations

import doctest
import sys

import pytest

pytest.importorskip("opendataval", reason="the benchmarks are OpenDataVal's")

import measured_choice


def test_what_auto_takes_is_held_against_a_choice_by_few_retrainings(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["measured_choice", "--networks", "wine, 60 epochs", "--seeds", "20"])
    measured_choice.main()
    header, _, *rows = (line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines())
    assert [row[1].strip() for row in rows] == ["rows", "providers"]
    for row in rows:
        assert len(row) == len(header)
        ceiling, auto, best, *chosen = (float(one) for one in row[2:])
        assert 0.5 < auto <= best <= ceiling
        assert all(0 < one <= best for one in chosen)
        assert max(chosen) > min(chosen), "more coalitions choose otherwise"


def test_examples():
    failed, attempted = doctest.testmod(measured_choice)
    assert failed == 0 < attempted
