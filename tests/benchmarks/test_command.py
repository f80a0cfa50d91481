"""The command that asks questions."""

from __future__ import annotations

import sys

import pytest
import torch

pytest.importorskip("opendataval", reason="OpenDataVal is not installed")

import run
from harness.question import Question
from harness.report import Report, Table


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def command(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["run.py", *arguments])
    run.main()


def question(name):
    return Question(
        name,
        title=name.title(),
        text="What it is.",
        measure=lambda settings, seeds: ({"seed": seed, **settings} for seed in seeds),
        tables=lambda report: [Table("Seeds.", ["seed"], [[str(row["seed"])] for row in report.rows])],
        full={"rows": 100},
        quick={"rows": 10},
        seeds=(3, 1),
        figure=lambda report, path: path.write_text(str(len(report.rows))),
    )


def test_it_asks_what_it_is_told_and_keeps_the_report(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run, "QUESTIONS", {name: question(name) for name in ("one", "two")})
    command(monkeypatch, "two", "--quick", "--seeds", "2", "--out", str(tmp_path / "new"))
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"two.json", "two.png"}
    assert Report.load(tmp_path / "new" / "two.json").rows == [{"seed": 0, "rows": 10}, {"seed": 1, "rows": 10}]
    assert "Seeds.\nseed\n0\n1\n" in capsys.readouterr().out
    command(monkeypatch, "--out", str(tmp_path / "all"))
    assert {path.name for path in (tmp_path / "all").iterdir()} == {
        f"{a}.{b}" for a in ("one", "two") for b in ("json", "png")
    }
    assert len(Report.load(tmp_path / "all" / "one.json").rows) == 3


def test_a_question_that_is_none_is_named(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        command(monkeypatch, "speeed")
    there = "speed, bounds, auto, partial, accuracy, estimators, quality, noise, pipeline, scale"
    assert f"there is no question speeed: there are {there}" in capsys.readouterr().err


def test_a_section_says_what_was_asked_how_and_where(tmp_path):
    one = question("one")
    section = one.section(one.run(tmp_path / "one.json"))
    assert section.startswith("## One\n\n`python benchmarks/run.py one`. What it is.\n\nSeeds.\n\n| seed |\n")
    assert " ".join(section.split()).endswith(Report.load(tmp_path / "one.json").where())
