"""The command and the snippet of the guide to audits run."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from readme import run

from unshap_plugin import FidelityReport
from unshap_plugin.audit.agreement import Agreement
from unshap_plugin.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"<!-- run: (\w+) -->\n```\w+\n(.*?)```", GUIDE, re.DOTALL))


@pytest.fixture(autouse=True)
def _clone(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)


def test_every_block_is_run():
    assert len(re.findall(r"^```\w+", GUIDE, re.MULTILINE)) == len(BLOCKS) == 2


@pytest.mark.slow
def test_the_command(capsys):
    program, *arguments = shlex.split(BLOCKS["shell"])
    assert program == "unshap"
    assert main(arguments) == 0
    report = FidelityReport.from_json(Path("audit/audit.json").read_text())
    assert report.unlearner == "replay"
    # Advice is in the options of the command.
    assert report.verdict.replace("retrainings='auto'", "--retrain auto") in capsys.readouterr().out
    assert 40 < len(report.coalitions) <= 60
    assert {path.name for path in Path("audit").iterdir()} == {"audit.csv", "audit.json", "audit.png"}


@pytest.mark.slow
def test_the_snippet(capsys):
    run(BLOCKS["python"])
    out = capsys.readouterr().out
    assert "nothing_error" in out
    assert "finetune" in out
    assert "std_error" in out


def test_the_guide_explains_every_figure():
    for name in set(Agreement.__dataclass_fields__) - {"count"}:
        assert f"`{name}`" in GUIDE
