"""Every command and snippet of the README runs."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from readme import README, ROOT, blocks

from unshap_plugin.cli.main import main

# The two commands of "Try it" make an environment first: the first is run here without that, the second is what the
# gate runs.
RUN_HERE = {"value", "providers", "python", "opendataval"}


@pytest.fixture
def clone(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def unshap(command):
    program, *arguments = shlex.split(command)
    assert Path(program).name == "unshap"
    return main(arguments)


def test_every_block_is_marked_and_run():
    assert set(blocks()) == {*RUN_HERE, "test"}
    assert len(re.findall(r"^```\w+", README, re.MULTILINE)) == len(blocks())


def test_the_test_command_is_pytest_in_a_new_environment():
    steps = blocks()["test"][1].split(" && ")
    assert steps[0] == "python3.11 -m venv .venv-test"
    assert steps[-1].endswith(".venv-test/bin/python -m pytest")


def test_the_first_command(clone, capsys):
    steps = blocks()["value"][1].split(" && ")
    assert steps[:3] == [
        "python3.11 -m venv .venv",
        ".venv/bin/pip install torch==2.13.0",
        ".venv/bin/pip install .",
    ]
    assert unshap(steps[3]) == 0
    out = capsys.readouterr().out
    auc = float(re.search(r"AUC (\d\.\d+)", out).group(1))
    assert auc > 0.9
    assert {path.name for path in (clone / "values").iterdir()} == {"values.csv", "result.json", "values.png"}


def test_providers(clone, capsys):
    assert unshap(blocks()["providers"][1]) == 0
    values = pd.read_csv(clone / "values" / "values.csv").sort_values("rank")
    assert set(values["player"].tail(2)) == {"cairn", "grove"}
    assert "evaluations  256" in capsys.readouterr().out


def test_python(clone):
    out = subprocess.run([sys.executable, "-c", blocks()["python"][1]], capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stderr
    assert out.stdout.count("cairn") == 2
    assert "accuracy" in out.stdout


def test_opendataval(clone):
    pytest.importorskip("opendataval", reason="OpenDataVal is not installed")
    out = subprocess.run(
        [sys.executable, "-c", blocks()["opendataval"][1]], capture_output=True, text=True, check=False
    )
    assert out.returncode == 0, out.stderr
    assert "UnlearningShapley" in out.stdout
    assert "std_error" in out.stdout
