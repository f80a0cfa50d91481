"""The plugin guide, followed from an empty folder: an unlearner of fifteen lines, an estimator and a metric."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from problems import coalitions, early_stopped
from readme import blocks
from venvs import layered, run, wheel

from unshap_plugin import UnlearningGame, ValuationProblem, shapley_values
from unshap_plugin.cli.main import main
from unshap_plugin.plugins.manager import plugins
from unshap_plugin.plugins.registry import registered_unlearners, resolve_unlearner

GUIDE = {name: text for name, (_, text) in blocks("docs/plugins.md").items()}
MODULES = ("climb", "climb_many", "simple", "brier")


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """A new environment with the distribution of the guide, made in an empty folder of the files that it shows."""
    folder = tmp_path_factory.mktemp("guide")
    source = folder / "source"
    source.mkdir()
    (source / "climb.py").write_text(GUIDE["climb"])
    for name in MODULES[1:]:
        (source / f"{name}.py").write_text(GUIDE[name])
    end = GUIDE["modules"].splitlines()[0]
    begin, found, _ = GUIDE["pyproject"].partition(end)
    assert found, "the end is that of the first pyproject.toml"
    (source / "pyproject.toml").write_text(begin + GUIDE["modules"])
    return layered(folder / "venv", wheel(source, folder / "wheels"))


@pytest.fixture
def guide(tmp_path, monkeypatch):
    """The modules of the guide on the path, as distributions of one entry point each."""
    for name in MODULES:
        (tmp_path / f"{name}.py").write_text(GUIDE[name])
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[unshap_plugin]\n{name} = {name}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in MODULES:
        sys.modules.pop(name, None)


def test_the_first_file_is_short_and_every_block_is_used():
    lines = [line for line in GUIDE["climb"].splitlines() if line.strip()]
    assert len(lines) <= 15
    assert set(GUIDE) == {*MODULES, "pyproject", "modules", "install", "use"}


TYPED = """
import shlex
import sys

from unshap_plugin.cli.main import main

for command in sys.argv[1].splitlines():
    assert main(shlex.split(command)[1:]) == 0
exec(sys.argv[2])
"""


@pytest.mark.slow
def test_the_file_of_fifteen_lines_is_all_that_is_needed(tmp_path):
    """An empty folder, the two files and the commands as printed, installed from a wheel."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "climb.py").write_text(GUIDE["climb"])
    (source / "pyproject.toml").write_text(GUIDE["pyproject"])
    made = layered(tmp_path / "venv", wheel(source, tmp_path / "wheels"))
    install, commands = GUIDE["install"].split("\n", 1)
    assert install == "pip install --editable ."
    assert all(command.startswith("unshap ") for command in commands.splitlines())
    # In one process and not in four, of which each would take seconds to import torch.
    printed = run(made, "-c", TYPED, commands, GUIDE["use"], cwd=tmp_path)
    found = [printed.index(words) for words in ("provider    climb 1.0", "climb (lr=0.001)", "climb: 17 passed")]
    assert found == sorted(found)
    assert "player" in printed[found[-1] :]


@pytest.mark.slow
def test_all_three_are_installed_and_used(python, tmp_path):
    code = """
import json, sys
from unshap_plugin.cli.main import main
from unshap_plugin.plugins.manager import plugins
found = plugins()
print(json.dumps({
    "failures": [one.reason for one in found.failures],
    **{kind: [one.name for one in getattr(found, kind).offers if one.provider.distribution == "climb"]
       for kind in ("unlearners", "estimators", "metrics")},
}))
sys.exit(main(sys.argv[1:]))
"""
    arguments = ("value", "--example", "iris", "--unlearner", "fast-climb", "--setting", "lr=0.001")
    more = ("--estimator", "simple", "--metric", "neg_brier", "--budget", "400")
    listed, _, out = run(python, "-c", code, *arguments, *more, cwd=tmp_path).partition("\n")
    assert json.loads(listed) == {
        "failures": [],
        "unlearners": ["climb", "fast-climb"],
        "estimators": ["simple"],
        "metrics": ["neg_brier"],
    }
    assert "estimator    simple" in out
    assert "(neg_brier on 45 test rows)" in out
    assert json.loads((tmp_path / "values" / "result.json").read_text())["versions"]["climb"] == "1.0"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fast-climb", "simple"])
def test_they_conform(guide, name):
    assert main(["conformance", name]) == 0


def test_the_unlearners_work_and_agree(guide):
    specs = registered_unlearners()
    assert plugins().failures == ()
    assert (specs["climb"].offer.batched, specs["fast-climb"].offer.batched) == (False, True)
    assert specs["climb"].offer.settings == specs["fast-climb"].offer.settings == {"lr": 0.01}
    for hidden in (0, 4):
        problem = early_stopped(hidden=hidden)
        matrix = coalitions(9, problem.n_players)
        slow, fast = (UnlearningGame(problem, name, lr=0.001)(matrix) for name in ("climb", "fast-climb"))
        np.testing.assert_allclose(fast, slow, atol=1e-10)
        models = resolve_unlearner("fast-climb", {"lr": 0.001}).unlearn(problem, matrix, 0)
        losses = [problem.loss(outputs, problem.y) for outputs in models.outputs(problem.x)]
        given = problem.loss(problem.outputs(problem.model, problem.x), problem.y)
        for forget, loss in zip(~problem.retained(matrix), losses, strict=True):
            assert loss[forget].sum() > given[forget].sum() or not forget.any()


def test_the_unlearners_do_not_depend_on_the_batch(guide):
    problem = early_stopped()
    matrix = coalitions(9, problem.n_players)
    for name in ("climb", "fast-climb"):
        whole = UnlearningGame(problem, name)(matrix)
        assert np.array_equal(whole, UnlearningGame(problem, name, chunk=2)(matrix[::-1])[::-1])


def test_the_estimator_and_the_metric_are_right(guide):
    problem = early_stopped()
    data = {"train": (problem.x, problem.y), "test": (problem.x_test, problem.y_test)}
    probabilities = problem.outputs(problem.model, problem.x_test).softmax(dim=1).numpy()
    scored = ValuationProblem(problem.model, **data, metric="neg_brier")
    expected = -((probabilities - np.eye(2)[problem.y_test]) ** 2).sum(axis=1).mean()
    np.testing.assert_allclose(scored.given_utility, expected, rtol=1e-12)

    class Weighted:
        n_players = 4

        def __call__(self, rows):
            return (rows @ np.array([1.0, 2.0, 3.0, 4.0])) ** 2

    sampled, exact = shapley_values(Weighted(), "simple", budget=5000), shapley_values(Weighted(), "exact")
    assert (np.abs(sampled.values - exact.values) < 4 * sampled.std_errors).all()
    np.testing.assert_allclose(sampled.values.sum(), 100, rtol=1e-9)
