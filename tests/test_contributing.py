"""CONTRIBUTING is right: an unlearner, an estimator, a metric, a command and an adapter are a file and a line each."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tomllib

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")

UNLEARNER = '''
"""``fade``: shrink the parameters by the forgotten share."""
from dataclasses import dataclass
from typing import ClassVar
from unshap_plugin.unlearners.base import Unlearner
from unshap_plugin.unlearners.models import StackedModels

@dataclass(frozen=True)
class Fade(Unlearner):
    """Shrinks the parameters by ``strength`` times the forgotten share."""
    name: ClassVar[str] = "fade"
    summary: ClassVar[str] = "Shrinks the parameters."
    source: ClassVar[str] = "A test"
    strength: float = 0.1

    def _unlearn(self, problem, coalitions, seed):
        share = (~problem.retained(coalitions)).to(problem.engine.dtype).mean(dim=1)
        keep = 1 - self.strength * share
        theta = problem.engine.stack(len(coalitions))
        return StackedModels(problem.engine, {k: p * keep.reshape(-1, *[1] * (p.ndim - 1)) for k, p in theta.items()})
'''
ESTIMATOR = '''
"""``twice``: the definition, computed twice."""
from typing import ClassVar
from unshap_plugin.estimators.exact import Exact

class Twice(Exact):
    """The mean of the values of the definition and of themselves."""
    name: ClassVar[str] = "twice"
    summary: ClassVar[str] = "The definition, twice."
    source: ClassVar[str] = "A test"
'''
METRIC = '''
def confidence(outputs, targets):
    """Mean of the largest probability."""
    return outputs.double().softmax(dim=-1).amax(dim=-1).mean(dim=1)
'''
COMMAND = '''
"""``unshap hello``: says hello."""
import sys

def add(commands):
    parser = commands.add_parser("hello", help="say hello")
    parser.set_defaults(run=run)

def run(options):
    sys.stdout.write("hello\\n")
    return 0
'''
ADAPTER = '''
"""An adapter for a framework that counts."""
from unshap_plugin import value

def count(*args, **kwargs):
    """Return how many values there are."""
    return len(value(*args, **kwargs))
'''
CODE = """
import contextlib, io, json, numpy as np
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from unshap_plugin import value
from unshap_plugin.cli.main import main
from unshap_conformance import check_estimator, check_unlearner
from unshap_hello import count
x, y = load_iris(return_X_y=True)
model = LogisticRegression(max_iter=1000).fit(x[::2], y[::2])
data = dict(train=(x[::2], y[::2]), test=(x[1::2], y[1::2]), groups=["a", "b", "c"] * 25)
result = value(model, **data, unlearner="fade", estimator="twice", metric="confidence")
checked = check_estimator("twice", on_fail="collect")
checked += check_unlearner("fade", checks=["result", "identity", "batch"])
printed = io.StringIO()
with contextlib.redirect_stdout(printed):
    assert main(["hello"]) == main(["unlearners"]) == 0
print(json.dumps({
    "hello": printed.getvalue().splitlines()[0],
    "listed": "Shrinks the parameters." in printed.getvalue(),
    "made by": [result.unlearner, result.estimator, result.metric],
    "sum": bool(abs(result.values.sum() - (result.utility_all - result.utility_none)) < 1e-9),
    "count": count(model, **data),
    "failed": [one.check for one in checked if one.status == "failed"],
}))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The packages, with one of each added as CONTRIBUTING says."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("unshap_plugin", "adapters", "conformance"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    added = {
        "unshap_plugin/unlearners/fade.py": UNLEARNER,
        "unshap_plugin/estimators/twice.py": ESTIMATOR,
        "unshap_plugin/cli/hello.py": COMMAND,
        "adapters/unshap_hello/__init__.py": ADAPTER,
    }
    for path, text in added.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
    lines = {
        "unlearners": ("#: The classes", "from unshap_plugin.unlearners.fade import Fade as Fade\n"),
        "estimators": ("#: The classes", "from unshap_plugin.estimators.twice import Twice as Twice\n"),
        "cli": (")\n", '    "hello",\n'),
    }
    for package, (before, line) in lines.items():
        path = folder / "unshap_plugin" / package / "__init__.py"
        text = path.read_text()
        path.write_text((line + before).join(text.rsplit(before, 1)))
    metrics = folder / "unshap_plugin/metrics.py"
    text = metrics.read_text().replace("#: The built-in metrics.", METRIC + "\n\n#: The built-in metrics.", 1)
    entry = '    Metric("confidence", confidence, task="classification"),\n'
    metrics.write_text(text.replace('    Metric("neg_loss"', entry + '    Metric("neg_loss"', 1))
    project = (folder / "pyproject.toml").read_text()
    (folder / "pyproject.toml").write_text(
        project.replace('"adapters/unshap_opendataval"', '"adapters/unshap_opendataval", "adapters/unshap_hello"', 1)
    )
    return folder


def run(copy, *arguments):
    project = tomllib.loads((copy / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    path = os.pathsep.join(dict.fromkeys(str((copy / package).parent) for package in packages))
    out = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=copy,
        env={**os.environ, "PYTHONPATH": path, "UNSHAP_PLUGINS": ""},
    )
    assert out.returncode == 0, out.stderr
    return out.stdout


@pytest.mark.slow
def test_one_of_each_is_added_by_a_file_and_a_line(copy):
    assert json.loads(run(copy, "-c", CODE)) == {
        "hello": "hello",
        "listed": True,
        "made by": ["fade", "twice", "confidence"],
        "sum": True,
        "count": 3,
        "failed": [],
    }


def test_the_files_that_it_names_are_there():
    for path in re.findall(r"`((?:unshap_plugin|tests|adapters|docs)/[\w/.]+)`", TEXT):
        assert (ROOT / path).exists() or "NAME" in path or "FRAMEWORK" in path, path
    for kind in ("unlearner", "estimator", "metric", "command", "adapter"):
        assert re.search(rf"^\| {kind} \| .+ \| .+ \|$", TEXT, re.MULTILINE)
