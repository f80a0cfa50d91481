"""The example in the docstring of every public name runs."""

from __future__ import annotations

import doctest
import importlib.util
import inspect

import pytest
import unshap_conformance

#: ``GAMES`` is data, which has no docstring.
NAMES = [name for name in unshap_conformance.__all__ if name != "GAMES"]


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_a_public_name_runs(name):
    if "valuator" in name and importlib.util.find_spec("opendataval") is None:
        pytest.skip("OpenDataVal is not installed")
    found = getattr(unshap_conformance, name)
    globs = vars(inspect.getmodule(found)).copy()
    (example,) = doctest.DocTestFinder(recurse=False).find(found, name, globs=globs)
    assert example.examples, f"{name} has no example"
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example).failed == 0
