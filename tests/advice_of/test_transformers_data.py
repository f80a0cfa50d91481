"""What is wrong with documents and their tokens: every message whole, and what it advises followed to the letter."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pandas as pd
import pytest
from advice import Case, check, without_a_case
from letters import Letters
from text_modules import DATA
from unshap_transformers import check_length, check_sources, check_vocabulary, read_documents, tokenise

LATIN = "Zoë".encode("latin-1")


def read(files, path="", source=None, text=None):
    """Read a path of a folder with these files; messages call the folder F. Where the text is known it is compared."""
    with TemporaryDirectory() as folder:
        for name, content in files.items():
            one = Path(folder, name)
            one.parent.mkdir(parents=True, exist_ok=True)
            one.write_bytes(content if isinstance(content, bytes) else content.encode())
        try:
            documents = read_documents(Path(folder, path), source)
        except Exception as error:
            error.args = tuple(arg.replace(folder, "F") for arg in error.args)
            raise
    if text is not None:
        assert [pieces for pieces in documents.texts if pieces] == [[(one, True)] for one in text]
    return documents


def rows(*given, source=None, many=None):
    documents = read_documents(list(given), source)
    assert many is None or len(documents) == many
    return documents


def tokens(*given, source=None, tokenizer=None, **kwargs):
    return tokenise(read_documents(list(given), source), tokenizer or Letters(), 8)


def parquet(**kwargs):
    with mock.patch("pandas.read_parquet", **kwargs):
        return read({"a.parquet": "x"}, "a.parquet")


def unreadable():
    with mock.patch.object(Path, "read_bytes", side_effect=PermissionError(13, "Permission denied")):
        read({"a.jsonl": ""}, "a.jsonl")


def owned(*sources):
    return tokens(*({"text": "ab", "who": who} for who in sources), source="who")


LINE = json.dumps({"text": "a"})
TWO = [{"text": "a", "who": "x"}, {"text": "b", "who": "y"}]
TURNS = [{"role": "user", "content": "a"}]
IDS = {"input_ids": [20, 21]}

FILES = [
    Case(
        "two columns of one name",
        lambda: read({"a.csv": "text,text\na,b"}, "a.csv"),
        "train_dataset ('F/a.csv') has two columns 'text': give every column a name of its own.",
        (lambda: read({"a.csv": "text,other\na,b"}, "a.csv", text=["a"]),),
    ),
    Case(
        "another ending",
        lambda: read({"a.xlsx": "a"}, "a.xlsx"),
        "train_dataset ('F/a.xlsx') ends in '.xlsx', but tables that end in .jsonl, .json, .csv, .parquet are read, "
        "and folders of text: convert it, or put it into a folder of its own.",
        (
            lambda: read({"a.csv": "text\na"}, "a.csv", text=["a"]),
            lambda: read({"of its own/a.xlsx": "a"}, "of its own", text=["a"]),
        ),
    ),
    Case(
        "an empty folder",
        lambda: read({".git/x": "a"}),
        "train_dataset ('F') has no files of text: give a folder that has some, or a sub-folder per source.",
        (lambda: read({"a.txt": "a"}, text=["a"]), lambda: read({"books/a.txt": "a"}, text=["a"])),
    ),
    Case(
        "a table in a folder",
        lambda: read({"a/b.csv": LINE, "a/c.txt": "c"}),
        "train_dataset ('F') has the table 'a/b.csv' among its files of text: give a table by its own path, or move it "
        "out of the folder.",
        (
            lambda: read({"a/b.csv": "text\na", "a/c.txt": "c"}, "a/b.csv", text=["a"]),
            lambda: read({"a/b.csv": LINE, "texts/a/c.txt": "c"}, "texts", text=["c"]),
        ),
    ),
    Case(
        "a file beside folders",
        lambda: read({"README": "r", "a/b.txt": "b"}),
        "train_dataset ('F') has both sub-folders and the file 'README', which is in no source: move it into a "
        "sub-folder, or out of the folder.",
        (
            lambda: read({"z/README": "r", "a/b.txt": "b"}, text=["b", "r"]),
            lambda: read({"README": "r", "texts/a/b.txt": "b"}, "texts", text=["b"]),
        ),
    ),
    Case(
        "a file that may not be read",
        unreadable,
        "train_dataset ('F/a.jsonl') cannot be read (Permission denied): check the path.",
        (lambda: read({"a.jsonl": LINE}, "a.jsonl", text=["a"]),),
    ),
    Case(
        "a path to nothing",
        lambda: read({}, "a.jsonl"),
        "train_dataset ('F/a.jsonl') cannot be found: check the path.",
        (lambda: read({"a.jsonl": LINE}, "a.jsonl", text=["a"]),),
    ),
    Case(
        "bytes that are no text",
        lambda: read({"a/b.txt": LATIN, "a/c.txt": "c"}),
        "train_dataset ('F'): file 'a/b.txt' is no text in UTF-8 ('utf-8' codec can't decode byte 0xeb in position 2: "
        "unexpected end of data): convert it, or remove it.",
        (
            lambda: read({"a/b.txt": LATIN.decode("latin-1"), "a/c.txt": "c"}, text=["Zoë", "c"]),
            lambda: read({"a/c.txt": "c"}, text=["c"]),
        ),
    ),
    Case(
        "an empty CSV file",
        lambda: read({"a.csv": ""}, "a.csv"),
        "train_dataset ('F/a.csv') is empty: add a header line and rows.",
        (lambda: read({"a.csv": "text\na"}, "a.csv", text=["a"]),),
    ),
    Case(
        "commas in a text",
        lambda: read({"a.csv": "text,who\na,b\nto be, or not,me"}, "a.csv"),
        "train_dataset ('F/a.csv') is not a CSV file with commas (Error tokenizing data. C error: Expected 2 fields in "
        "line 3, saw 3): write the text of that line in quotes.",
        (lambda: read({"a.csv": 'text,who\na,b\n"to be, or not",me'}, "a.csv", text=["a", "to be, or not"]),),
    ),
    Case(
        "a line that is not JSON",
        lambda: read({"a.jsonl": f"{LINE}\n{{'text': 1}}"}, "a.jsonl"),
        "line 2 of train_dataset ('F/a.jsonl') is not JSON (Expecting property name enclosed in double quotes: line 1 "
        "column 2 (char 1)): correct it.",
        (lambda: read({"a.jsonl": f'{LINE}\n{{"text": "b"}}'}, "a.jsonl", text=["a", "b"]),),
    ),
    Case(
        "a line that is no object",
        lambda: read({"a.jsonl": f'{LINE}\n"b"'}, "a.jsonl"),
        "line 2 of train_dataset ('F/a.jsonl') has 'b' where an object with columns is needed: write one object a "
        "line, or a list of objects.",
        (
            lambda: read({"a.jsonl": f"{LINE}\n{LINE}"}, "a.jsonl", text=["a", "a"]),
            lambda: read({"a.jsonl": f"[{LINE}, {LINE}]"}, "a.jsonl", text=["a", "a"]),
        ),
    ),
    Case(
        "nothing that reads Parquet",
        lambda: parquet(side_effect=ImportError("no engine")),
        "train_dataset ('F/a.parquet') cannot be read without pyarrow: install that, or give JSON lines.",
        (
            lambda: parquet(return_value=pd.DataFrame({"text": ["a"]})),
            lambda: read({"a.jsonl": LINE}, "a.jsonl", text=["a"]),
        ),
    ),
    Case(
        "a broken Parquet file",
        lambda: parquet(side_effect=OSError("no\nmagic bytes")),
        "train_dataset ('F/a.parquet') is not a Parquet file (no magic bytes): write it again.",
        (lambda: parquet(return_value=pd.DataFrame({"text": ["a"]})),),
    ),
]

DOCUMENTS = [
    Case("no rows", rows, "train_dataset has no documents: give at least one.", (lambda: rows({"text": "a"}),)),
    Case(
        "an empty file",
        lambda: read({"a.jsonl": ""}, "a.jsonl"),
        "train_dataset ('F/a.jsonl') has no documents: give at least one.",
        (lambda: read({"a.jsonl": LINE}, "a.jsonl", text=["a"]),),
    ),
    Case(
        "no column of documents",
        lambda: rows({"content": "a", "prompt": "b"}),
        "train_dataset has none of the columns that are read (input_ids, messages, prompt with completion, text), but "
        "has 'content', 'prompt': rename the one that holds the documents.",
        (lambda: rows({"text": "a", "prompt": "b"}),),
    ),
    Case(
        "another type",
        lambda: read_documents({"train": TWO}),
        "train_dataset is of type dict, but a data set whose rows can be counted is needed: give a Dataset (one split "
        "of it, loaded whole), a list of dictionaries, a frame, or a path.",
        (
            lambda: read_documents({"train": TWO}["train"]),
            lambda: read_documents(TWO),
            lambda: read_documents(pd.DataFrame(TWO)),
            lambda: read({"a.jsonl": LINE}, "a.jsonl", text=["a"]),
        ),
    ),
    Case(
        "rows that are texts",
        lambda: rows({"text": "a"}, "b"),
        "row 1 of train_dataset is 'b', but a dictionary of its columns is needed: give {\"text\": ...}.",
        (lambda: rows({"text": "a"}, {"text": "b"}, many=2),),
    ),
    Case(
        "a source column that is missing",
        lambda: rows(*TWO, source="whom"),
        "train_dataset has no source column 'whom' (did you mean 'who'?), but has 'text', 'who': name the one that "
        "says whose the documents are.",
        (lambda: rows(*TWO, source="who"),),
    ),
    Case(
        "one of more columns than can be listed",
        lambda: rows({"text": "a", **{f"z{at}": 0 for at in range(12)}}, source="whose"),
        "train_dataset has no source column 'whose', but has 'text', 'z0', 'z1', 'z2', 'z3', 'z4', 'z5', 'z6', 'z7', "
        "'z8', ...: name the one that says whose the documents are.",
        (lambda: rows({"text": "a", **{f"z{at}": 0 for at in range(12)}}, source="z11"),),
    ),
    Case(
        "packed sources",
        lambda: rows({"text": "a", "who": "x"}, {"text": "a b", "who": ["x", "y"]}, source="who"),
        "row 1 of train_dataset has several sources (['x', 'y']): documents of different sources were packed into one "
        "row, so give them unpacked.",
        (lambda: rows({"text": "a", "who": ["x"]}, {"text": "b", "who": "y"}, source="who"),),
    ),
    Case(
        "a document without a source",
        lambda: rows(*TWO, {"text": "c", "who": None}, source="who"),
        "row 2 of train_dataset has no source in column 'who': fill it in, or drop that row.",
        (lambda: rows(*TWO, {"text": "c", "who": "x"}, source="who"), lambda: rows(*TWO, source="who")),
    ),
    Case(
        "sources that read alike",
        lambda: rows({"text": "a", "who": 1}, {"text": "b", "who": "1"}, source="who"),
        "source column 'who' of train_dataset has both text and numbers that read alike: make all of them text.",
        (lambda: rows({"text": "a", "who": "1"}, {"text": "b", "who": "1"}, source="who"),),
    ),
    Case(
        "a number for a text",
        lambda: rows({"prompt": "a", "completion": "b"}, {"prompt": "a", "completion": 5}),
        "row 1 of column 'completion' of train_dataset is 5, but text is needed: convert it.",
        (lambda: rows({"prompt": "a", "completion": "b"}, {"prompt": "a", "completion": "5"}),),
    ),
    Case(
        "half of a letter",
        lambda: read({"a.jsonl": r'{"text": "a\ud83d"}'}, "a.jsonl"),
        "row 0 of column 'text' of train_dataset ('F/a.jsonl') is 'a\\ud83d', but text is needed: convert it.",
        (lambda: read({"a.jsonl": r'{"text": "a\ud83d\ude00"}'}, "a.jsonl", text=["a\U0001f600"]),),
    ),
    Case(
        "a text for a conversation",
        lambda: rows({"messages": TURNS}, {"messages": "a"}),
        "row 1 of column 'messages' of train_dataset is 'a', but a list of dictionaries with 'role' and 'content' is "
        "needed: convert it.",
        (lambda: rows({"messages": TURNS}, {"messages": [{"role": "user", "content": "a"}]}),),
    ),
    Case(
        "turns of other keys",
        lambda: rows({"messages": [{"from": "user", "value": "a"}]}),
        "row 0 of column 'messages' of train_dataset is [{'from': 'user', 'value': 'a'}], but a list of dictionaries "
        "with 'role' and 'content' is needed: convert it.",
        (lambda: rows({"messages": [{"role": "user", "content": "a"}]}),),
    ),
    Case(
        "a text for tokens",
        lambda: rows(IDS, {"input_ids": "[20, 21]"}),
        "row 1 of column 'input_ids' of train_dataset is '[20, 21]', but a list of whole numbers is needed: convert "
        "it.",
        (lambda: rows(IDS, {"input_ids": json.loads("[20, 21]")}),),
    ),
    Case(
        "fewer labels than tokens",
        lambda: rows({**IDS, "labels": [21]}),
        "row 0 of train_dataset has 2 input_ids and 1 labels: give as many of both, or leave the column 'labels' out.",
        (lambda: rows({**IDS, "labels": [20, 21]}), lambda: rows(IDS)),
    ),
    Case(
        "packed rows, by their positions",
        lambda: rows(IDS, {"input_ids": [20, 21, 30, 31], "position_ids": [0, 1, 0, 1]}),
        "row 1 of train_dataset has several documents, which its position_ids tell apart: they were packed into one "
        "row, so give them unpacked.",
        (lambda: rows(IDS, IDS, {"input_ids": [30, 31], "position_ids": [0, 1]}),),
    ),
    Case(
        "packed rows, by their masks",
        lambda: rows({"input_ids": [20, 21, 30, 31], "attention_mask": [1, 1, 2, 2]}),
        "row 0 of train_dataset has several documents, which its attention_mask tells apart: they were packed into one "
        "row, so give them unpacked.",
        (lambda: rows({**IDS, "attention_mask": [1, 1]}, {"input_ids": [30, 31], "attention_mask": [1, 1]}),),
    ),
]

TOKENS = [
    Case(
        "text without a tokenizer",
        lambda: tokenise(rows({"text": "a"}), None, 8),
        "train_dataset has text, but there is no tokenizer: give it as processing_class.",
        (lambda: tokenise(rows({"text": "a"}), Letters(), 8),),
    ),
    Case(
        "conversations without a template",
        lambda: tokens({"messages": TURNS}),
        "train_dataset has messages, but the tokenizer has no chat template, or several and no default: set "
        "tokenizer.chat_template, or give text.",
        (lambda: tokens({"messages": TURNS}, tokenizer=Letters(template="all")), lambda: tokens({"text": "a"})),
    ),
    Case(
        "a conversation that the template refuses",
        lambda: tokens(
            {"messages": TURNS}, {"messages": [{"role": "nobody", "content": "a"}]}, tokenizer=Letters(template="all")
        ),
        "row 1 of train_dataset does not go through the chat template (nobody is no role): correct it, or drop that "
        "row.",
        (
            lambda: tokens({"messages": TURNS}, {"messages": TURNS}, tokenizer=Letters(template="all")),
            lambda: tokens({"messages": TURNS}, tokenizer=Letters(template="all")),
        ),
    ),
    Case(
        "empty documents only",
        lambda: tokens({"text": ""}, {"text": None}, {"text": " \n"}),
        "all 3 documents of train_dataset are empty: give text.",
        (lambda: tokens({"text": ""}, {"text": "a"}),),
    ),
    Case(
        "labels of -100 only",
        lambda: tokens({**IDS, "labels": [-100, -100]}),
        "the labels of train_dataset are -100 throughout, so that nothing is learned: give those of training.",
        (lambda: tokens({**IDS, "labels": [-100, 21]}),),
    ),
    Case(
        "conversations without an assistant",
        lambda: tokens({"messages": TURNS}, tokenizer=Letters(template="{% generation %}")),
        "train_dataset has nothing to learn in any of its 1 documents: give some of two tokens or more, and "
        "conversations in which the assistant speaks.",
        (
            lambda: tokens(IDS),
            lambda: tokens(
                {"messages": [*TURNS, {"role": "assistant", "content": "b"}]},
                tokenizer=Letters(template="{% generation %}"),
            ),
        ),
    ),
    Case(
        "nobody's documents",
        lambda: check_sources(tokens(*TWO)),
        "nothing says whose the documents of train_dataset are: name the column that does as source_column, or give a "
        "folder with a sub-folder per source.",
        (
            lambda: check_sources(tokens(*TWO, source="who")),
            lambda: check_sources(tokenise(read({"x/a": "a", "y/b": "b"}), Letters(), 8)),
        ),
    ),
    Case(
        "a single source",
        lambda: check_sources(owned("x", "x")),
        "all documents of train_dataset that are learned are of the source 'x', but values compare at least two: give "
        "documents of another one.",
        (lambda: check_sources(owned("x", "y")),),
    ),
    Case(
        "rows longer than the model reads",
        lambda: check_length(2048, 1024),
        "max_length is 2048, but the model reads at most 1024 tokens: give max_length=1024 or less.",
        (lambda: check_length(1024, 1024), lambda: check_length(1000, 1024)),
    ),
    Case(
        "a tokenizer of another model",
        lambda: check_vocabulary(tokens({"text": "é"}), 200),
        "train_dataset has the token 243, but the model knows 0 to 199: the tokenizer is another model's, or got "
        "tokens that the model did not get, so give that of the model.",
        (lambda: check_vocabulary(tokens({"text": "é"}), 10 + 256),),
    ),
    Case(
        "labels of another model",
        lambda: check_vocabulary(tokens({**IDS, "labels": [20, 500]}), 200),
        "train_dataset has the label 500, but the model knows 0 to 199: the tokenizer is another model's, or got "
        "tokens that the model did not get, so give that of the model.",
        (lambda: check_vocabulary(tokens({**IDS, "labels": [20, 21]}), 200),),
    ),
]

CASES = [*FILES, *DOCUMENTS, *TOKENS]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_an_error_advises_helps(case):
    check(case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_message_is_one_whole_sentence(case):
    with pytest.raises((TypeError, ValueError)) as caught:
        case.fails()
    assert str(caught.value) == case.says


def test_all_that_is_advised_is_followed():
    assert without_a_case(DATA, CASES) == []
