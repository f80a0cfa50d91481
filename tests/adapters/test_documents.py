"""Documents: whatever form they come in, they are the same."""

from __future__ import annotations

import csv
import json
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import torch
from unshap_transformers import read_documents
from unshap_transformers.files import read_folder

TEXTS = ["To be, or not", 'She said "no",\nand left', "NA", "\u2028x", "null", "2020-01-01", " Zoë "]
SOURCES = ["plays", "books", "7", "plays", "NA", "books", "True"]
ROWS = [{"text": text, "date": "2020-01-01", "source": source} for text, source in zip(TEXTS, SOURCES, strict=True)]


class Held:
    """A data set of the library ``datasets``, as far as it is used; only what is needed may be read."""

    def __init__(self, rows, forbidden=()):
        self.rows, self.forbidden = rows, forbidden
        self.column_names = list(rows[0])

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, column):
        assert column not in self.forbidden
        return (row[column] for row in self.rows)  # neither a list nor read twice


class Map(torch.utils.data.Dataset):
    """Rows by their number, as people write data sets for torch."""

    def __len__(self):
        return len(ROWS)

    def __getitem__(self, at):
        if not 0 <= at < len(ROWS):
            raise KeyError(at)
        return ROWS[at]


def jsonl(path, rows=ROWS):
    path.write_text("\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n", encoding="utf-8")
    return path


def array(path):
    path.write_text(json.dumps(ROWS, indent=1), encoding="utf-8")
    return path


def table(path, encoding="utf-8"):
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(ROWS[0]))
        writer.writeheader()
        writer.writerows(ROWS)
    return path


