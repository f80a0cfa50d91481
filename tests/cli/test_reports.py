"""``unshap value --report``: the page is written beside the files, and refused before any work where it cannot be."""

from __future__ import annotations

import html
import os
from pathlib import Path

import pytest

from unshap_plugin import ValuationResult
from unshap_plugin.cli.main import main


def test_the_page_has_what_was_printed_and_the_command(providers, capsys):
    typed = [*providers, "--pay", "100", "--report", "my report.html"]
    assert main(typed) == 0
    out = capsys.readouterr().out
    assert out.endswith("wrote        my report.html\n")
    page = html.unescape(Path("my report.html").read_text(encoding="utf-8"))
    result = ValuationResult.from_json(Path("values/result.json").read_text())
    for player, payment in zip(result.players, result.payouts("100").payments, strict=True):
        assert f'<th scope="row">{player}</th>' in page
        assert f">{payment:,}</td>" in page
    assert "--pay 100 --report 'my report.html'</code>" in page
    assert main(typed) == 0
    assert capsys.readouterr().out.endswith("replaced     my report.html\n")


@pytest.mark.filterwarnings("ignore:Linear cannot be retrained for many coalitions at once")
def test_an_audit_and_notes_are_in_it(providers, capsys):
    assert main([*providers, "--audit", "20", "--report", "report.html"]) == 0
    out = capsys.readouterr().out
    (verdict,) = (line.removeprefix("audit").strip() for line in out.splitlines() if line.startswith("audit "))
    page = html.unescape(Path("report.html").read_text(encoding="utf-8"))
    assert f"Audit against retraining: {verdict.split('(')[0]}" in page
    for line in out.splitlines():
        if line.startswith("note: "):
            assert line.removeprefix("note: ") in page


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--report", "nowhere/report.html"], "lies in 'nowhere', which is no folder: give the path of a file"),
        (["--report", "."], "the file '.' of --report is a folder: give the path of a file"),
        (["--report", "values/result.json"], "--report and --out would both write 'values/result.json'"),
        (["--report", "x" * 300], "of --report cannot be written (File name too long): give the path of a file"),
        (["--report", "pipe"], "the file 'pipe' of --report is a device or a pipe: give the path of a file"),
        (["--report", "one", "--store", "one"], "'one' would be overwritten, but it is the store file that is read"),
        (
            ["--report", "one", "--save-artifacts", "one"],
            "--report and --save-artifacts would both write 'one': give another --report",
        ),
    ],
)
def test_a_path_that_will_not_do_is_refused_before_any_work(given, message, refused):
    Path("values").mkdir()
    os.mkfifo("pipe")
    assert message in refused(["value", "missing.csv", "--label", "y", *given])


def test_the_table_is_not_overwritten(providers, refused):
    table = providers[1]
    assert f"{table!r} would be overwritten" in refused([*providers, "--report", table])


def test_it_may_lie_in_the_folder_of_results_before_that_is_there(providers, capsys):
    assert main([*providers, "--out", "new", "--report", "new/report.html"]) == 0
    assert capsys.readouterr().out.endswith("wrote        new/report.html\n")
    assert Path("new/report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_it_does_not_become_text_that_is_trained_on(refused):
    Path("corpus").mkdir()
    Path("corpus/acme.txt").write_text("once upon a time", encoding="utf-8")
    typed = ["text", "--model", "m", "--train", "corpus", "--eval", "e", "--report", "corpus/report.html"]
    message = "'corpus/report.html' of --report would be among the train files that are read: give another --report."
    assert message in refused(typed)
    assert "report.html" not in refused([*typed[:-1], "report.html"]), "what is lacking now is the rest"
