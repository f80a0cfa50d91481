"""What the command line advises about tables that it refuses, followed to the letter."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from advice import ROOT, Case, check, without_a_case
from typed import (
    COLUMNS,
    NUMBERED,
    TEST,
    TRAIN,
    VALUE,
    changed,
    each,
    good,
    near,
    printed,
    refused,
    values,
    write,
)

from unshap_plugin.errors import UnshapError

FILES = [f"unshap_plugin/cli/_{name}.py" for name in ("columns", "decoding", "flip", "labels", "numbers", "sources")]
FILES += ["unshap_plugin/cli/_tables.py", "unshap_plugin/cli/_split.py", "unshap_plugin/cli/_examples.py"]
#: What is a value, and no advice to value.
NO_ADVICE = re.compile("has the single value")
#: Without a test table, some rows are set aside.
ALONE = ("value", "train.csv", *COLUMNS)
FLIP = ("value", "train.csv", "--test", "test.csv", "--label", "y", "--budget", "100", "--flip")
ROWS = TRAIN.drop(columns="who")


def fails(train=TRAIN, test=TEST, command=VALUE, **others):
    """Return what writes tables and types a command that is refused."""

    def run():
        write(train, test, **others)
        refused(*command)

    return run


def works(train=TRAIN, test=TEST, command=VALUE, **others):
    """Return what writes tables as was advised, and finds values for three players or more."""

    def run():
        write(train, test, **others)
        found = values(*command)
        assert len(found) >= 3
        assert any(found.values())

    return run


def same(train=TRAIN, test=TEST, command=VALUE, tolerance=0.0, **others):
    """Return what writes tables as was advised, and finds the values of the good ones."""

    def run():
        expected = good()
        write(train, test, **others)
        assert near(values(*command), expected, tolerance)

    return run


def fails_on(content, command=VALUE):
    """Return what writes a file that is no table, and is refused."""

    def run():
        write()
        Path("train.csv").write_bytes(content)
        refused(*command)

    return run


def same_from(content):
    """Return what writes a file as was advised, and finds the values of the good one."""

    def run():
        expected = good()
        Path("train.csv").write_bytes(content)
        assert values(*VALUE) == expected

    return run


def _csv(frame=TRAIN, **how):
    return frame.to_csv(index=False, **how).encode()


LINES = _csv().decode().splitlines()
LETTERS = TRAIN.assign(y=[f"c{row}" for row in range(24)])
WHOLE = TRAIN.assign(y=[str(3 * row) for row in range(24)])
REFERENCE = ROWS.assign(a="9.5")
PARTIAL = (*VALUE, "--access", "partial", "--valued", "acme", "bolt", "cairn", "--unlearner", "anchored", "--reference")
REGRESSION = ("value", "train.csv", *COLUMNS)


def _numbers_of(train):
    """Return the values, by rank, of numbers that are standardised: of what units they are does not matter."""
    write(train)
    return values(*REGRESSION)


def rescaled(change, back):
    """Return what takes labels that differ too little, and finds the values of those that do not."""

    def run():
        expected = _numbers_of(NUMBERED)
        assert near(_numbers_of(each(each(NUMBERED, "y", change), "y", back)), expected, 1e-4)

    return run


CASES = [
    Case("no text", fails_on(b"a,b\x00,y\n"), "convert it", (same_from(_csv()),)),
    Case("UTF-16 without a mark", fails_on(_csv().decode().encode("utf-16-le")), "convert it", (same_from(_csv()),)),
    Case("an empty file", fails_on(b""), "expected a header line and rows", (same_from(_csv()),)),
    Case(
        "a header alone",
        fails_on(LINES[0].encode()),
        "two training rows and one test row are the least",
        (lambda: (write(TRAIN.iloc[[1, 3]].assign(y=["yes", "no"], who=["u", "v"]), TEST.head(1)), values(*VALUE)),),
    ),
    Case("no encoding fits", fails_on(b"a,b\n\x81\x8d,1\n"), "convert it", (same_from(_csv()),)),
    Case(
        "no such file",
        fails(command=("value", "tain.csv", *VALUE[2:])),
        "check the path",
        (same(),),
    ),
    Case(
        "a row that is too long",
        fails_on("\n".join([*LINES[:3], LINES[3] + ",1", *LINES[4:]]).encode()),
        "correct that line, or write the table again",
        (same_from("\n".join(LINES).encode()), same()),
    ),
    Case(
        "a quote that is not closed",
        fails_on("\n".join([LINES[0], '"' + LINES[1], *LINES[2:]]).encode()),
        "correct that line, or write the table again",
        (same_from("\n".join(LINES).encode()), same()),
    ),
    Case(
        "two columns of one name",
        fails_on(b"a,a,y,who\n" + _csv().split(b"\n", 1)[1]),
        "give every column a name of its own",
        (same_from(_csv()),),
    ),
    Case(
        "blanks between columns",
        fails_on(_csv(sep=" ")),
        "separate them by commas, semicolons, tabs, bars, all by the same",
        tuple(same_from(_csv(sep=separator)) for separator in ",;\t|"),
    ),
    Case(
        "a column that the test table lacks",
        fails(test=TEST.drop(columns="b")),
        "add it to the test table, or drop it from the training table",
        (same(), works(TRAIN.drop(columns="b"), TEST.drop(columns="b"))),
    ),
    Case(
        "the column of groups, which was not named",
        fails(command=(*VALUE[:4], "--label", "y")),
        "drop it from the training table, or say with --group that it tells whose the rows are",
        (
            works(test=TEST.assign(who="acme"), command=(*VALUE[:4], "--label", "y", "--budget", "100")),
            works(ROWS, command=(*VALUE[:4], "--label", "y", "--budget", "100")),
            same(),
        ),
    ),
    Case(
        "a column that the reference table lacks",
        fails(reference=REFERENCE.drop(columns="b"), command=(*PARTIAL, "reference.csv")),
        "add it to the reference table, or drop it from the training table",
        (
            works(reference=REFERENCE, command=(*PARTIAL, "reference.csv")),
            works(
                TRAIN.drop(columns="b"),
                TEST.drop(columns="b"),
                reference=REFERENCE.drop(columns="b"),
                command=(*PARTIAL, "reference.csv"),
            ),
        ),
    ),
    Case(
        "a reference of training rows",
        fails(reference=ROWS, command=(*PARTIAL, "reference.csv")),
        "give other rows as the reference",
        (works(reference=REFERENCE, command=(*PARTIAL, "reference.csv")),),
    ),
    Case(
        "too few rows to set some aside",
        fails(TRAIN.iloc[[1, 3]].assign(y=["yes", "no"]), command=ALONE),
        "give a test table",
        (lambda: (write(TRAIN.iloc[[1, 3]].assign(y=["yes", "no"], who=["u", "v"])), values(*VALUE)),),
    ),
    Case(
        "an entry that is missing",
        fails(changed(TRAIN, "a", "")),
        "fill them in, or drop those rows",
        (same(), works(TRAIN.iloc[1:])),
    ),
    Case(
        "commas between digits",
        fails(changed(TRAIN, "a", "1,234.5")),
        "write them with a decimal point, and no other separator",
        (works(changed(TRAIN, "a", "1234.5")),),
    ),
    Case(
        "text among the numbers of a test table",
        fails(test=changed(TEST, "a", "x")),
        "the training table has numbers there; correct those rows",
        (same(),),
    ),
    Case(
        "infinity",
        fails(changed(TRAIN, "a", "inf")),
        "correct or drop those rows",
        (same(), works(TRAIN.iloc[1:])),
    ),
    Case(
        "a number that is too large",
        fails(each(TRAIN, "a", lambda one: one * 1e101)),
        "correct or rescale them",
        (same(), same(each(TRAIN, "a", lambda one: one * 1e4), each(TEST, "a", lambda one: one * 1e4), tolerance=1e-9)),
    ),
    Case(
        "a test row that is far away",
        fails(test=changed(TEST, "a", "1e40")),
        "correct it, or drop that row",
        (same(), works(test=TEST.iloc[1:])),
    ),
    Case(
        "a label that is far away",
        fails(NUMBERED, changed(NUMBERED[1:].reset_index(drop=True), "y", "1e40"), command=(*VALUE, "--model", "mlp")),
        "correct it, or drop that row",
        (
            works(NUMBERED, NUMBERED.iloc[1:], command=(*VALUE, "--model", "mlp")),
            works(NUMBERED, NUMBERED.iloc[2:], command=(*VALUE, "--model", "mlp")),
        ),
    ),
    Case(
        "tiny labels",
        fails(each(NUMBERED, "y", lambda one: one * 1e-200), command=REGRESSION),
        "subtract what they share, and multiply the rest",
        (rescaled(lambda one: one * 1e-200, lambda one: one * 1e200),),
    ),
    Case(
        "labels that share all but the last digits",
        fails(each(NUMBERED, "y", lambda one: 1e9 + (one - 5) * 1e-6), command=REGRESSION),
        "subtract what they share, and multiply the rest",
        (rescaled(lambda one: 1e3 + (one - 5) * 1e-6, lambda one: (one - 1e3) * 1e6),),
    ),
    Case(
        "labels that are all different",
        fails(LETTERS, LETTERS),
        "name another label column",
        (works(LETTERS.assign(z=TRAIN["y"]), LETTERS.assign(z=TRAIN["y"]), command=(*VALUE[:5], "z", *VALUE[6:])),),
    ),
    Case(
        "numbers that are all different, as classes",
        fails(WHOLE, WHOLE, command=(*VALUE, "--task", "classification")),
        "name another label column, or learn numbers with --task regression",
        (
            works(
                WHOLE.assign(z=TRAIN["y"]),
                WHOLE.assign(z=TRAIN["y"]),
                command=(*VALUE[:5], "z", *VALUE[6:], "--task", "classification"),
            ),
            works(WHOLE, WHOLE, command=(*VALUE, "--task", "regression")),
        ),
    ),
    Case(
        "a class that training lacks",
        fails(test=changed(TEST, "y", "maybe")),
        "drop those rows, or add training rows of that class",
        (
            works(test=TEST.iloc[1:]),
            works(pd.concat([TRAIN, changed(TRAIN, "y", "maybe").head(1)]), changed(TEST, "y", "maybe")),
        ),
    ),
    Case(
        "text, of which a regression is asked",
        fails(command=(*VALUE, "--task", "regression")),
        "correct those rows, or leave out what asks for one (--task, --model)",
        (works(NUMBERED, NUMBERED.iloc[::2], command=(*VALUE, "--task", "regression")), same()),
    ),
    Case(
        "labels of a regression to flip",
        fails(NUMBERED, NUMBERED, command=(*FLIP, "0.1")),
        "leave out --flip",
        (works(ROWS.assign(y=NUMBERED["y"]), NUMBERED, command=FLIP[:-1]),),
    ),
    *(
        Case(
            f"a share of {share}",
            fails(ROWS, command=(*FLIP, share)),
            "must be between 0 and 1 and make at least one, and not all, of the 24 training rows",
            (lambda: _flipped("0.05", 1), lambda: _flipped("0.95", 23)),
        )
        for share in ("0", "1", "1.5", "0.01", "0.99")
    ),
]


def _flipped(share, count):
    write(ROWS)
    assert f"{count} of 24 training labels were flipped" in printed(*FLIP, share)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_advised_about_a_table_helps(case):
    check(case)


def test_every_advice_about_tables_is_followed():
    left = [site for site in without_a_case(FILES, CASES) if not NO_ADVICE.search(_line(site))]
    assert left == []


def _line(site):
    """Return the line of the message that begins at a site."""
    file, _, line = site.partition(":")
    return (ROOT / file).read_text(encoding="utf-8").splitlines()[int(line)]


def test_numbers_that_differ_too_little_are_told_and_the_advice_gives_their_values():
    expected = good()
    for change, back in (
        (lambda one: one * 1e-200, lambda one: one * 1e200),
        (lambda one: 2.0**30 + one * 2.0**-20, lambda one: (one - 2.0**30) * 2.0**20),
    ):
        tables = [each(frame, "a", change) for frame in (TRAIN, TEST)]
        write(*tables)
        said = printed(*VALUE)
        assert "taken as equal: subtract what they share, and multiply the rest" in said
        write(*(each(frame, "a", back) for frame in tables))
        assert "taken as equal" not in printed(*VALUE)
        assert near(values(*VALUE), expected, 1e-2)
    write(TRAIN.assign(a="3"), TEST.assign(a="3"))
    assert "taken as equal" not in printed(*VALUE)  # what is equal need not be told


def test_columns_that_differ_in_case_are_meant():
    write()
    for option, column in (("label", "y"), ("group", "who")):
        command = [one.upper() if one == column else one for one in VALUE]
        with pytest.raises(UnshapError, match=rf"no {option} column '{column.upper()}' \(did you mean '{column}'\?\)"):
            refused(*command)
