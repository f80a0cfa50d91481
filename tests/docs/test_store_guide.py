"""The page on the store: its snippet and its commands do what they say."""

import shlex
import shutil

import pytest
from readme import ROOT, blocks

from unshap_plugin.cli.main import main
from unshap_plugin.evaluation.evaluation import Evaluation

PAGE = blocks("docs/store.md")


def test_the_snippet_fits_no_forest_twice(monkeypatch, capsys):
    asked, plain = [], Evaluation.utilities

    def counting(self, coalitions):
        asked.append(len(coalitions))
        return plain(self, coalitions)

    monkeypatch.setattr(Evaluation, "utilities", counting)
    names = {}
    exec(PAGE["store"][1], names)
    assert sum(asked) == 15
    assert capsys.readouterr().out == "16\n"
    assert names["coalitions"].shape == (16, 4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Linear cannot be retrained for many coalitions at once:UserWarning")
def test_the_commands_run(tmp_path, monkeypatch, capsys):
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("plugin-template"))
    monkeypatch.chdir(tmp_path)
    for line in PAGE["command"][1].splitlines():
        program, *arguments = shlex.split(line)
        assert program == "unshap"
        assert main(arguments) == 0
    sound, _, *games = capsys.readouterr().out.splitlines()[-5:]
    assert sound == "sound: every batch is what was written"
    assert len(games) == 3
