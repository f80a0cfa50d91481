"""The plugin template, as somebody else would use it: built into a wheel, installed by pip, used, uninstalled."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from venvs import layered, run, wheel

pytestmark = pytest.mark.slow

TEMPLATE = Path(__file__).resolve().parents[2] / "examples" / "plugin-template"


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """A new virtual environment, layered over this one, with the wheel of the template."""
    folder = tmp_path_factory.mktemp("template")
    source = shutil.copytree(TEMPLATE, folder / "source")
    return layered(folder / "venv", wheel(source, folder / "wheels"))


def listed(python):
    return json.loads(run(python.parent / "python", "-m", "unshap_plugin", "unlearners", "--json"))


def test_it_is_listed(python):
    data = listed(python)
    assert data["failed"] == []
    [ours] = [one for one in data["unlearners"] if one["name"] == "first_order"]
    assert ours["provider"] == {
        "distribution": "unshap-first-order",
        "version": "0.1.0",
        "entry_point": "first_order",
    }
    assert ours["settings"] == {"rate": 0.01}
    assert (ours["access"], ours["batched"], ours["exact"]) == (["forget"], True, False)
    assert ours["summary"] == "One step up the gradient of the forget rows."


def test_its_own_tests_pass(python):
    out = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=python.parents[2] / "source")
    assert " passed" in out
    assert "failed" not in out


def test_it_works_on_the_command_line(python, tmp_path):
    out = run(
        *(python, "-m", "unshap_plugin", "value", "--example", "iris"),
        *("--unlearner", "first_order", "--budget", "400"),
        cwd=tmp_path,
    )
    assert "unlearner    first_order" in out
    assert json.loads((tmp_path / "values" / "result.json").read_text())["versions"]["unshap-first-order"] == "0.1.0"


def test_it_runs_in_opendataval(python, tmp_path):
    pytest.importorskip("opendataval", reason="OpenDataVal is not installed")
    code = """
from opendataval.experiment import ExperimentMediator
from unshap_opendataval import UnlearningShapley

mediator = ExperimentMediator.model_factory_setup(
    dataset_name="iris", train_count=30, valid_count=20, test_count=10, model_name="logisticregression",
    random_state=0, train_kwargs={"epochs": 5}, metric_name="accuracy", raises_error=True,
)
ours = UnlearningShapley("first_order", budget=400, random_state=0)
mediator.compute_data_values([ours])
print(ours.result.unlearner, ours.result.versions["unshap-first-order"], ours.data_values.shape)
"""
    assert run(python, "-c", code, cwd=tmp_path).splitlines()[-1] == "first_order 0.1.0 (30,)"


def test_it_can_be_uninstalled(python):
    run(python, "-m", "pip", "uninstall", "--yes", "--quiet", "unshap-first-order")
    data = listed(python)
    assert "first_order" not in [one["name"] for one in data["unlearners"]]
    assert data["failed"] == []
