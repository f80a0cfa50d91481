"""Public names, and that the core stays free of frameworks."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import subprocess
import sys

import pytest
import unshap_conformance

import unshap_plugin
from unshap_plugin import plugin
from unshap_plugin.plugins.registry import registered_unlearners
from unshap_plugin.plugins.spec import UnlearnerSpec
from unshap_plugin.unlearners import METHODS

FRONT_ENDS = {"check", "check_estimator", "check_evaluator", "check_unlearner", "parametrize_with_checks", "table"}
MODULES = [name for _, name, _ in pkgutil.walk_packages(unshap_plugin.__path__, "unshap_plugin.")]


@pytest.mark.parametrize("name", [*MODULES, "unshap_plugin", "unshap_conformance"])
def test_all_is_true(name):
    module = importlib.import_module(name)
    lacks_opendataval = name == "unshap_conformance" and importlib.util.find_spec("opendataval") is None
    names = [one for one in module.__all__ if not (lacks_opendataval and "valuator" in one)]
    assert all(hasattr(module, one) for one in names)
    assert len(set(module.__all__)) == len(module.__all__)
    own = {
        one
        for one, value in vars(module).items()
        if not one.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == name
        and (inspect.getdoc(value) or "").strip()
        and inspect.isclass(value)
    }
    assert own <= set(module.__all__), f"public classes missing from __all__: {own - set(module.__all__)}"


def test_the_promised_names_are_there():
    promised = {
        "value",
        "ValuationProblem",
        "UnlearningGame",
        "ValuationResult",
        "shapley_values",
        "semivalues",
        "audit",
        "tune",
        "Recipe",
    }
    assert promised <= set(unshap_plugin.__all__)
    authors = {"Unlearner", "UnlearnerSpec", "Access", "hookimpl", "Estimator", "Estimate", "Metric"}
    assert authors <= set(plugin.__all__)
    assert set(unshap_conformance.__all__) >= FRONT_ENDS


def test_the_core_imports_no_framework():
    code = (
        "import sys, unshap_plugin, unshap_plugin.cli.main; "
        "print([m for m in ('opendataval', 'pydvl', 'shapiq', 'dattri', 'cleanlab', 'transformers', "
        "'unshap_cleanlab', 'unshap_dattri', "
        "'unshap_opendataval', 'unshap_pydvl', 'unshap_shapiq', 'unshap_transformers') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_the_built_in_unlearners_come_through_the_hook():
    specs = registered_unlearners()
    assert list(specs) == [method.name for method in METHODS]
    assert len(METHODS) >= 14
    for name, registered in specs.items():
        spec = registered.offer
        assert (registered.provider.distribution, registered.provider.entry_point) == ("unshap-plugin", "builtin")
        assert isinstance(spec, UnlearnerSpec)
        assert spec.make().name == name
        assert spec.summary.endswith(".")
        assert spec.source
        assert dict(spec.make().settings) == spec.settings, "the settings come from the signature"
