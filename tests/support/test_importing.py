"""Finding objects by ``package.module:name``."""

from __future__ import annotations

import sys

import pytest

from unshap_plugin.errors import InvalidValueError
from unshap_plugin.support.importing import load_object, working_directory_on_path


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("math", "'math' names no object: write it as package.module:name"),
        ("math:", "'math:' names no object"),
        ("nowhere.at_all:f", "cannot be found .No module named 'nowhere'.: install it, or put its folder on the path"),
        ("math:tau.real.part", "'math:tau.real.part' cannot be found: 'float' object has no attribute 'part'"),
    ],
)
def test_what_cannot_be_found(path, message):
    with pytest.raises(InvalidValueError, match=message):
        load_object(path)


def test_names_may_have_dots():
    assert load_object("pathlib:Path.cwd").__name__ == "cwd"


def test_errors_of_a_module_that_is_found_come_through(tmp_path, monkeypatch):
    (tmp_path / "needy.py").write_text("import surely_not_installed\n")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    with pytest.raises(ModuleNotFoundError, match="surely_not_installed"), working_directory_on_path():
        load_object("needy:f")
    with pytest.raises(ZeroDivisionError), working_directory_on_path():
        load_object("broken:f")
    assert sys.path == before
