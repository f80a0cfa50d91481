"""What is wrong with texts that have labels: every message whole, and what it advises followed to the letter."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from advice import Case, check, without_a_case
from letters import Letters
from text_modules import LABELS
from unshap_transformers.encoding import encode
from unshap_transformers.labelled import class_numbers, read_labelled

GOOD = {"text": "Bravo", "y": "good"}
BAD = {"text": "Boo", "y": "bad"}
KNOWN = {"bad": 0, "good": 1}


def rows(*given, column="y", source=None, many=None):
    found = read_labelled(list(given), column, source)
    assert many is None or len(found) == many
    return found


def folder(name, content):
    with TemporaryDirectory() as path:
        Path(path, name).write_text(content)
        try:
            return read_labelled(path if name.endswith(".txt") else Path(path, name), "y")
        except ValueError as error:
            error.args = tuple(arg.replace(path, "F") for arg in error.args)
            raise


def numbers(*labels, known=KNOWN, are=None):
    found = class_numbers(labels, known, 2, "train_dataset").tolist()
    assert are is None or found == are


def encoded(*given, tokenizer=None, max_length=4, are=None):
    found = encode(rows(*given), tokenizer, max_length, padding=3, parts=False)
    assert are is None or found.tokens.lengths.tolist() == are


def made(*ids, y=0):
    return {"input_ids": list(ids), "y": y}


CASES = [
    Case(
        "a folder",
        lambda: folder("a.txt", "Bravo"),
        "train_dataset ('F') is a folder, in which no text has a label: give a table with both.",
        (lambda: folder("a.jsonl", json.dumps(GOOD)),),
    ),
    Case("no rows", rows, "train_dataset has no rows: give at least one.", (lambda: rows(GOOD, many=1),)),
    Case(
        "no such column",
        lambda: rows(GOOD, {**BAD, "label": 0}, column="labels"),
        "train_dataset has no label column 'labels' (did you mean 'label'?), but has 'text', 'y', 'label': name the "
        "one of the labels.",
        (lambda: rows(GOOD, BAD, column="y", many=2),),
    ),
    Case(
        "a row without a label",
        lambda: rows(GOOD, {"text": "Hm", "y": None}),
        "row 1 of train_dataset has no label in column 'y': fill it in, or drop that row.",
        (lambda: rows(GOOD, {"text": "Hm", "y": "bad"}, many=2), lambda: rows(GOOD, many=1)),
    ),
    Case(
        "no texts",
        lambda: rows({"sentence": "Bravo", "y": 1}),
        "train_dataset has neither of the columns that are read (input_ids, text with or without text_pair), but has "
        "'sentence', 'y': rename the one that holds the texts.",
        (lambda: rows({"text": "Bravo", "y": 1}, many=1),),
    ),
    Case(
        "a label that is misspelt",
        lambda: numbers("good", "bda"),
        "row 1 of train_dataset has the label 'bda' (did you mean 'bad'?), but the model knows 0 to 1 ('bad', "
        "'good'): correct it, drop that row, or set config.label2id of the model as it was in training.",
        (
            lambda: numbers("good", "bad", are=[1, 0]),
            lambda: numbers("good", are=[1]),
            lambda: numbers("good", "bda", known={"good": 0, "bda": 1}, are=[0, 1]),
        ),
    ),
    Case(
        "a number of no class",
        lambda: numbers(0, 1, 2),
        "row 2 of train_dataset has the label 2, but the model knows 0 to 1 ('bad', 'good'): correct it, drop that "
        "row, or set config.label2id of the model as it was in training.",
        (lambda: numbers(0, 1, 1, are=[0, 1, 1]), lambda: numbers(0, 1, are=[0, 1])),
    ),
    Case(
        "a text where the model has no names",
        lambda: numbers("spam", known={"LABEL_0": 0, "LABEL_1": 1}),
        "row 0 of train_dataset has the label 'spam', but the model knows 0 to 1 ('LABEL_0', 'LABEL_1'): correct it, "
        "drop that row, or set config.label2id of the model as it was in training.",
        (
            lambda: numbers("LABEL_1", known={"LABEL_0": 0, "LABEL_1": 1}, are=[1]),
            lambda: numbers("spam", known={"ham": 0, "spam": 1}, are=[1]),
        ),
    ),
    Case(
        "text without a tokenizer",
        lambda: encoded(GOOD),
        "train_dataset has text, but there is no tokenizer: give it as processing_class.",
        (lambda: encoded(GOOD, tokenizer=Letters(), are=[4]),),
    ),
    Case(
        "an empty text",
        lambda: encoded(GOOD, {"text": "", "y": "bad"}, tokenizer=Letters()),
        "row 1 of train_dataset is empty: fill it in, or drop that row.",
        (
            lambda: encoded(GOOD, {"text": "B", "y": "bad"}, tokenizer=Letters(), are=[4, 1]),
            lambda: encoded(GOOD, tokenizer=Letters(), are=[4]),
        ),
    ),
    Case(
        "padding alone",
        lambda: encoded(made(5, 6), made(3, 3)),
        "row 1 of train_dataset is empty: fill it in, or drop that row.",
        (lambda: encoded(made(5, 6), made(3, 7), are=[2, 1]), lambda: encoded(made(5, 6), are=[2])),
    ),
    Case(
        "tokens that are too many",
        lambda: encoded(made(5, 6), made(*range(10, 16))),
        "row 1 of train_dataset has 6 input_ids, but at most 4 are read: give text, which the tokenizer cuts, or a "
        "larger max_length if the model reads as many.",
        (
            lambda: encoded({"text": "letters", "y": 0}, tokenizer=Letters(), are=[4]),
            lambda: encoded(made(5, 6), made(*range(10, 16)), max_length=6, are=[2, 6]),
        ),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_an_error_advises_helps(case):
    check(case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_message_is_one_whole_sentence(case):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the message is compared)
        case.fails()
    assert str(caught.value) == case.says


def test_all_that_is_advised_is_followed():
    assert without_a_case(LABELS, CASES) == []


def test_labels_are_names_or_numbers():
    numbers("1", " 0", are=[1, 0])
    numbers(1.0, False, are=[1, 0])
    numbers("1", "2", known={"1": 0, "2": 1}, are=[0, 1])  # names first
    for wrong in (0.5, -1, "-1", "1.0", float("inf"), ["good"]):
        with pytest.raises(ValueError, match=r"row 0 of train_dataset has the label"):
            numbers(wrong)


def test_a_text_that_is_cut_or_padded_on_the_left_is_noted():
    rows = read_labelled([{"text": "abcdef", "text_pair": "gh", "y": 0}, {"text": "a", "text_pair": "", "y": 1}], "y")
    found = encode(rows, Letters(padding_side="left"), 4, padding=3, parts=True)
    assert found.tokens.lengths.tolist() == [4, 1]
    assert found.parts is None
    assert found.tokens.notes[0] == "train_dataset: 1 of 2 rows are longer than 4 tokens, and are cut"
    assert "pads on the left" in found.tokens.notes[1]
    assert found.rows(6, 3)["input_ids"][1].tolist() == [107, 3, 3, 3, 3, 3]
    assert found.rows(6, 3)["attention_mask"].sum(dim=1).tolist() == [4, 1]
