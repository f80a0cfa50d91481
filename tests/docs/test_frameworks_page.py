"""The page of frameworks: its examples run where the framework is installed, and it names every adapter."""

from __future__ import annotations

import re
import shlex

import matplotlib.pyplot as plt
import pytest
from readme import blocks, run, text_of

from unshap_plugin.cli.main import main
from unshap_plugin.frameworks import FRAMEWORKS

PAGE = "docs/frameworks.md"
EXAMPLES = [name for name in blocks(PAGE) if name in FRAMEWORKS]


# OpenDataVal pins memory whether or not there is a GPU.
@pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true:UserWarning")
@pytest.mark.parametrize("name", [name for name in EXAMPLES if FRAMEWORKS[name].installed is not None])
def test_the_example_of_a_framework_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(blocks(PAGE)[name][1])
    plt.close("all")


def test_the_command_runs(capsys):
    program, *arguments = shlex.split(blocks(PAGE)["list"][1])
    assert (program, main(arguments)) == ("unshap", 0)
    assert capsys.readouterr().out


def test_every_adapter_has_a_line_and_every_example_a_way_to_install_it():
    text = text_of(PAGE)
    assert set(re.findall(r"`(unshap_\w+)` \|$", text, re.MULTILINE)) == {one.adapter for one in FRAMEWORKS.values()}
    assert set(blocks(PAGE)) == {"list", *EXAMPLES}
    for name in EXAMPLES:
        assert f'`pip install ".[{name}]"`' in text
