"""The table of frameworks: what it says of versions is what ``pyproject.toml`` asks for."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomllib
from packaging.requirements import Requirement

from unshap_plugin.frameworks import FRAMEWORKS, Framework, FrameworkError, check_framework

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("one", FRAMEWORKS.values(), ids=lambda one: one.name)
def test_the_extra_of_a_framework_asks_for_the_versions_that_its_adapter_works_with(one):
    asked = {found.name: found for found in map(Requirement, PROJECT["project"]["optional-dependencies"][one.name])}
    assert asked[one.name].specifier == one.specifiers


def test_every_adapter_is_in_the_table_and_in_the_wheel():
    there = {path.name for path in (ROOT / "adapters").iterdir() if path.is_dir()}
    packed = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {one.adapter for one in FRAMEWORKS.values()} == there
    assert {f"adapters/{name}" for name in there} == {path for path in packed if path.startswith("adapters/")}


@pytest.mark.parametrize("name", FRAMEWORKS)
@pytest.mark.parametrize("found", ["0.0.1", None], ids=["another version", "none"])
def test_a_version_that_does_not_work_is_refused_by_name(name, found, monkeypatch):
    one = FRAMEWORKS[name]
    monkeypatch.setattr(Framework, "installed", property(lambda self: found))
    there = f"{name} is not installed" if found is None else f"{name} 0.0.1 is installed"
    with pytest.raises(FrameworkError) as caught:
        check_framework(name)
    assert str(caught.value) == (
        f"{there}, but {one.adapter} works with {name} {one.versions}: run pip install 'unshap-plugin[{name}]'."
    )


@pytest.mark.parametrize(("name", "found"), [("shapiq", "1.4.1"), ("shapiq", "1.8.0"), ("pydvl", "0.10.0")])
def test_versions_that_work_are_taken(name, found, monkeypatch):
    monkeypatch.setattr(Framework, "installed", property(lambda self: found))
    check_framework(name)
