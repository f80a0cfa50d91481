"""The page of results says what the reports that are kept say."""

from __future__ import annotations

import pytest
from readme import ROOT, text_of

pytest.importorskip("opendataval", reason="OpenDataVal is not installed")

from harness.page import page
from harness.questions import QUESTIONS
from harness.report import Report

RESULTS = ROOT / "benchmarks" / "results"


def test_the_page_is_that_of_the_reports():
    assert text_of("docs/results.md") == page(RESULTS)


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_a_report_that_is_kept_is_of_a_full_run_and_shown(path):
    report = Report.load(path)
    question = QUESTIONS[path.stem]
    assert report.question == path.stem
    assert report.settings == question.full
    assert report.machine["threads"] == 1
    assert f"`{report.command}`" in text_of("docs/results.md")
    assert (question.figure is None) or (ROOT / f"docs/results_{path.stem}.png").is_file()
