"""The suite as a third party uses it: from an empty folder, with nothing but the installed wheel."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from venvs import layered, run, wheel

ROOT = Path(__file__).resolve().parents[2]
MINE = """
import itertools

import numpy as np


def shapley(game):
    orders = list(itertools.permutations(range(game.n_players)))
    values = np.zeros(game.n_players)
    for order in orders:
        kept = np.zeros((game.n_players + 1, game.n_players), dtype=bool)
        for k, player in enumerate(order):
            kept[k + 1 :, player] = True
        values[list(order)] += np.diff(game(kept))
    return values / len(orders)


def generous(game):
    values = shapley(game)
    values[0] += 1e-3
    return values
"""
UNLEARNER = """
from dataclasses import dataclass

from unshap_plugin.plugin import Access, Unlearner
from unshap_plugin.unlearners.models import StackedModels


@dataclass(frozen=True)
class Boastful(Unlearner):
    name = "mine"
    summary = "Does nothing."
    source = "A test"
    needs = Access.RETAIN
    exact = True

    def _unlearn(self, problem, coalitions, seed):
        return StackedModels(problem.engine, problem.engine.stack(len(coalitions)))
"""
pytestmark = pytest.mark.slow

GUIDE = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"<!-- run: (\w+) -->\n```\w+\n(.*?)```", GUIDE, re.DOTALL))


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suite")
    return layered(folder / "venv", wheel(ROOT, folder / "wheels"))


@pytest.fixture
def here(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "unlearners.py").write_text(UNLEARNER)
    return tmp_path


def test_the_wheel_is_what_is_imported(python, here):
    code = "import importlib.util; print(importlib.util.find_spec('unshap_conformance').origin)"
    assert Path(run(python, "-c", code, cwd=here).strip()).is_relative_to(python.parents[1])


def test_pytest_finds_an_estimator_that_overpays_beside_a_right_unlearner(python, here):
    suite = (python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "unshap_conformance")
    subjects = ("--unshap-estimator", "mine:generous", "--unshap-unlearner", "gradient_ascent")
    out = run(*suite, *subjects, "-k", "efficiency or identity or refusal", code=1, cwd=here)
    assert "generous: efficiency[glove] failed: the sum of phi_i over all players = v(N) - v(none)" in out
    assert "residual  0.001" in out
    assert "gradient_ascent: " not in out, "it passes"
    assert " passed" in out


def test_the_command_finds_an_unlearner_that_boasts(python, here):
    out = run(python, "-m", "unshap_plugin", "conformance", "unlearners:Boastful", code=1, cwd=here)
    assert "mine: distance[ridge] failed" in out
    assert "it claims to equal retraining, but its utilities are others" in out


def test_the_examples_of_the_guide_run(python, here):
    """They check right ones, of both kinds, by the command and by pytest."""
    assert set(BLOCKS) == {"shell", "tests", "script"}
    assert len(re.findall(r"^```\w+", GUIDE, re.MULTILINE)) == len(BLOCKS)
    for line in BLOCKS["shell"].splitlines():
        program, *arguments = shlex.split(line)
        out = run(python.parent / program, *arguments, cwd=here)
        assert " passed" in out
        assert "failed" not in out
        assert program == "python" or out.startswith(f"{arguments[1].removeprefix('mine:')}: ")
    (here / "test_mine.py").write_text(BLOCKS["tests"])
    out = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py", cwd=here)
    assert " passed" in out
    assert "failed" not in out
    out = run(python, "-c", BLOCKS["script"], cwd=here)
    assert out.startswith("shapley: ")
