"""The examples of the plugin guide run, as plugins, and are as short as they say."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import tomllib
from problems import coalitions, early_stopped

from unshap_plugin import UnlearningGame
from unshap_plugin.plugins.manager import plugins
from unshap_plugin.plugins.registry import registered_unlearners, resolve_unlearner

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"<!-- file: (\w+) -->\n```\w+\n(.*?)```", GUIDE, re.DOTALL))


@pytest.fixture
def guide(tmp_path, monkeypatch):
    """The examples, installed: as two distributions with the entry points of the guide."""
    for name in ("climb", "climb_many"):
        (tmp_path / f"{name}.py").write_text(FILES[name])
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        points = tomllib.loads(FILES["pyproject"])["project"]["entry-points"]["unshap_plugin"]
        assert points == {"climb": "climb"}
        (info / "entry_points.txt").write_text(f"[unshap_plugin]\n{name} = {name}\n")
    monkeypatch.syspath_prepend(str(tmp_path))


def test_every_example_is_run_and_short():
    assert len(re.findall(r"^```\w+", GUIDE, re.MULTILINE)) == len(FILES) == 3
    assert all(len(text.splitlines()) <= 30 for text in FILES.values())


def test_the_examples_work_and_agree(guide):
    specs = registered_unlearners()
    assert plugins().failures == ()
    assert (specs["climb"].offer.batched, specs["fast-climb"].offer.batched) == (False, True)
    assert specs["climb"].offer.settings == specs["fast-climb"].offer.settings == {"steps": 3, "lr": 0.002}
    for hidden in (0, 4):
        problem = early_stopped(hidden=hidden)
        matrix = coalitions(9, problem.n_players)
        slow, fast = (UnlearningGame(problem, name)(matrix) for name in ("climb", "fast-climb"))
        np.testing.assert_allclose(fast, slow, atol=1e-10)
        models = resolve_unlearner("fast-climb").unlearn(problem, matrix, 0)
        losses = [problem.loss(outputs, problem.y) for outputs in models.outputs(problem.x)]
        given = problem.loss(problem.outputs(problem.model, problem.x), problem.y)
        for forget, loss in zip(~problem.retained(matrix), losses, strict=True):
            assert loss[forget].sum() > given[forget].sum() or not forget.any()


def test_the_examples_do_not_depend_on_the_batch(guide):
    problem = early_stopped()
    matrix = coalitions(9, problem.n_players)
    for name in ("climb", "fast-climb"):
        whole = UnlearningGame(problem, name)(matrix)
        assert np.array_equal(whole, UnlearningGame(problem, name, chunk=2)(matrix[::-1])[::-1])
