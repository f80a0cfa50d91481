"""Every command and snippet of the README runs."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest
from readme import ROOT, blocks, run, text_of

from unshap_plugin.cli.main import main

# The two commands of "Install and run" make an environment first: the first is run here without that, the second is
# what the gate runs, and so is that of the site.
RUN_HERE = {"value", "sklearn", "opendataval", "providers", "audit"}
SECTIONS = [
    "Install and run",
    "From a fitted scikit-learn model to values",
    "In OpenDataVal",
    "Providers",
    "When to trust it",
    "More",
]


@pytest.fixture
def clone(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def unshap(command):
    program, *arguments = shlex.split(command)
    assert Path(program).name == "unshap"
    return main(arguments)


def test_every_block_is_run():
    assert set(blocks()) == {*RUN_HERE, "test", "site"}


def test_the_order_of_the_sections():
    assert re.findall(r"^## (.*)$", text_of("README.md"), re.MULTILINE) == SECTIONS


@pytest.mark.parametrize("name", ["sklearn", "opendataval"])
def test_five_lines_are_five_lines(name):
    _, _, lines = blocks()[name][1].partition("# Five lines:\n")
    assert len([line for line in lines.splitlines() if line.strip()]) == 5


def test_the_test_command_is_pytest_in_a_new_environment():
    steps = blocks()["test"][1].split(" && ")
    assert steps[0] == "python3.11 -m venv .venv-test"
    assert steps[-1].endswith('.venv-test/bin/python -m pytest -n auto --dist worksteal -m "not slow"')


def test_the_gate_builds_the_site_as_it_says():
    command = blocks()["site"][1].split(" && ")[1].removeprefix("python -m ")
    assert command.replace("-b", "-q -b") in text_of(".ci/run")


@pytest.mark.slow
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


@pytest.mark.slow
def test_from_a_fitted_model_to_values(clone, capsys):
    run(blocks()["sklearn"][1])
    out = capsys.readouterr().out
    assert out.startswith("ValuationResult(89 players; ")
    last = [int(line.split()[1]) for line in out.splitlines()[-5:]]
    assert sorted(last) == [2, 5, 8, 11, 14]  # whose labels are wrong


# The recipe of the command's logistic regression is L-BFGS, which retrains one coalition at a time and says so.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Linear cannot be retrained for many coalitions at once")
def test_the_verdict(clone, capsys):
    assert unshap(blocks()["audit"][1]) == 0
    said = "can be trusted like retrained ones"
    assert said in " ".join(text_of("README.md").split())
    assert said in capsys.readouterr().out


@pytest.mark.slow
def test_opendataval(clone, capsys):
    pytest.importorskip("opendataval", reason="OpenDataVal is not installed")
    run(blocks()["opendataval"][1])
    out = capsys.readouterr().out
    assert "UnlearningShapley" in out
    assert "std_error" in out
