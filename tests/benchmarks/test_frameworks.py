"""The commands that hold other frameworks' methods beside ours."""

from __future__ import annotations

import sys

import axioms_of_attributors
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
    monkeypatch.setattr(axioms_of_peers, "DRAWS", range(2))
    for name in ("pyDVL: Shapley, all subsets", "shapiq: KernelSHAP", "ours: exact", "dattri: KNN Shapley"):
        monkeypatch.setattr(sys, "argv", ["axioms_of_peers", str(tmp_path / "page.md"), "--only", name])
        axioms_of_peers.main()
        (row,) = [line for line in (tmp_path / "page.md").read_text().splitlines() if line.startswith(f"| {name} | ")]
        # KernelSHAP is off by what its weights leave; an attributor has five columns.
        assert row.count("holds") >= {"shapiq: KernelSHAP": 3, "dattri: KNN Shapley": 5}.get(name, 11)


def test_attributors_break_the_axioms_that_their_formulas_break():
    known = axioms_of_attributors.ATTRIBUTORS
    off = {name: dict(zip(axioms_of_attributors.COLUMNS, axioms_of_attributors.broken(known[name], 0), strict=True))
           for name in ("dattri: influence, explicit", "ours: UnlearningAttributor")}  # fmt: skip
    for found in off.values():
        assert max(found["symmetry"], found["renaming"]) < 1e-4
    explicit, ours = off.values()
    assert explicit["null_player"] < 1e-4
    assert 0 < ours["agreement"] < explicit["agreement"]
