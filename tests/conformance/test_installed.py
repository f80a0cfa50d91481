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

from unshap_plugin.plugin import Access
from unshap_plugin.unlearners import FineTune


@dataclass(frozen=True)
class Mine(FineTune):
    name = "mine"
    needs = Access.RETAIN


@dataclass(frozen=True)
class Boastful(Mine):
    exact = True
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


def suite(python, *options, code=0, cwd=None):
    return run(
        *(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "unshap_conformance", *options),
        code=code,
        cwd=cwd,
    )


def test_the_wheel_is_what_is_imported(python, here):
    found = run(python, "-c", "import unshap_conformance, sys; print(unshap_conformance.__file__)", cwd=here)
    assert Path(found.strip()).is_relative_to(python.parents[1])


def test_pytest_checks_an_estimator(python, here):
    out = suite(python, "--unshap-estimator", "mine:shapley", cwd=here)
    assert " passed" in out
    assert "failed" not in out


def test_pytest_finds_an_estimator_that_overpays(python, here):
    out = suite(python, "--unshap-estimator", "mine:generous", code=1, cwd=here)
    assert "generous: efficiency[glove] failed: the sum of phi_i over all players = v(N) - v(none)" in out
    assert "residual  0.001" in out


def test_pytest_checks_an_unlearner(python, here):
    out = suite(python, "--unshap-unlearner", "gradient_ascent", "-k", "identity or refusal", cwd=here)
    assert " passed" in out


def test_the_command_checks_both(python, here):
    command = (python, "-m", "unshap_plugin", "conformance")
    out = run(*command, "mine:shapley", cwd=here)
    assert out.startswith("shapley: ")
    assert "failed" not in out
    out = run(*command, "unlearners:Boastful", code=1, cwd=here)
    assert "mine: distance[ridge] failed" in out
    assert "it claims to equal retraining, but its utilities are others" in out


def test_the_examples_of_the_guide_run(python, here):
    assert set(BLOCKS) == {"shell", "tests", "script"}
    assert len(re.findall(r"^```\w+", GUIDE, re.MULTILINE)) == len(BLOCKS)
    for line in BLOCKS["shell"].splitlines():
        program, *arguments = shlex.split(line)
        out = run(python.parent / program, *arguments, cwd=here)
        assert " passed" in out
        assert "failed" not in out
    (here / "test_mine.py").write_text(BLOCKS["tests"])
    out = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py", cwd=here)
    assert " passed" in out
    assert "failed" not in out
    out = run(python, "-c", BLOCKS["script"], cwd=here)
    assert out.startswith("shapley: ")
