"""The stories of the site: those that its build cannot run, for the lack of a framework, run here where that is."""

from __future__ import annotations

import re
import runpy

import pytest
from readme import ROOT

STORIES = sorted((ROOT / "examples" / "gallery").glob("*.py"))
OPENDATAVAL = ROOT / "examples" / "gallery" / "7_opendataval_evaluators.py"


@pytest.mark.parametrize("story", STORIES, ids=[story.stem for story in STORIES])
def test_a_story_has_a_title_a_question_and_leads_on(story):
    text = story.read_text(encoding="utf-8")
    assert re.match(r'"""\n(.+)\n=+\n\n[^"]+\n"""\n', text)
    pages = re.findall(r":doc:`/(\w+)`", text)
    assert all((ROOT / "docs" / f"{page}.md").is_file() for page in pages)


@pytest.mark.slow
# OpenDataVal pins memory whether or not there is a GPU.
@pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true:UserWarning")
def test_the_story_of_opendataval_prints_what_stands_in_it(capsys):
    pytest.importorskip("opendataval", reason="OpenDataVal is not installed")
    runpy.run_path(str(OPENDATAVAL))
    printed = [line for line in capsys.readouterr().out.splitlines() if line.endswith("%")]
    assert len(printed) == 2
    shown = re.findall(r"^#     (.+%)$", OPENDATAVAL.read_text(encoding="utf-8"), re.MULTILINE)
    for line, expected in zip(printed, shown, strict=True):
        (name, share), (same, about) = line.rsplit(": ", 1), expected.rsplit(": ", 1)
        assert name == same
        assert abs(int(share[:-1]) - int(about[:-1])) <= 5, "one row in twenty, as the last bits fall"