FORMS = {
    "list": lambda folder: ROWS,
    "tuple": lambda folder: tuple(ROWS),
    "frame": lambda folder: pd.DataFrame(ROWS),
    "data set": lambda folder: Held(ROWS, forbidden={"date"}),
    "torch": lambda folder: Map(),
    "jsonl": lambda folder: jsonl(folder / "a.jsonl"),
    "json lines": lambda folder: str(jsonl(folder / "a.JSON")),
    "json": lambda folder: array(folder / "a.json"),
    "csv": lambda folder: table(folder / "a.csv"),
    "csv with a mark": lambda folder: table(folder / "a.csv", "utf-8-sig"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_has_the_same_texts_and_sources(form, tmp_path):
    documents = read_documents(FORMS[form](tmp_path), "source")
    assert documents.texts == [[(text, True)] for text in TEXTS]
    assert documents.sources == SOURCES
    assert len(documents) == len(TEXTS)


def test_a_parquet_file_is_a_frame(tmp_path):
    (tmp_path / "a.parquet").touch()
    with mock.patch("pandas.read_parquet", return_value=pd.DataFrame(ROWS)) as read:
        documents = read_documents(tmp_path / "a.parquet", "source")
    assert read.call_args.args == (tmp_path / "a.parquet",)
    assert (documents.texts, documents.sources) == ([[(text, True)] for text in TEXTS], SOURCES)


def folder(path, **files):
    for name, text in files.items():
        one = path / name.replace("__", "/").replace("_", ".")
        one.parent.mkdir(parents=True, exist_ok=True)
        one.write_bytes(text.encode())
    return path


def test_every_sub_folder_is_a_source_with_all_files_below_it(tmp_path):
    folder(tmp_path, books__b_txt="B", books__a_py="\ufeffA\r\n", books__deep__c="C", plays__a_txt="", _git__x="no")
    documents = read_documents(tmp_path, "whatever")
    assert documents.texts == [[("A\r\n", True)], [("B", True)], [("C", True)], []]
    assert documents.sources == ["books", "books", "books", "plays"]
    assert documents.name == f"train_dataset ({str(tmp_path)!r})"


@pytest.mark.parametrize(
    ("names", "sources"),
    [(["b_txt", "a_md"], ["a", "b"]), (["a_txt", "a_md"], ["a.md", "a.txt"])],
    ids=["by their stems", "which are taken"],
)
def test_without_sub_folders_every_file_is_a_source(names, sources, tmp_path):
    texts, owners = read_folder(folder(tmp_path, **{name: name for name in names}), "it")
    assert owners == sources
    assert texts == sorted(names)


def test_without_a_source_column_nobody_owns_the_documents():
    assert read_documents(ROWS).sources is None


@pytest.mark.parametrize(
    "values",
    [[3, 3, 5], np.array([3, 3, 5]), torch.tensor([3, 3, 5]), [["3", "3"], ("3",), np.array(["5", "5"])]],
    ids=["integers", "numpy", "torch", "lists of one"],
)
def test_sources_become_text(values):
    given = [{"text": "a", "who": value} for value in values]
    assert read_documents(given, "who").sources == ["3", "3", "5"]


def test_only_the_completion_of_a_prompt_is_learned():
    given = [
        {"prompt": "1+1=", "completion": "2", "text": "not this"},
        {"prompt": "", "completion": "2"},
        {"prompt": None, "completion": "2"},
        {"prompt": "1+1=", "completion": " \n"},
        {"prompt": "1+1=", "completion": None},
    ]
    alone = [("2", True)]
    assert read_documents(given).texts == [[("1+1=", False), ("2", True)], alone, alone, [], []]


def test_a_text_of_blanks_or_a_missing_one_is_empty():
    assert read_documents(pd.DataFrame({"text": ["a", " \n", "", None, np.nan]})).texts == [
        [("a", True)],
        [],
        [],
        [],
        [],
    ]


def test_conversations_stay_as_they_are():
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho", "name": "x"}]
    given = [{"messages": turns}, {"messages": np.array(turns)}, {"messages": tuple(turns)}, {"messages": None}]
    documents = read_documents(given)
    assert documents.messages == [turns, turns, turns, []]
    assert len(documents) == 4


@pytest.mark.parametrize("kind", [list, tuple, np.array, torch.tensor, lambda row: list(np.array(row))])
def test_tokens_go_first_and_come_as_lists(kind):
    given = {"input_ids": kind([1, 2, 3]), "labels": kind([-100, 2, 3]), "attention_mask": kind([0, 1, 1])}
    documents = read_documents([{"text": "not this", **given}])
    assert documents.input_ids == [[1, 2, 3]]
    assert documents.labels == [[-100, 2, 3]]
    assert documents.attention_mask == [[0, 1, 1]]
    assert documents.texts is None
    only = read_documents([{"input_ids": kind([1, 2, 3])}])
    assert (only.labels, only.attention_mask) == (None, None)


@pytest.mark.parametrize(
    ("mask", "positions"),
    [([1, 1, 1, 1], [0, 1, 2, 3]), ([0, 0, 1, 1], [1, 1, 0, 1]), ([1, 1, 0, 0], [0, 1, 0, 0]), ([1, 1, 0, 0], None)],
)
def test_padding_is_not_packing(mask, positions):
    row = {"input_ids": [5, 6, 7, 8], "attention_mask": mask, "position_ids": positions}
    assert len(read_documents([row])) == 1


@pytest.mark.parametrize(
    "row",
    [
        {"position_ids": [0, 1, 0, 1]},
        {"position_ids": [1, 0, 0, 1], "attention_mask": [0, 1, 1, 1]},
        {"attention_mask": [1, 1, 2, 2]},
        {"attention_mask": [1, 0, 1, 1]},
    ],
    ids=["positions", "after padding", "numbered", "with a hole"],
)
def test_packed_rows_are_refused(row):
    with pytest.raises(ValueError, match=r"^row 1 of train_dataset has several documents, which its "):
        read_documents(
            [{"input_ids": [5], "attention_mask": [1]}, {"input_ids": [5, 6, 7, 8], "attention_mask": [1] * 4, **row}]
        )
