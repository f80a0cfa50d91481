"""What is read of a file: encodings, separators, blanks, names and missing entries."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unshap_plugin.cli._blanks import stripped
from unshap_plugin.cli._decoding import SEPARATORS, separator_of
from unshap_plugin.cli._sources import read_csv
from unshap_plugin.cli._tables import read_tables
from unshap_plugin.cli.main import main
from unshap_plugin.errors import InvalidValueError
from unshap_plugin.results.result import ValuationResult

BLANKS = [" ", "\t", "\n", "\r\n", "\u00a0", "\u2003", "\u202f", "\u3000", "\u200b", "\ufeff", " \u00a0\n "]
PLAIN = pd.DataFrame(
    {
        "height": ["1.5", "2", "-3", "4e0", "0.25", "7"],
        "country": ["NA", "ZA", "NA", "ZA", "ZA", "NA"],
        "who": ["acme", "bolt", "acme", "bolt", "acme", "bolt"],
        "grade": ["good", "bad", "bad", "good", "good", "bad"],
    }
)


def written(path, frame=PLAIN, separator=",", encoding="utf-8", end="\n"):
    """Write a table by hand: every entry quoted, blanks and line breaks included."""
    rows = [list(frame.columns), *frame.to_numpy().tolist()]
    text = "".join(separator.join(f'"{entry}"' for entry in row) + end for row in rows)
    path.write_bytes(text.encode(encoding))
    return path


def same_rows(table, other):
    for name in ("x", "y", "x_test", "y_test", "groups"):
        np.testing.assert_array_equal(getattr(table, name), getattr(other, name))
    assert table.classes == other.classes


@pytest.fixture
def plain(tmp_path):
    path = written(tmp_path / "plain.csv")
    return read_tables(path, path, label="grade", group="who")


@pytest.mark.parametrize("blank", BLANKS, ids=ascii)
def test_blanks_around_entries_and_names_of_columns_are_none_of_theirs(tmp_path, plain, blank):
    frame = PLAIN.copy()
    for row in range(len(frame)):
        for k in range(4):
            before, after = divmod((row + k) % 4, 2)  # on either side, on both and on none
            frame.iloc[row, k] = before * blank + frame.iloc[row, k] + after * blank
    frame.columns = [blank + "height", "country" + blank, blank + "who" + blank, "grade" + blank]
    path = written(tmp_path / "blank.csv", frame)
    table = read_tables(path, path, label="grade", group="who")
    same_rows(table, plain)
    assert set(table.groups) == {"acme", "bolt"}


@pytest.mark.parametrize("blank", BLANKS, ids=ascii)
def test_blanks_around_what_is_typed_are_none_of_it(tmp_path, blank):
    path = str(written(tmp_path / "t.csv", pd.concat([PLAIN] * 4)))
    command = ["value", path, "--test", path, "--label", f"{blank}grade", "--group", f"who{blank}"]
    assert main([*command, "--valued", f"{blank}acme{blank}", "bolt"]) == 0
    text = Path("values/result.json").read_text(encoding="utf-8")
    assert ValuationResult.from_json(text).players == ("acme", "bolt")


@given(st.text(), st.lists(st.sampled_from("".join(BLANKS))), st.lists(st.sampled_from("".join(BLANKS))))
def test_stripping_takes_blanks_and_nothing_else(text, before, after):
    bare = stripped(text)
    assert stripped("".join(before) + bare + "".join(after)) == bare
    assert bare in text
    assert bare == bare.strip()
    assert stripped(text.replace(bare, "", 1)) == ""


def test_an_entry_of_blanks_is_missing_and_a_column_named_by_blanks_has_no_name(tmp_path):
    frame = PLAIN.assign(country=["NA", "\u00a0\t", "ZA", "ZA", "ZA", "NA"])
    with pytest.raises(InvalidValueError, match="has 1 entry in column 'country' missing, first in row 1"):
        read_tables(written(tmp_path / "t.csv", frame), label="grade")
    frame = PLAIN.assign(**{"\u200b \u00a0": "x"})
    source = read_csv(written(tmp_path / "t.csv", frame))
    assert list(source.frame.columns) == list(PLAIN.columns)
    assert "columns without a name were ignored" in source.notes[0]


def test_columns_that_differ_in_blanks_alone_are_two_of_one_name(tmp_path):
    with pytest.raises(InvalidValueError, match="has two columns 'who'"):
        read_csv(written(tmp_path / "t.csv", PLAIN.assign(**{"who\u00a0": "x"})))


@pytest.mark.parametrize("word", ["NA", "N/A", "n/a", "null", "NULL", "nan", "NaN", "None", "#N/A"])
@pytest.mark.parametrize("column", ["country", "who", "grade"])
def test_a_word_for_missing_numbers_is_a_name_among_names(tmp_path, plain, word, column):
    old = PLAIN[column][0]
    frame = PLAIN.replace({column: {old: word}})
    path = written(tmp_path / "t.csv", frame)
    table = read_tables(path, path, label="grade", group="who")
    if column == "who":
        assert table.groups.tolist() == [word, "bolt"] * 3
    elif column == "grade":
        assert set(table.classes) == {"bad", word}
    else:
        assert table.x.shape == plain.x.shape
    np.testing.assert_array_equal(table.x[:, 0], plain.x[:, 0])


@pytest.mark.parametrize("word", ["NA", "N/A", "null", "nan", "Null", "", " ", "#N/A"])
@pytest.mark.parametrize("column", ["height", "number"])
def test_among_numbers_the_same_word_is_a_missing_one(tmp_path, word, column):
    frame = PLAIN.assign(number=["1", "2", "1", "2", "1", "2"])
    frame.loc[3, column] = word
    path = written(tmp_path / "t.csv", frame)
    for role in ({"label": "grade"}, {"label": "grade", "group": column}, {"label": column}):
        with pytest.raises(InvalidValueError, match=f"has 1 entry in column '{column}' missing, first in row 3"):
            read_tables(path, path, **role)
    for table in (path, written(tmp_path / "whole.csv", PLAIN.assign(number="1"))):
        with pytest.raises(InvalidValueError, match="missing, first in row 3"):
            read_tables(table, path, label="grade")
    path = written(tmp_path / "rows.csv", frame.drop(index=3))  # what the error advises
    assert len(read_tables(path, path, label="grade").x) == 5


def test_a_column_of_nothing_but_that_word_holds_names(tmp_path):
    path = written(tmp_path / "t.csv", PLAIN.assign(country="NA"))
    assert read_tables(path, path, label="grade", group="who").x.shape == (6, 2)


@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=ascii)
def test_separators_encodings_and_ends_of_lines_are_found(tmp_path, separator, encoding, end):
    frame = PLAIN.replace("acme", f"Ácme{separator}λtd")
    found = read_csv(written(tmp_path / "t.csv", frame, separator, encoding, end))
    assert found.frame.to_dict("list") == frame.to_dict("list")
    assert found.notes == ()


def test_latin_1_is_read_and_said(tmp_path):
    frame = PLAIN.replace("acme", "Crème Brûlée €")
    found = read_csv(written(tmp_path / "t.csv", frame, encoding="cp1252"))
    assert set(found.frame["who"]) == {"Crème Brûlée €", "bolt"}
    assert "is not in UTF-8: it was read as Latin-1 (Windows-1252)" in found.notes[0]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_utf_16_without_a_byte_order_mark_is_named(tmp_path, encoding):
    with pytest.raises(InvalidValueError, match=r"the control character '\\x00', as .* UTF-16 without a byte order"):
        read_csv(written(tmp_path / "t.csv", encoding=encoding))


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        ("a;b;y\n1,5;2,5;1\n", ";"),
        ("a,b;c,y\n1,2,3\n", ","),
        ("a;b,c;d,y;z\n1;2,3,4\n", ","),
        ("a|b|y\n1|2|3\n", "|"),
        ('"a;b;c",y\n1,2\n', ","),
        ("a\tb, in euros\ty\n1\t2\t3\n", "\t"),
        ("a,b,y\n1,2\n1,2,3,4\n", ","),
        ("a;b;y\n1;2\n1;2;3;4\n", ";"),
        ("a b y\n1 2 3\n", ","),
        ("", ","),
    ],
)
def test_the_separator_makes_all_rows_as_long_as_the_header(text, separator):
    assert separator_of(text) == separator


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_table_that_is_written_with_a_separator_is_read_with_it(data):
    separator = data.draw(st.sampled_from(list(SEPARATORS)))
    entry = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=6)
    width, rows = data.draw(st.integers(2, 4)), data.draw(st.integers(3, 6))
    cells = data.draw(st.lists(st.lists(entry, min_size=width, max_size=width), min_size=rows, max_size=rows))
    text = "".join(separator.join('"' + cell.replace('"', '""') + '"' for cell in row) + "\n" for row in cells)
    assert separator_of(text) == separator


def test_a_table_whose_columns_cannot_be_told_apart_says_what_may_separate_them(tmp_path):
    spaces, good = tmp_path / "spaces.csv", written(tmp_path / "good.csv")
    spaces.write_text("height country who grade\n1 NA acme good\n2 ZA bolt bad\n")
    words = "has the single column 'height country who grade', .* separate them by commas, semicolons, tabs, bars"
    for arguments in ((spaces,), (good, spaces), (good, good, spaces)):
        with pytest.raises(InvalidValueError, match=words):
            read_tables(*arguments, label="grade", group="who")


def test_a_reference_table_may_have_one_column(tmp_path):
    (tmp_path / "t.csv").write_text("a,y\n1,0\n2,1\n3,1\n")
    (tmp_path / "r.csv").write_text("a\n7\n8\n")
    table = read_tables(tmp_path / "t.csv", tmp_path / "t.csv", tmp_path / "r.csv", label="y")
    assert table.reference[0].shape == (2, 1)


COMMAS = "a;b;y\n1,5;1;0,5\n2,25;2;1,5\n-3;3;2,5\n,5e1;4;4\n"


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_decimal_commas_are_read_and_said(tmp_path, separator):
    (tmp_path / "comma.csv").write_text(COMMAS.replace(";", separator))
    (tmp_path / "point.csv").write_text(COMMAS.replace(",", ".").replace(";", ","))
    comma, point = (tmp_path / f"{name}.csv" for name in ("comma", "point"))
    expected = read_tables(point, point, label="y")
    for train, test in ((comma, comma), (comma, point), (point, comma)):
        table = read_tables(train, test, label="y")
        same_rows(table, expected)
    assert [note for note in read_tables(comma, comma, label="y").notes if "comma" in note] == [
        f"column {column!r} has numbers with commas, such as {entry!r}: they were read as decimal commas"
        for column, entry in (("a", "1,5"), ("y", "0,5"))
    ]


@pytest.mark.parametrize(
    "text",
    [
        'a,y\n"1,234",0\n"5,678",1\n9,1\n',  # thousands, or decimals?
        "a;y\n1,234,567;0\n2;1\n3;1\n",
        "a;y\n1.234,5;0\n2;1\n3;1\n",
        "a;y\n1,5;0\n2.5;1\n3;1\n",
    ],
)
def test_commas_that_may_be_thousands_are_named(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(InvalidValueError, match=r"column 'a' of .* has numbers with commas, .* which may be"):
        read_tables(path, path, label="y")


def test_names_with_commas_are_names(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('a,who,y\n"1,5",7,0\n"x, y","1,234",1\n3,7,1\n')
    table = read_tables(path, path, label="y", group="who")
    assert table.x.shape == (3, 3)
    assert table.groups.tolist() == ["7", "1,234", "7"]


@pytest.mark.parametrize(
    ("labels", "classes", "words"),
    [
        ([k % 26 for k in range(260)], 26, "26 different whole numbers in 260 rows: they were taken as classes"),
        ([f"{k % 30}.0" for k in range(150)], 30, "taken as classes, which --task regression changes"),
        ([k % 7 for k in range(50)], 7, "taken as classes, which --task regression changes"),
        ([k % 26 for k in range(129)], 0, "taken as numbers, which --task classification changes"),  # 4.96 on average
        ([*(k % 25 for k in range(250)), 99], 0, "taken as numbers"),  # one of them once
        ([-k for k in range(60)], 0, "60 different whole numbers in 60 rows: they were taken as numbers"),
    ],
)
def test_whole_numbers_that_repeat_are_classes_and_a_note_says_what_they_were_taken_for(
    tmp_path, labels, classes, words
):
    path = tmp_path / "t.csv"
    path.write_text("a,y\n" + "".join(f"{i},{label}\n" for i, label in enumerate(labels)))
    table = read_tables(path, path, label="y")
    assert len(table.classes) == classes
    assert any(words in note for note in table.notes)


@pytest.mark.slow
@pytest.mark.parametrize(("kinds", "rows", "task"), [(26, 260, "regression"), (26, 129, "classification")])
def test_what_the_note_about_labels_advises_changes_what_they_are_taken_for(kinds, rows, task):
    Path("t.csv").write_text("a,y\n" + "".join(f"{k},{7 * k % kinds}\n" for k in range(rows)))
    tables = [read_tables(Path("t.csv"), label="y", task=one) for one in (None, task)]
    assert [table.task for table in tables] == [*({"regression", "classification"} - {task}), task]
    assert not any("--task" in note for note in tables[1].notes)
    command = ["value", "t.csv", "--label", "y", "--budget", "800", "--task", task]
    assert main(command) == 0
    metric = ValuationResult.from_json(Path("values/result.json").read_text(encoding="utf-8")).metric
    assert metric == {"regression": "neg_mean_squared_error", "classification": "log_likelihood"}[task]


def test_what_a_word_means_is_decided_on_the_training_table(tmp_path):
    """In the test table alone, 7 and NA would be a number and a missing one."""
    train = written(tmp_path / "train.csv", PLAIN.assign(grade=["acme", "NA", "7"] * 2, country=["7", "NA", "x"] * 2))
    test = written(tmp_path / "test.csv", PLAIN.assign(grade=["NA", "7"] * 3, country=["NA", "7"] * 3))
    table = read_tables(train, test, label="grade", group="who")
    assert [table.classes[k] for k in table.y_test] == ["NA", "7"] * 3
    assert table.notes == ("column 'country' mixes numbers with text ('NA'): it was taken as 3 categories",)
