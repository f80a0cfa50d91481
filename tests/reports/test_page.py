"""The report: what it says, that names in it are text, and that it needs nothing else."""

import base64
import hashlib
import os
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from made_results import made

from unshap_plugin import UnlearningGame, audit, shapley_values
from unshap_plugin.errors import InvalidValueError
from unshap_plugin.reports.page import ROWS, html_report, html_table
from unshap_plugin.reports.words import ENDINGS, answer, next_steps, question, standing


class Page(HTMLParser):
    """Elements by tag with their attributes, the text of cells, row by row, and all text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.rows, self.text, self.inside = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.inside.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data):
        if {"td", "th"} & set(self.inside):
            self.rows[-1][-1] += data
        if not {"script", "style"} & set(self.inside):
            self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def test_the_table_has_every_player_with_its_numbers_best_first():
    result = made([0.25, -0.5, 0.125], [0.01, 0.02, 0.5], players=("a", "b", "c"))
    rows = Page(html_report(result)).rows
    assert [row[0] for row in rows] == ["player", "a", "c", "b"]
    assert [row[1] for row in rows[1:]] == ["0.2500", "0.1250", "-0.5000"]
    low, high = result.interval()
    assert rows[1][3] == f"[{low[0]:.4f}, {high[0]:.4f}]"


def test_keys_of_sorting_are_the_numbers_themselves():
    result = made([0.25, -1 / 3], [0.01, np.nan], players=("a", "b"))
    keys = [dict(attrs).get("data-key") for tag, attrs in Page(html_report(result)).elements if tag == "td"]
    assert float(keys[0]) == 0.25
    assert float(keys[4]) == -1 / 3
    assert np.isnan(float(keys[5])), "what is not known comes last, whichever way is sorted"


HOSTILE = "<script>alert(1)</script>\"'&{{ 7*7 }}"


@pytest.mark.parametrize("write", [html_report, html_table])
def test_names_and_notes_are_text(write):
    result = replace(made([1.0, 2.0], [0.1, 0.1], players=(HOSTILE, "b")), notes=(HOSTILE,))
    plain = replace(made([1.0, 2.0], [0.1, 0.1], players=("a", "b")), notes=("a",))
    text = write(result)
    page = Page(text)
    assert HOSTILE in [cell for row in page.rows for cell in row]
    assert [tag for tag, _ in page.elements if tag == "script"] == [
        tag for tag, _ in Page(write(plain)).elements if tag == "script"
    ]
    assert HOSTILE not in text


def test_no_name_breaks_lines_turns_the_direction_of_reading_or_goes_into_no_file(tmp_path):
    names = ("\u202elive", "two\nlines", "\u2028")
    notes = (*names, "\ud800")
    result = replace(made([1.0, 2.0, -1.0], [0.1] * 3, players=names), notes=notes, metric="\u202e$\\frac$")
    result.to_html(tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "improved the model, beyond the error of their values (two\\nlines, \\u202elive)" in page.words
    assert "harmed the model, beyond the error of their values (\\u2028)" in page.words
    assert "Note: \\u202elive" in page.words
    assert "Note: \\ud800" in page.words
    assert "\u202e" not in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "\\ud800" in Page(html_report(result, command="unshap value \ud800")).words


def test_nothing_is_loaded_from_elsewhere():
    result = made([1.0, -1.0], [0.1, 0.1], players=("a", "b"))
    text = html_report(result)
    elements = Page(text).elements
    for tag, attrs in elements:
        assert not {"src", "srcset", "data", "action"} & set(attrs), tag
        assert all(attrs[name].startswith("#") for name in ("href", "xlink:href") if name in attrs), (tag, attrs)
    assert not re.search(r"url\((?!#)|@import", text)
    (policy,) = (attrs["content"] for tag, attrs in elements if attrs.get("http-equiv") == "Content-Security-Policy")
    script = text[text.index("<script>") + len("<script>") : text.rindex("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def test_the_same_result_gives_the_same_page():
    result = made([1.0, -1.0], [0.1, 0.1], players=("a", "b"))
    assert html_report(result) == html_report(result)


def test_it_says_who_helped_who_harmed_and_who_is_open():
    result = made([1.0, -1.0, 0.01, 0.5], [0.1, 0.1, 0.1, np.nan], players=("good", "bad", "close", "unknown"))
    above, below, open_ones = standing(result)
    assert above.tolist() == [True, False, False, False]
    assert below.tolist() == [False, True, False, False]
    assert open_ones.tolist() == [False, False, True, True]
    words = " ".join(answer(result))
    assert "1 of 4 players improved the model, beyond the error of their values (good)" in words
    assert "1 of 4 players harmed the model, beyond the error of their values (bad)" in words
    assert (
        "2 of 4 players may have done either: their intervals contain zero, or are not known (unknown, close)" in words
    )


def test_round_off_is_neither_above_zero_nor_below():
    result = made([1.0, 1e-17, -1e-17, 0.0, -0.5], players=("a", "b", "c", "d", "e"), missing=1e-16)
    above, below, open_ones = standing(result)
    assert (above.tolist(), below.tolist()) == ([True, *[False] * 4], [*[False] * 4, True])
    assert open_ones.tolist() == [False, True, True, True, False]
    words = " ".join(answer(result))
    assert "3 of 5 players made no difference: their values are zero without an error (b, d, c)." in words
    assert "may have done either" not in words
    assert not [step for step in next_steps(result, audited=False) if "budget" in step], "no budget narrows these"
    assert "What the values lack of the difference that they divide: 0." in Page(html_report(result)).words


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"unlearner": "newton"}, "made to forget it, averaged over all orders"),
        ({"unlearner": "retrain"}, "trained without it, averaged over all orders"),
        ({"unlearner": "none"}, "left without its data, averaged over all orders"),
        ({"semivalue": "leave-one-out value"}, "made to forget it, with the data of everybody else kept;"),
        ({"semivalue": "Banzhaf value"}, "averaged over coalitions of the other players, as the Banzhaf value does"),
    ],
)
def test_the_question_is_the_one_that_was_asked(fields, said):
    assert said in question(made([1.0, 2.0], **fields))


def test_games_of_others_are_not_told_to_audit_an_unlearner():
    assert not [*next_steps(made([1.0, 2.0], unlearner="none"), audited=False)]


def test_biased_values_are_not_said_to_divide_the_difference():
    whole, biased = (made([1.0, 2.0], 0.1, excluded=5, missing=one) for one in (0.0, 3.0))
    assert "the values divide the difference" in " ".join(answer(whole))
    assert "the values divide the difference" not in " ".join(answer(biased))


def test_one_player_is_one():
    assert "The one player improved the model" in " ".join(answer(made([1.0], 0.1)))


def test_numbers_of_any_size_can_be_read():
    cells = {cell for size in (1e300, 1e-15) for row in Page(html_report(made([size, -size / 2]))).rows for cell in row}
    assert {"1.000e+300", "-5.000e+299", "1.000e-15", "-5.000e-16"} <= cells
    words = Page(html_report(made([1.0], seconds=123456.7, retrainings=9, variance_ratio=12345.6))).words
    assert "123,457 seconds" in words
    assert "worth 12,346 times as many" in words
    assert "Versions" not in words


@pytest.mark.parametrize("stopped", ENDINGS)
def test_what_ended_the_run_is_said_in_words(stopped):
    assert f"the run was ended by the {ENDINGS[stopped]}." in Page(html_report(made([1.0], stopped=stopped))).words
    assert "ended by" not in Page(html_report(made([1.0]))).words


def test_many_names_are_counted():
    result = made(-np.arange(1.0, 13.0), np.full(12, 0.01), players=[*(f"p{i}" for i in range(11)), "last"])
    words = " ".join(answer(replace(result, values=np.r_[1.0, result.values[1:]])))
    assert "11 of 12 players harmed" in words
    assert "(last, p10, p9, p8, p7, p6, p5, p4 and 3 more)" in words


def test_steps_are_those_that_help():
    exact = made([1.0, 2.0], [0.0, 0.0], players=("a", "b"))
    assert not [*next_steps(exact, audited=True)]
    (only,) = next_steps(exact, audited=False)
    assert "unshap audit" in only
    doubtful = made([1.0, -2.0, 0.0], [0.1, 0.1, 0.1], players=("a", "b", "c"))
    assert len([*next_steps(doubtful, audited=True)]) == 2
    assert not [*next_steps(replace(exact, retrainings=5), audited=False)], "these are values of retraining"


def test_of_many_players_the_best_and_the_worst_are_shown():
    n = ROWS + 501
    result = made(np.arange(float(n)), np.full(n, 0.1))
    page = Page(html_report(result))
    shown = [int(row[0]) for row in page.rows[1:]]
    assert shown == [*range(n - 1, n - 1 - ROWS // 2, -1), *range(ROWS // 2 - 1, -1, -1)]
    assert "501 in between are not shown" in page.words


def test_each_thing_that_is_measured_has_its_table_and_picture():
    values = np.array([[1.0, -3.0], [2.0, 4.0]])
    result = made(values, np.full((2, 2), 0.1), players=("a", "b"), columns=("first", "second"))
    page = Page(html_report(result))
    assert [row[:2] for row in page.rows if row[0] != "player"] == [
        ["b", "2.000"],
        ["a", "1.000"],
        ["b", "4.000"],
        ["a", "-3.000"],
    ]
    pictures = [attrs["aria-label"] for tag, attrs in page.elements if tag == "svg"]
    assert [one.rpartition(": ")[2] for one in pictures] == ["first", "second"]
    with pytest.raises(InvalidValueError, match="measures 13 things, and a report has room for 12: value by fewer"):
        html_report(made(np.ones((2, 13)), np.ones((2, 13))))


def test_unlearned_values_stand_beside_those_of_retraining_with_their_errors():
    unlearned = {"newton": (np.array([2.0, 0.5]), np.array([0.25, 0.125])), "ssd": (np.array([1.0, 0.0]), np.zeros(2))}
    header, best, worst = Page(html_report(made([3.0, 1.0], 0.1, unlearned=unlearned))).rows
    assert header[5:] == ["unlearned by newton", "std error by newton", "unlearned by ssd"]
    assert best[5:] == ["2.000", "0.250", "1.000"]
    assert worst[5:] == ["0.500", "0.125", "0.000"]


def test_payments_stand_beside_the_values():
    result = made([3.0, -1.0, 1.0], [0.1, 0.1, 0.1], players=("a", "b", "c"))
    paid = result.payouts(1000, floor=10)
    rows = Page(html_report(result, paid=paid)).rows
    assert rows[0][-2:] == ["payment", "95% payment interval"]
    assert {row[0]: row[-2] for row in rows[1:]} == {
        player: f"{one:,}" for player, one in zip(paid.players, paid.payments, strict=True)
    }


def test_payments_have_the_level_that_they_were_made_with():
    result = made([3.0, 1.0], [0.1, 0.1])
    assert Page(html_report(result, paid=result.payouts(10, level=0.9))).rows[0][-1] == "90% payment interval"


@pytest.mark.filterwarnings("ignore:Linear cannot be retrained for many coalitions at once")
def test_payments_and_audits_of_others_are_refused(five_providers):
    result = made([3.0, 1.0], 0.1, players=("a", "b"))
    for other in (made([3.0, 1.0], players=("b", "a")), made([1.0, 3.0], players=("a", "b")), made([3.0, 1.0, 1.0])):
        with pytest.raises(InvalidValueError, match=r"the payments go by other values .*: pass payouts of the same"):
            html_report(result, paid=other.payouts(10))
    report = audit(UnlearningGame(five_providers, "newton"), coalitions=12)
    with pytest.raises(InvalidValueError, match=r"the audit is of other players .*: pass one of the same game"):
        html_report(result, report)


@pytest.mark.filterwarnings("ignore:Linear cannot be retrained for many coalitions at once")
def test_an_audit_is_told_and_drawn(five_providers):
    game = UnlearningGame(five_providers, "newton")
    result, report = shapley_values(game, "exact"), audit(game, coalitions=12)
    page = Page(html_report(result, report, command="unshap value 'a b.csv'"))
    assert f"Audit against retraining: {report.verdict}." in page.words
    assert len([tag for tag, _ in page.elements if tag == "svg"]) == 2
    assert "unshap value 'a b.csv'" in page.words
    assert "audit measures it" not in page.words


def test_a_report_is_written_whole_or_not_at_all(tmp_path):
    result = made([1.0, 2.0], [0.1, 0.1], players=("a", "b"))
    path = tmp_path / "report.html"
    result.to_html(path)
    assert path.read_text(encoding="utf-8") == html_report(result)
    result.to_html(str(path), paid=result.payouts(10))
    assert "payment" in path.read_text(encoding="utf-8")
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(InvalidValueError, match=r"the report cannot be written to .*: give another path"):
        result.to_html(tmp_path / "nowhere" / "report.html")


def test_what_is_no_file_is_not_replaced(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(InvalidValueError, match=r"the report cannot be written to .*no regular file"):
        made([1.0]).to_html(path)
    assert path.is_fifo()


def test_notebooks_show_the_table():
    result = replace(made([1.0, -2.0], [0.1, 0.1], players=("a", "b")), notes=("mind the gap.",))
    page = Page(result._repr_html_())
    assert [row[:2] for row in page.rows[1:]] == [["a", "1.000"], ["b", "-2.000"]]
    assert "mind the gap." in page.words
    assert not [tag for tag, _ in page.elements if tag in ("script", "button", "html")]
    assert not Page(made(np.ones((2, 3)), np.ones((2, 3)))._repr_html_()).rows
