"""The table of language models says what was measured."""

from __future__ import annotations

import numpy as np
import pytest
from harness.report import Report
from language.agreement import additive, agreement, all_of, values_of
from language.table import HEADER, placed, table
from readme import ROOT, text_of

REPORT = Report.load(ROOT / "benchmarks" / "language" / "results.json")


def test_the_table_of_the_guide_is_that_of_the_report():
    guide = text_of("docs/language_models.md")
    assert table(REPORT.rows).markdown() in guide
    assert placed(guide, table(REPORT.rows)) == guide
    assert f"`{REPORT.command}`" in guide


def test_the_report_is_of_seeds_of_two_families_that_settings_were_not_chosen_by():
    models = [(row["kind"], row["seed"]) for row in REPORT.rows]
    assert set(models) == {(kind, seed) for kind in ("gpt2", "llama") for seed in REPORT.seeds}
    assert 0 not in REPORT.seeds
    methods = [row["method"] for row in REPORT.rows]
    assert all(methods.count(name) == len(set(models)) for name in methods)
    assert sum("(kronfluence)" in name or "(dattri)" in name for name in set(methods)) == 2


def test_means_and_the_smallest_are_of_all_models():
    row = {"kind": "gpt2", "seed": 1, "method": "a", "access": "full", "retrainings": 6.4, "bytes": None}
    row |= {"values": 0.5, "good": 0.5, "left out": 0.5, "utilities": 0.5}
    found = table([{**row, "coalitions": 64}, {**row, "kind": "llama", "values": 0.7, "coalitions": 64}])
    assert found.caption == "Means over 2 models (gpt2 and llama, seed 1)."
    [line] = found.rows
    told = dict(zip(HEADER, line, strict=True))
    assert told["values: Pearson"] == "0.600 (0.500)"
    assert told["per coalition"] == "0.100"
    assert told["memory"] == "-"


def test_a_page_without_a_table_stays():
    assert placed("Nothing.\n", table(REPORT.rows)) == "Nothing.\n"


def test_utilities_that_add_up_agree_with_themselves_and_not_with_their_negative():
    values = np.array([0.5, -2.0, 0.25, 1.0])
    truth, players = additive(values), ["a", "scrambled", "b", "c"]
    np.testing.assert_allclose(values_of(truth), values)
    np.testing.assert_array_equal(truth, all_of(4) @ values)
    same, other = agreement(truth, 3 * truth, players), agreement(truth, -truth, players)
    for name in ("values", "good", "left out", "utilities"):
        assert same[name] == pytest.approx(1)
        assert other[name] == pytest.approx(-1)
    assert (same["scale"], other["scale"]) == pytest.approx((3, -1))


def test_the_scrambled_source_is_left_out_of_the_good_ones():
    truth, players = additive(np.array([1.0, -9.0, 2.0, 3.0])), ["a", "scrambled", "b", "c"]
    wrong = additive(np.array([3.0, -9.0, 2.0, 1.0]))
    found = agreement(truth, wrong, players)
    assert found["values"] > 0.9
    assert found["good"] == pytest.approx(-1)
