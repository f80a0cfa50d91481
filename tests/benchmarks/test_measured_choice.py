"""A choice of unlearners by few retrainings, beside what ``auto`` takes."""

from __future__ import annotations

import doctest
import sys

import numpy as np
import pytest

pytest.importorskip("opendataval", reason="the benchmarks are OpenDataVal's")

import measured_choice


@pytest.mark.slow
def test_what_auto_takes_is_held_against_a_choice_by_few_retrainings(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["measured_choice", "--networks", "wine, 60 epochs", "--seeds", "20"])
    measured_choice.main()
    header, _, *rows = (line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines())
    assert [row[1].strip() for row in rows] == ["rows", "providers"]
    assert header[3].strip() == "`replay`"
    for row in rows:
        assert len(row) == len(header)
        assert row[3].strip().endswith("*"), "auto follows Adam"
        ceiling, replay, *_ = (float(one.strip(" *")) for one in row[2:9])
        assert 0.5 < replay <= ceiling


def test_the_more_are_retrained_the_oftener_what_errs_least_is_chosen():
    rng = np.random.default_rng(0)
    truth = np.arange(96.0)
    better, worse = truth + rng.normal(0, 40, 96), truth + rng.normal(0, 60, 96)
    _, replay, _, _, merge, _, _, *chosen = measured_choice.line([truth, truth], {"replay": better, "merge": worse})
    assert replay > merge
    assert merge < chosen[0] < chosen[1] < chosen[2] <= replay
    shifted = measured_choice.line([truth, truth], {"replay": better + 1e3, "merge": worse})
    assert shifted[7:] == pytest.approx(chosen), "what all utilities are off by changes no value"


def test_examples():
    failed, attempted = doctest.testmod(measured_choice)
    assert failed == 0 < attempted
