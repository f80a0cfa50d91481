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
    assert header[3].strip() == "`replay`"
    for row in rows:
        assert len(row) == len(header)
        assert row[3].strip().endswith("*"), "auto follows Adam"
        ceiling, *methods = (float(one.strip(" *")) for one in row[2:9])
        chosen = [float(one) for one in row[9:]]
        assert 0.5 < methods[0] <= ceiling
        assert all(min(methods) <= one <= max(methods) for one in chosen)


def test_examples():
    failed, attempted = doctest.testmod(measured_choice)
    assert failed == 0 < attempted
