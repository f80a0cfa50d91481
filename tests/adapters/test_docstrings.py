"""The example in the docstring of every public name of the adapters runs."""

from __future__ import annotations

import doctest
import importlib
import inspect

import pytest

pytest.importorskip("opendataval", reason="OpenDataVal is not installed")

# OpenDataVal pins memory whether or not there is a GPU.
pytestmark = pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true:UserWarning")
MODULES = ["unshap_opendataval", "unshap_opendataval.base", "unshap_opendataval.conventions"]
FOUND = {
    name: getattr(importlib.import_module(module), name)
    for module in MODULES
    for name in importlib.import_module(module).__all__
}


@pytest.mark.parametrize("name", FOUND)
def test_the_example_of_a_public_name_runs(name):
    globs = vars(inspect.getmodule(FOUND[name])).copy()
    (example,) = doctest.DocTestFinder(recurse=False).find(FOUND[name], name, globs=globs)
    assert example.examples, f"{name} has no example"
    assert doctest.DocTestRunner().run(example).failed == 0


@pytest.mark.parametrize("name", [name for name in FOUND if name != "UnlearningEvaluator"])  # which points to another
def test_every_parameter_is_described(name):
    found = FOUND[name]
    section = inspect.getdoc(found).partition("Parameters\n")[2]
    described = {word.strip() for line in section.splitlines() if line[:1].strip() for word in line.split(",")}
    assert (
        set(inspect.signature(found.__init__ if inspect.isclass(found) else found).parameters) - {"self"} <= described
    )
