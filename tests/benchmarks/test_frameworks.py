"""The commands that hold other frameworks' methods beside ours."""

from __future__ import annotations

import sys

import axioms_of_peers
import frameworks
import pytest

pytestmark = pytest.mark.slow  # retraining of 1,024 subsets


def test_all_methods_have_a_row_and_ours_agree(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["frameworks", "--runs", "1", "--cases", "breast_cancer", "--budgets", "100"])
    frameworks.main()
    _, _, *rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert [row[2] for row in rows] == ["pyDVL"] * 3 + ["shapiq"] * 2 + ["dattri"] * 3
    correlations = {row[3]: float(row[4]) for row in rows}
    assert min(correlations[ours] for ours in ("UnlearningValuation", "UnlearningAttributor")) > 0.9


def test_a_method_of_each_framework_is_checked(monkeypatch, tmp_path):
    for name in ("pyDVL: Shapley, all subsets", "shapiq: KernelSHAP", "ours: exact"):
        monkeypatch.setattr(sys, "argv", ["axioms_of_peers", str(tmp_path / "page.md"), "--only", name])
        axioms_of_peers.main()
        *_, row = (tmp_path / "page.md").read_text().splitlines()
        assert row.startswith(f"| {name} | ")
        assert row.count("holds") >= (3 if "Kernel" in name else 11)  # KernelSHAP is off by what its weights leave
