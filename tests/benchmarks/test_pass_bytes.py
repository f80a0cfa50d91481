"""The command by which the size of a pass was chosen."""

from __future__ import annotations

import re
import sys

import pytest

pytest.importorskip("opendataval", reason="the benchmarks are OpenDataVal's")

import pass_bytes

from unshap_plugin.evaluation import passes


def test_larger_working_sets_have_more_coalitions(monkeypatch, capsys):
    before = passes.PASS_BYTES
    monkeypatch.setattr(pass_bytes, "ROUNDS", 1)
    monkeypatch.setattr(pass_bytes, "CASES", {"LogisticRegression": ([("digits", 60, 8)], ("newton",))})
    monkeypatch.setattr(sys, "argv", ["pass_bytes"])
    pass_bytes.main()
    [row] = capsys.readouterr().out.splitlines()[2:]
    cells = [re.fullmatch(r"(\d+) \((\d+)\)", cell) for cell in row.strip("| ").split(" | ")[3:]]
    assert all(int(cell[1]) > 0 for cell in cells)
    chunks = [int(cell[2]) for cell in cells]
    assert chunks == sorted(chunks)
    assert chunks[0] < chunks[-1] <= passes.MOST
    assert before == passes.PASS_BYTES, "it is put back"
