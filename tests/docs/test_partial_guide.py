"""The snippets of the guide to partial valuation run, and its table of who can do what is true."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
from safetensors import safe_open

from unshap_plugin import UnlearningGame, ValuationProblem
from unshap_plugin.plugins.registry import registered_unlearners
from unshap_plugin.problem.access import Access

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "partial.md").read_text(encoding="utf-8")
SNIPPETS = dict(re.findall(r"<!-- run: (\w+) -->\n```python\n(.*?)```", GUIDE, re.DOTALL))


def test_every_snippet_is_run():
    assert len(re.findall(r"^```\w+", GUIDE, re.MULTILINE)) == len(SNIPPETS) == 2


def test_the_snippets_run_one_after_the_other(tmp_path, monkeypatch, capsys):
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("plugin-template"))
    monkeypatch.chdir(tmp_path)
    stored, valued = {}, {}
    exec(compile(SNIPPETS["store"], "store", "exec"), stored)
    shutil.rmtree(tmp_path / "examples")
    exec(compile(SNIPPETS["value"], "value", "exec"), valued)
    assert "bolt" in capsys.readouterr().out
    full = ValuationProblem(
        stored["model"],
        (stored["x"], stored["y"]),
        (stored["x_test"], stored["y_test"]),
        metric="log_likelihood",
        groups=stored["train"]["provider"],
        valued=["bolt", "fjord"],
        fit=stored["recipe"],
    )
    every = np.array([[False, False], [True, False], [False, True], [True, True]])
    with_all = UnlearningGame(full, "newton", steps=1)(every)
    np.testing.assert_allclose(UnlearningGame(valued["problem"], "newton")(every), with_all, atol=1e-9)
    with safe_open(tmp_path / "artifacts.safetensors", framework="np") as file:
        names = set(file.keys())
    assert all(f"`{name}`" in GUIDE for name in names)


def test_the_table_names_who_uses_artefacts():
    [row] = [line for line in GUIDE.splitlines() if line.startswith("| these, with artefacts of the full data")]
    named = set(re.findall(r"`(\w+)`", row))
    specs = {name: one.offer for name, one in registered_unlearners().items()}
    assert named == {name for name, spec in specs.items() if spec.stored is not None}
    assert all(Access.RETAIN in specs[name].access for name in named)
