"""What a release consists of agrees with itself."""

from __future__ import annotations

import re
from importlib.metadata import version

import tomllib
from lowest import lowest
from packaging.requirements import Requirement
from readme import text_of

from unshap_plugin.frameworks import FRAMEWORKS

PROJECT = tomllib.loads(text_of("pyproject.toml"))["project"]


def test_every_place_names_the_same_version():
    assert PROJECT["version"] == version("unshap-plugin")
    assert re.search(r"^version: (.+)$", text_of("CITATION.cff"), re.MULTILINE)[1] == PROJECT["version"]
    assert re.search(r"^## (\S+)", text_of("CHANGELOG.md"), re.MULTILINE)[1] == PROJECT["version"]


def test_the_lowest_versions_are_those_of_the_project():
    assert len(lowest()) == len(PROJECT["dependencies"])
    for low, needed in zip(map(Requirement, lowest()), map(Requirement, PROJECT["dependencies"]), strict=True):
        assert low.name == needed.name
        [pinned] = low.specifier
        assert pinned.operator == "=="
        assert needed.specifier.contains(pinned.version)
        assert not needed.specifier.contains("0")


def test_workflows_run_the_gate_and_refuse_a_tag_that_is_another_version():
    assert "run: .ci/run" in text_of(".github/workflows/gate.yml")
    release = text_of(".github/workflows/release.yml")
    assert 'test "v$(hatch version)" = "$GITHUB_REF_NAME"' in release
    assert release.index("hatch version") < release.index("gh-action-pypi-publish")
    assert "password" not in release.replace("no password is kept", "")
    [asks] = re.findall(r"run: (.*linkcheck.*)", text_of(".github/workflows/links.yml"))
    assert f"`{asks}`" in " ".join(text_of("docs/decisions.md").split())


def test_the_extras_are_those_that_are_named():
    named = {*FRAMEWORKS, "dask", "ray", "test", "docs", "dev"}
    assert set(PROJECT["optional-dependencies"]) == named
