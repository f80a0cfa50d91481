"""``unshap frameworks``."""

from __future__ import annotations

import importlib
import json

import pytest

from unshap_plugin.cli.main import main
from unshap_plugin.frameworks import FRAMEWORKS, Framework


def test_every_framework_has_a_line_with_its_versions(capsys):
    assert main(["frameworks"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["framework", "installed", "works", "with", "adapter", "state"]
    assert [line.split()[0] for line in lines] == list(FRAMEWORKS)
    for line, one in zip(lines, FRAMEWORKS.values(), strict=True):
        assert line.split()[1] == (one.installed or "-")
        assert f"{one.versions} " in line
        assert f"{one.adapter} " in line


def test_what_works_can_be_imported_and_the_data_say_the_same(capsys):
    assert main(["frameworks", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [one["framework"] for one in data] == list(FRAMEWORKS)
    for one in data:
        supported = one["installed"] is not None and FRAMEWORKS[one["framework"]].supports(one["installed"])
        assert one["works"] == (one["reason"] is None)
        assert supported or not one["works"]
        if one["works"]:
            importlib.import_module(one["adapter"])


@pytest.mark.parametrize(
    ("installed", "raised", "said"),
    [
        (None, None, "not installed: run pip install 'unshap-plugin[shapiq]'"),
        ("1.2.0", None, "another version: run pip install 'unshap-plugin[shapiq]'"),
        (
            "1.4.1",
            TypeError("its companion\nis too new"),
            "cannot be imported (TypeError: its companion is too new): run",
        ),
        ("1.4.1", None, "works"),
    ],
    ids=["not there", "another version", "broken", "works"],
)
def test_the_state_says_what_to_do(installed, raised, said, monkeypatch, capsys):
    def imported(name):
        if raised is not None:
            raise raised

    monkeypatch.setattr(Framework, "installed", property(lambda self: installed if self.name == "shapiq" else None))
    monkeypatch.setattr("unshap_plugin.cli.frameworks.import_module", imported)
    assert main(["frameworks"]) == 0
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("shapiq")]
    assert said in line
